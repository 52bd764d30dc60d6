// SPDX-License-Identifier: MIT

/// What a peer's records look like from outside: enough to refuse what only costs, before it does.
///
/// OpenSSL takes memory for a message of a handshake as soon as its length is there, and works and answers for records
/// without text as long as they come: new keys (RFC 8446, section 4.6.3), handshakes anew in TLS 1.2, warnings.
struct RecordWatch {
    /// The longest greeting of a client; those of today have a tenth of it.
    static let helloBytes = 16_384
    /// So many records without text at once, and one more for each so many with text.
    static let silentRecords = 32
    private static let changeCipher: UInt8 = 20
    private static let handshake: UInt8 = 22
    private static let hello: UInt8 = 1

    /// Why nothing more is read.
    private(set) var fault: String?

    /// In TLS 1.2 the second half of a handshake is encrypted, in records that look like those before it.
    private var hasChangedCipher = false
    private var head: (type: UInt8, length: Int, have: Int) = (0, 0, 0)
    /// Bytes of the record that are still to come.
    private var left = 0
    /// The head of a message in the open: its type and length as far as they are here.
    private var message: (word: Int, have: Int) = (0, 0)
    private var messageLeft = 0
    /// In parts of a record, so many as one that is silent is forgiven for.
    private var silence = 0

    /// Bytes that are about to be read, of a handshake or of a connection that stands.
    mutating func note(_ bytes: borrowing Span<UInt8>, isOpen: Bool, isTLS13: Bool) {
        let isPlain = !isOpen && (isTLS13 || !hasChangedCipher)
        var place = 0
        while place < bytes.count, fault == nil {
            if left == 0 {
                noteHead(bytes[place], isOpen)
                place += 1
            } else {
                let end = min(bytes.count, place + left)
                if isPlain, head.type == Self.handshake { noteMessages(bytes.extracting(place..<end)) }
                left -= end - place
                place = end
            }
        }
    }

    private mutating func noteHead(_ byte: UInt8, _ isOpen: Bool) {
        switch head.have {
        case 0: head.type = byte
        case 3: head.length = Int(byte) << 8
        case 4: head.length |= Int(byte)
        default: break
        }
        head.have += 1
        guard head.have == 5 else { return }
        head.have = 0
        left = head.length
        if head.type == Self.changeCipher { hasChangedCipher = true }
        guard isOpen else { return silence = 0 }
        silence += Self.silentRecords
        if silence > Self.silentRecords * (Self.silentRecords + 1) { fault = "too many records without text" }
    }

    private mutating func noteMessages(_ bytes: borrowing Span<UInt8>) {
        var place = 0
        while place < bytes.count {
            if messageLeft > 0 {
                let taken = min(messageLeft, bytes.count - place)
                messageLeft -= taken
                place += taken
                continue
            }
            message = (message.word << 8 | Int(bytes[place]), message.have + 1)
            place += 1
            guard message.have == 4 else { continue }
            messageLeft = message.word & 0xFF_FFFF
            let isHello = message.word >> 24 == Int(Self.hello)
            message = (0, 0)
            if isHello, messageLeft > Self.helloBytes { return fault = "a greeting of \(messageLeft) bytes" }
        }
    }

    /// The last record had text.
    mutating func noteText() { silence = max(0, silence - Self.silentRecords - 1) }
}
