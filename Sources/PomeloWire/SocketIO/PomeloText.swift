// SPDX-License-Identifier: MIT
public import PomeloBytes

/// A message of pomelo's client as the text that travels over socket.io.
///
/// ```
///  4 characters   1 character             length units   the rest
///  id, 0..255     length of the route,    route          body, JSON
///  each, high     0..255 UTF-16 units
///  first
/// ```
///
/// - Source: pomelo 2.2.7, lib/connectors/sioconnector.js `decode`; pomelo-jsclient-socket.io.
public struct PomeloText: Equatable, Sendable {
    /// The id of a request; 0 for a notification.
    public let id: UInt32
    /// Where the route stands in the text that this head was read from.
    package let routeRange: Range<Int>

    /// Reads the head of a message from its UTF-8.
    ///
    /// - Throws: ``WireError/malformed(_:)`` when it is cut short, holds a character above U+00FF in its first five, or
    ///   is no UTF-8.
    public init(_ text: Span<UInt8>) throws(WireError) {
        guard text.isUTF8 else { throw .malformed("pomelo text is not UTF-8") }
        var offset = 0
        var id: UInt32 = 0
        for _ in 0..<4 { id = id << 8 | UInt32(try Self.character(text, &offset)) }
        self.id = id
        let length = Int(try Self.character(text, &offset))
        let start = offset
        try EngineIOCounting.utf16.skip(length, text, &offset)
        routeRange = start..<offset
    }

    /// Returns the route out of the text that this head was read from.
    ///
    /// - Throws: ``WireError/malformed(_:)`` when `text` is another one.
    public func route(in text: Span<UInt8>) throws(WireError) -> String {
        guard routeRange.upperBound <= text.count, let route = text.extracting(routeRange).text() else {
            throw .malformed("route is not UTF-8")
        }
        return route
    }

    /// Copies the body out of the text that this head was read from.
    public func body(in text: Span<UInt8>) -> Bytes {
        guard routeRange.upperBound <= text.count else { return [] }
        return text.extracting(routeRange.upperBound...).copied()
    }

    /// Returns the text of a request, as clients write it; for tests and clients.
    ///
    /// - Throws: ``WireError/tooLarge(limit:)`` for a route over 255 UTF-16 units.
    public static func encode(id: UInt32, route: String, body: Bytes) throws(WireError) -> Bytes {
        guard route.utf16.count <= 255 else { throw .tooLarge(limit: 255) }
        var text = ""
        for shift in [24, 16, 8, 0] as [UInt32] {
            text.unicodeScalars.append(Unicode.Scalar(UInt8(truncatingIfNeeded: id >> shift)))
        }
        text.unicodeScalars.append(Unicode.Scalar(UInt8(truncatingIfNeeded: route.utf16.count)))
        return Bytes((text + route).utf8) + body
    }

    /// A character from U+0000 to U+00FF.
    private static func character(_ text: Span<UInt8>, _ offset: inout Int) throws(WireError) -> UInt8 {
        guard offset < text.count else { throw .malformed("pomelo text cut short") }
        let byte = text[offset]
        offset &+= 1
        if byte < 0x80 { return byte }
        guard byte < 0xC4, offset < text.count else { throw .malformed("pomelo text: head above U+00FF") }
        offset &+= 1
        return byte << 6 | text[offset &- 1] & 0x3F
    }
}
