// SPDX-License-Identifier: MIT
public import PomeloBytes

/// Names the frames of the WebSocket protocol.
///
/// - Source: RFC 6455 §5.2.
public enum WebSocketOpcode: UInt8, Sendable, CaseIterable {
    /// A further part of a fragmented message.
    case continuation = 0
    /// A message of UTF-8 text, or its first part.
    case text = 1
    /// A message of bytes, or its first part.
    case binary = 2
    /// The end of the conversation.
    case close = 8
    /// A question whether the other side is alive.
    case ping = 9
    /// The answer to a ping, with the same payload.
    case pong = 10

    var isControl: Bool { rawValue >= 8 }
}

/// Says why a WebSocket connection must end and with which code.
public struct WebSocketError: Error, Equatable, Sendable {
    /// The code for the close frame: 1002, 1003, 1007 or 1009.
    public let closeCode: UInt16
    /// What was wrong, for the log and the close frame; ASCII, under 100 bytes.
    public let reason: String

    static func protocolError(_ reason: String) -> WebSocketError {
        WebSocketError(closeCode: 1002, reason: reason)
    }
    package static let notUTF8 = WebSocketError(closeCode: 1007, reason: "text is not UTF-8")
    package static let tooLarge = WebSocketError(closeCode: 1009, reason: "message too large")
}

/// Writes WebSocket frames.
///
/// ```
///  0               1               2 … 3 or 2 … 9        4 bytes, clients only
///  +-+---+-------+-+-------------+---------------------+-----------+--------- - -
///  |F|C00|opcode |M| length 0-125| 16 bits when 126,   | mask key  | payload
///  |I|   |       |A| 126 or 127  | 64 bits when 127    |           | (masked)
///  +-+---+-------+-+-------------+---------------------+-----------+--------- - -
/// ```
///
/// A frame from a server has no mask, so one frame serves every receiver. `C` says that the message is compressed, in
/// its first frame, where that was agreed on.
///
/// - Source: RFC 6455 §5.2, §5.3; RFC 7692 §6.
public enum WebSocketFrame {
    /// Returns a whole frame; `maskKey` masks it, as only clients do, and `compressed` says what its payload is.
    public static func encode(
        _ opcode: WebSocketOpcode, _ payload: Bytes, maskKey: UInt32? = nil, final: Bool = true,
        compressed: Bool = false
    ) -> Bytes {
        Bytes(reserving: 14 &+ payload.count) { output in
            let first = first(opcode, final: final, compressed: compressed)
            putHeader(first, payload.count, masked: maskKey != nil, into: &output)
            if let maskKey {
                output.putBigEndian(maskKey)
                output.put(payload.span, unmaskedWith: maskKey)
            } else {
                output.put(payload.span)
            }
        }
    }

    /// Returns the head of an unmasked final frame, for a payload of `length` bytes that follows by itself.
    public static func header(_ opcode: WebSocketOpcode, length: Int, compressed: Bool = false) -> Bytes {
        Bytes(reserving: 10) { output in
            putHeader(first(opcode, final: true, compressed: compressed), length, masked: false, into: &output)
        }
    }

    private static func first(_ opcode: WebSocketOpcode, final: Bool, compressed: Bool) -> UInt8 {
        (final ? 0x80 : 0) | (compressed ? 0x40 : 0) | opcode.rawValue
    }

    /// Returns a close frame; the reason is cut at a character boundary to fit 123 bytes.
    ///
    /// - Source: RFC 6455 §5.5.1.
    public static func close(code: UInt16?, reason: String = "", maskKey: UInt32? = nil) -> Bytes {
        guard let code else { return encode(.close, [], maskKey: maskKey) }
        var payload: Bytes = [UInt8(truncatingIfNeeded: code >> 8), UInt8(truncatingIfNeeded: code)]
        for scalar in reason.unicodeScalars {
            let bytes = String(scalar).utf8
            guard payload.count &+ bytes.count <= WebSocketHead.maxControlBytes else { break }
            payload.append(contentsOf: bytes)
        }
        return encode(.close, payload, maskKey: maskKey)
    }

