// SPDX-License-Identifier: MIT
public import PomeloBytes

/// Whom a proxy speaks for, as it says in front of the connection's first bytes.
///
/// ```
/// 1   PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 CR LF        at most 107 bytes
///     PROXY UNKNOWN … CR LF
/// 2   0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A | version, command | family, protocol | length (2) | addresses | TLVs
/// ```
///
/// - Source: HAProxy's `doc/proxy-protocol.txt`, sections 2.1 and 2.2.
public struct ProxyHeader: Equatable, Sendable {
    /// The client; nil when the proxy speaks for itself, or does not know.
    public let source: IPAddress?
    /// The client's port.
    public let port: UInt16

    /// A header of a client, or of none.
    public init(source: IPAddress?, port: UInt16 = 0) {
        self.source = source
        self.port = port
    }
}

/// Reads the header of a proxy from the beginning of a stream.
///
/// It keeps 107 bytes at most: what version 2 has behind the addresses is counted, and not kept.
public struct ProxyDecoder: Sendable {
    /// What the bytes so far amount to.
    public enum Step: Equatable, Sendable {
        /// Neither a whole header, nor something else; all bytes of the input were taken.
        case needMore
        /// A whole header; it took `consumed` bytes of the last input, the rest belongs to what comes next.
        case header(ProxyHeader, consumed: Int)
        /// Something else, whose first bytes are those taken so far; none of the last input was.
        case other(Bytes)
    }

    /// The longest header of version 1, its end included.
    public static let maxTextBytes = 107
    private static let text = Bytes("PROXY".utf8)
    private static let signature: Bytes = [0x0D, 0x0A, 0x0D, 0x0A, 0, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]
    private static let headLength = 16
    /// As many addresses and ports as are read: those of IPv6.
    private static let mostAddresses = 36

    private var held: Bytes = []
    /// Of a header of version 2 whose addresses were read.
    private var found: ProxyHeader?
    private var skips = 0

    /// Nothing read.
    public init() {}

    /// The memory that what was read so far takes, in bytes.
    public var heldBytes: Int { held.capacity }

    /// Whether a stream that begins so has a header, in either version; four bytes are enough.
    public static func begins(_ bytes: Bytes) -> Bool {
        bytes.count >= 4 && (bytes.starts(with: text.prefix(4)) || bytes.starts(with: signature.prefix(4)))
    }

    /// Whether a stream that begins so may have a header.
    public static func mayBegin(_ bytes: Bytes) -> Bool { text.starts(with: bytes) || signature.starts(with: bytes) }

    /// Reads the next bytes of the stream.
    ///
    /// - Throws: ``WireError/malformed(_:)`` for a header that is wrong; the stream cannot be used afterwards.
    public mutating func decode(_ input: Span<UInt8>) throws(WireError) -> Step {
        if found != nil { return skip(input, from: 0) }
        let before = held.count
        var place = 0
        while place < input.count {
            held.append(input[place])
            place &+= 1
            switch try look() {
            case .goOn: continue
            case .isOther:
                held.removeLast(place)
                precondition(held.count == before)
                return .other(held)
            case .isText(let header): return .header(header, consumed: place)
            case .isBinary(let header, let rest):
                (found, skips, held) = (header, rest, [])
                return skip(input, from: place)
            }
        }
        return .needMore
    }

    private mutating func skip(_ input: Span<UInt8>, from start: Int) -> Step {
        let count = min(skips, input.count &- start)
        skips &-= count
        guard skips == 0, let header = found else { return .needMore }
        return .header(header, consumed: start &+ count)
    }

    private enum Look {
        case goOn, isOther
        case isText(ProxyHeader)
        case isBinary(ProxyHeader, rest: Int)
    }

