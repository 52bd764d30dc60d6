// SPDX-License-Identifier: MIT
public import PomeloBytes

/// Describes where the parts of a message lie, without copying any of them.
///
/// ```
///  +--------+------------------+----------------------+----------- - -
///  |  flag  |  id, varint      |  route               |  body
///  +--------+------------------+----------------------+----------- - -
///             request, response   request, notify, push
///
///  flag   bit 0 route is a code   bits 1-3 kind   bit 4 body is compressed   bits 5-7 ignored
///  id     base 128, least significant group first, high bit set on all but the last
///  route  bit 0 clear: length(1) and that many bytes of UTF-8;  bit 0 set: code(2), big-endian
/// ```
///
/// - Source: pomelo-protocol 0.1.6, lib/protocol.js `Message`; ids over 2^31-1 and truncated messages
///   are errors here, where the original loops or reads beyond the end.
public struct MessageHead: Equatable, Sendable {
    /// What the message is.
    public let kind: MessageKind
    /// The id of a request or response; 0 for the other kinds.
    public let id: UInt32
    /// The dictionary code, when the route is compressed.
    public let routeCode: UInt16?
    /// Where the route's UTF-8 lies; empty for a compressed or absent route.
    public let routeBytes: Range<Int>
    /// Where the body begins; it ends with the message.
    public let bodyStart: Int
    /// Whether the sender marked the body as compressed (bit 4).
    public let compressedBody: Bool

    /// Reads the head of one message.
    ///
    /// - Complexity: no allocation.
    /// - Throws: ``WireError/malformed(_:)`` for missing bytes and ids over 2^31-1;
    ///   ``WireError/unsupported(_:)`` for kinds 4 to 7.
    public static func decode(_ message: Span<UInt8>) throws(WireError) -> MessageHead {
        guard message.count > 0 else { throw .malformed("empty message") }
        let flag = message[0]
        guard let kind = MessageKind(rawValue: flag >> 1 & 7) else { throw .unsupported("message kind") }
        var offset = 1
        let id = kind.hasID ? try decodeID(message, &offset) : 0
        var code: UInt16?
        var route = offset..<offset
        if kind.hasRoute {
            if flag & 1 != 0 {
                guard message.count &- offset >= 2 else { throw .malformed("route code cut short") }
                code = message.bigEndian(UInt16.self, at: offset)
                offset &+= 2
                route = offset..<offset
            } else {
                guard offset < message.count else { throw .malformed("route length missing") }
                let length = Int(message[offset])
                offset &+= 1
                guard message.count &- offset >= length else { throw .malformed("route cut short") }
                route = offset..<(offset &+ length)
                offset &+= length
            }
        }
        return MessageHead(
            kind: kind, id: id, routeCode: code, routeBytes: route, bodyStart: offset,
            compressedBody: flag & 0x10 != 0)
    }

    /// Returns the route's text out of the message it was read from.
    ///
    /// - Throws: ``WireError/malformed(_:)`` when the bytes are not UTF-8 or `message` is another one.
    public func route(in message: Span<UInt8>) throws(WireError) -> String {
        guard routeBytes.upperBound <= message.count, let text = message.extracting(routeBytes).text() else {
            throw .malformed("route is not UTF-8")
        }
        return text
    }

    /// Copies the body out of the message it was read from.
    public func body(in message: Span<UInt8>) -> Bytes {
        guard bodyStart <= message.count else { return [] }
        return message.extracting(bodyStart..<message.count).copied()
    }

    private static func decodeID(_ message: Span<UInt8>, _ offset: inout Int) throws(WireError) -> UInt32 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while shift < 35 {
            guard offset < message.count else { throw .malformed("message id cut short") }
            let byte = message[offset]
            offset &+= 1
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 {
                guard value <= UInt64(Message.maxID) else { break }
                return UInt32(truncatingIfNeeded: value)
            }
            shift &+= 7
        }
        throw .malformed("message id over 2^31-1")
    }
}