    @inline(__always)
    private static func putHeader(
        _ first: UInt8, _ length: Int, masked: Bool, into output: inout OutputSpan<UInt8>
    ) {
        let maskBit: UInt8 = masked ? 0x80 : 0
        output.append(first)
        switch length {
        case ...125:
            output.append(maskBit | UInt8(truncatingIfNeeded: length))
        case ...0xFFFF:
            output.append(maskBit | 126)
            output.putBigEndian(UInt16(truncatingIfNeeded: length))
        default:
            output.append(maskBit | 127)
            output.putBigEndian(UInt64(length))
        }
    }
}

/// The head of one frame.
struct WebSocketHead {
    static let maxControlBytes = 125

    let opcode: WebSocketOpcode
    let isFinal: Bool
    let isCompressed: Bool
    let maskKey: UInt32
    /// Where the payload begins, counted from the head's first byte.
    let headLength: Int
    let payloadLength: Int
    var frameLength: Int { headLength &+ payloadLength }

    /// Reads the head at `offset`; nil when it has not all arrived.
    ///
    /// Every byte that is there is checked, so a fault shows as early as it can.
    static func read(
        _ input: Span<UInt8>, at offset: Int, expectsMask: Bool, allowsCompressed: Bool, room: Int
    ) throws(WebSocketError) -> WebSocketHead? {
        let available = input.count &- offset
        guard available >= 1 else { return nil }
        let first = input[offset]
        guard first & (allowsCompressed ? 0x30 : 0x70) == 0 else { throw .protocolError("reserved bit set") }
        guard let opcode = WebSocketOpcode(rawValue: first & 0xF) else {
            throw .protocolError("unknown opcode")
        }
        let isCompressed = first & 0x40 != 0
        guard !isCompressed || opcode == .text || opcode == .binary else {
            throw .protocolError("only the first frame of a message says that it is compressed")
        }
        let isFinal = first & 0x80 != 0
        guard isFinal || !opcode.isControl else { throw .protocolError("fragmented control frame") }
        guard available >= 2 else { return nil }
        let second = input[offset &+ 1]
        guard (second & 0x80 != 0) == expectsMask else {
            throw .protocolError(expectsMask ? "frame is not masked" : "frame is masked")
        }
        var length = UInt64(second & 0x7F)
        guard !opcode.isControl || length <= maxControlBytes else {
            throw .protocolError("control frame too long")
        }
        var headLength = 2
        if length >= 126 {
            headLength = length == 126 ? 4 : 10
            guard available >= headLength else { return nil }
            let isShort = length == 126
            length =
                isShort
                ? UInt64(input.bigEndian(UInt16.self, at: offset &+ 2))
                : input.bigEndian(UInt64.self, at: offset &+ 2)
            guard length > (isShort ? 125 : 0xFFFF) else {
                throw .protocolError("length not in its shortest form")
            }
            guard length <= UInt64(Int64.max) else { throw .protocolError("length over 63 bits") }
        }
        if !opcode.isControl, length > UInt64(max(0, room)) { throw .tooLarge }
        var maskKey: UInt32 = 0
        if expectsMask {
            headLength &+= 4
            guard available >= headLength else { return nil }
            maskKey = input.bigEndian(UInt32.self, at: offset &+ headLength &- 4)
        }
        return WebSocketHead(
            opcode: opcode, isFinal: isFinal, isCompressed: isCompressed, maskKey: maskKey,
            headLength: headLength, payloadLength: Int(length))
    }
}

extension OutputSpan<UInt8> {
    /// Appends `bytes` combined with the mask key; masking and unmasking are the same operation.
    ///
    /// Works on blocks of 64 bytes against a pattern as long, which the compiler turns into vector code:
    /// ten times as fast as byte by byte on long payloads.
    @inline(__always)
    mutating func put(_ bytes: Span<UInt8>, unmaskedWith key: UInt32) {
        let pattern = InlineArray<64, UInt8> { position in
            UInt8(truncatingIfNeeded: key &>> UInt32(24 &- (position & 3) &* 8))
        }
        let mask = pattern.span
        let base = count
        append(repeating: 0, count: bytes.count)
        var target = mutableSpan
        var start = 0
        while start < bytes.count {
            let end = Swift.min(bytes.count, start &+ 64)
            let source = bytes.extracting(start..<end)
            var block = target._mutatingExtracting((base &+ start)..<(base &+ end))
            for index in 0..<source.count {
                block[index] = source[index] ^ mask[index]
            }
            start = end
        }
    }
}
