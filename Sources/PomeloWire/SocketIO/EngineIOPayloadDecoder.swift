// SPDX-License-Identifier: MIT
public import PomeloBytes

/// Reads the payloads of one client's POSTs.
///
/// Clients of version 3 count the length of text in three ways: UTF-16 units (socket.io-client 2), code points
/// (Python), and the bytes of text that they then encode as UTF-8 a second time (socket.io-client 1). The last is told
/// from the first by its characters: all below U+0100 and, as bytes, UTF-8. A client that has once sent text that
/// cannot be so is remembered.
///
/// - Source: transcripts of socket.io-client 1.7.2 and 2.5.0, python-socketio 4.6.1.
public struct EngineIOPayloadDecoder: Sendable {
    /// Receives one packet; returns false to stop after it.
    public typealias Each = (EngineIOPacket) -> Bool

    /// The revision of the client.
    public let revision: SocketIORevision
    /// The most packets accepted in one payload.
    public let maxPackets: Int
    /// Whether this client has sent text that was not encoded twice.
    var encodesOnce = false

    /// Creates a decoder.
    public init(_ revision: SocketIORevision, maxPackets: Int = 1024) {
        self.revision = revision
        self.maxPackets = maxPackets
    }

    /// Reads one payload.
    ///
    /// - Throws: ``WireError/malformed(_:)`` for no packet at all, an unknown kind or a length that does not fit;
    ///   ``WireError/tooLarge(limit:)`` for too many packets. Packets before the fault may have been given to `each`.
    public mutating func decode(_ body: Span<UInt8>, _ each: Each) throws(WireError) {
        guard body.count > 0 else { throw .malformed("empty payload") }
        switch revision {
        case .five: try decodeJoined(body, each)
        case .four:
            if body[0] < 2 {
                try decodeBinary(body, each)
            } else {
                try decodeCounted(body, each)
            }
        case .one: throw .unsupported("Engine.IO in revision one")
        }
    }

    private func decodeJoined(_ body: Span<UInt8>, _ each: Each) throws(WireError) {
        guard body.isUTF8 else { throw .malformed("payload is not UTF-8") }
        var (start, count) = (0, 0)
        while start <= body.count {
            var end = start
            while end < body.count, body[end] != EngineIOPayload.separator { end &+= 1 }
            try Self.check(&count, maxPackets)
            guard each(try packet(body.extracting(start..<end))) else { return }
            start = end &+ 1
        }
    }

    private func decodeBinary(_ body: Span<UInt8>, _ each: Each) throws(WireError) {
        var (offset, count) = (0, 0)
        while offset < body.count {
            let type = body[offset]
            guard type < 2 else { throw .malformed("binary framing: type") }
            offset &+= 1
            var length = 0
            let digits = offset
            while offset < body.count, body[offset] != 0xFF {
                guard body[offset] < 10, offset &- digits < 10 else { throw .malformed("binary framing: length") }
                length = length &* 10 &+ Int(body[offset])
                offset &+= 1
            }
            guard offset > digits, length <= body.count &- offset &- 1 else {
                throw .malformed("binary framing: length")
            }
            let packet = body.extracting((offset &+ 1)..<(offset &+ 1 &+ length))
            offset &+= 1 &+ length
            try Self.check(&count, maxPackets)
            // A text packet begins with a digit whichever type its frame states.
            let isText = type == 0 || (length > 0 && packet[0] >= UInt8(ascii: "0"))
            if isText, !packet.isUTF8 { throw .malformed("packet is not UTF-8") }
            let whole = try isText ? EngineIOPacket(text: packet) : EngineIOPacket(binary: packet, .four)
            guard each(whole) else { return }
        }
    }

    private mutating func decodeCounted(_ body: Span<UInt8>, _ each: Each) throws(WireError) {
        guard body.isUTF8 else { throw .malformed("payload is not UTF-8") }
        let counting = EngineIOCounting.utf16.fits(body) ? EngineIOCounting.utf16 : .codePoints
        var isDoubled = false
        switch DoubledUTF8.judge(body) {
        case .ascii: break
        case .once: encodesOnce = true
        case .twice: isDoubled = !encodesOnce
        }
        var (offset, count) = (0, 0)
        while offset < body.count {
            let range = try counting.next(body, &offset)
            try Self.check(&count, maxPackets)
            let text = body.extracting(range)
            let packet = try isDoubled ? packet(DoubledUTF8.undone(text).span) : packet(text)
            guard each(packet) else { return }
        }
    }

    static func check(_ count: inout Int, _ maxPackets: Int) throws(WireError) {
        count &+= 1
        if count > maxPackets { throw .tooLarge(limit: maxPackets) }
    }

    /// A text packet, or a binary one in Base64.
    private func packet(_ text: Span<UInt8>) throws(WireError) -> EngineIOPacket {
        guard text.count > 0, text[0] == UInt8(ascii: "b") else { return try EngineIOPacket(text: text) }
        // Version 3 has the kind's digit in between.
        let start = revision == .four ? 2 : 1
        guard text.count >= start, let data = Base64.decode(text.extracting(start...)) else {
            throw .malformed("Base64")
        }
        return EngineIOPacket(.message, data, isBinary: true)
    }
}