    /// What the bytes held are, of which the last is new.
    private func look() throws(WireError) -> Look {
        let count = held.count
        if held[0] == Self.text[0] {
            if count <= Self.text.count { return held[count &- 1] == Self.text[count &- 1] ? .goOn : .isOther }
            return try lookAtText()
        }
        if count <= Self.signature.count {
            return held[count &- 1] == Self.signature[count &- 1] ? .goOn : .isOther
        }
        return try lookAtBinary()
    }

    private func lookAtText() throws(WireError) -> Look {
        guard held[held.count &- 1] == 0x0A else {
            guard held.count < Self.maxTextBytes else { throw .malformed("PROXY: too long") }
            return .goOn
        }
        guard held[held.count &- 2] == 0x0D else { throw .malformed("PROXY: line does not end in CR LF") }
        return .isText(try Self.read(held[..<(held.count &- 2)]))
    }

    /// Strict: one space between the words, no sign and no zero in front of a port.
    private static func read(_ line: ArraySlice<UInt8>) throws(WireError) -> ProxyHeader {
        let words = line.split(separator: 0x20, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        guard words.count >= 2, words[0].utf8.elementsEqual(text) else { throw .malformed("PROXY: first word") }
        // Whatever is behind it is to be ignored.
        if words[1].utf8.elementsEqual("UNKNOWN".utf8) { return ProxyHeader(source: nil) }
        let isIPv4 = words[1].utf8.elementsEqual("TCP4".utf8)
        guard isIPv4 || words[1].utf8.elementsEqual("TCP6".utf8), words.count == 6 else {
            throw .malformed("PROXY: words")
        }
        guard let source = address(words[2], isIPv4), address(words[3], isIPv4) != nil else {
            throw .malformed("PROXY: address")
        }
        guard let number = port(words[4]), port(words[5]) != nil else { throw .malformed("PROXY: port") }
        return ProxyHeader(source: source, port: number)
    }

    private static func address(_ word: String, _ isIPv4: Bool) -> IPAddress? {
        guard !word.utf8.contains(UInt8(ascii: "%")), word.utf8.contains(UInt8(ascii: ":")) != isIPv4 else {
            return nil
        }
        return IPAddress(word)
    }

    private static func port(_ word: String) -> UInt16? {
        let digits = word.utf8
        guard (1...5).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }),
            digits.count == 1 || digits.first != 0x30
        else { return nil }
        return UInt16(word)
    }

    /// The head, and then the addresses, as soon as all of them are there.
    private func lookAtBinary() throws(WireError) -> Look {
        let count = held.count
        let command = held[12]
        guard command >> 4 == 2 else { throw .malformed("PROXY: version") }
        guard command & 15 < 2 else { throw .malformed("PROXY: command") }
        guard count >= Self.headLength else { return .goOn }
        let length = Int(held[14]) << 8 | Int(held[15])
        let (width, known) =
            switch held[13] {
            case 0x11, 0x12: (4, true)
            case 0x21, 0x22: (16, true)
            // Unspecified, or a Unix-domain socket: no address of a client.
            case 0x00, 0x31, 0x32: (0, true)
            default: (0, false)
            }
        let isLocal = command & 15 == 0
        // A receiver takes a family that it does not know from nobody but who speaks for itself.
        guard known || isLocal else { throw .malformed("PROXY: family") }
        let addresses = isLocal || width == 0 ? 0 : 2 &* width &+ 4
        guard length >= addresses else { throw .malformed("PROXY: addresses cut short") }
        guard count >= Self.headLength &+ addresses else { return .goOn }
        let rest = length &- addresses
        guard addresses > 0 else { return .isBinary(ProxyHeader(source: nil), rest: rest) }
        let bytes = held.span
        let source = IPAddress(network: bytes.extracting(Self.headLength..<(Self.headLength &+ width)))
        let port = Self.headLength &+ 2 &* width
        return .isBinary(
            ProxyHeader(source: source, port: UInt16(bytes[port]) << 8 | UInt16(bytes[port &+ 1])), rest: rest)
    }
}
