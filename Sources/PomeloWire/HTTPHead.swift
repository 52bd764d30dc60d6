// SPDX-License-Identifier: MIT

/// The head of an HTTP/1.1 request.
public struct UpgradeRequest: Equatable, Sendable {
    /// One header line.
    public struct Header: Equatable, Sendable {
        /// The name, in lower case.
        public let name: String
        /// The value without surrounding blanks.
        public let value: String
    }

    /// The method, as written.
    public let method: String
    /// The request target, which begins with a slash.
    public let path: String
    /// Whether the request says HTTP/1.1 rather than 1.0.
    public let isHTTP11: Bool
    /// The headers in order.
    public let headers: [Header]

    /// All values of a header; `name` in lower case.
    public func values(_ name: String) -> [String] {
        headers.filter { $0.name == name }.map(\.value)
    }

    /// The elements of a comma-separated header, over all its lines.
    func elements(_ name: String) -> [String] {
        values(name).flatMap { $0.split(separator: ",") }.map { HTTPHead.trimmed($0) }.filter { !$0.isEmpty }
    }
}

/// Collects the head of one HTTP request.
///
/// Strict where leniency has led to attacks: lines end in CR LF, names are tokens right before their colon,
/// no folded lines, no control characters.
///
/// - Source: RFC 9112 §2 to §5.
public struct UpgradeDecoder: Sendable {
    /// What the bytes so far amount to.
    public enum Step: Equatable, Sendable {
        /// The head has not ended yet.
        case needMore
        /// A whole head; it took `consumed` bytes of the last input, the rest belongs to what comes next.
        case request(UpgradeRequest, consumed: Int)
    }

    /// The longest head accepted, in bytes.
    public let maxHeadBytes: Int
    private var carry = Carry()

    /// Creates a decoder.
    public init(maxHeadBytes: Int = 8192) {
        self.maxHeadBytes = maxHeadBytes
    }

    /// Reads the next bytes of the stream.
    ///
    /// - Throws: ``WireError/malformed(_:)`` (answer 400) or ``WireError/tooLarge(limit:)`` (answer 431); the
    ///   stream cannot be used afterwards.
    public mutating func decode(_ input: Span<UInt8>) throws(WireError) -> Step {
        let before = carry.bytes.count
        var offset = 0
        _ = carry.fill(to: maxHeadBytes, from: input, &offset)
        let held = carry.bytes
        // The end may have begun in earlier input.
        guard let end = HTTPHead.end(held.span, from: max(0, before &- 3)) else {
            if held.count >= maxHeadBytes { throw .tooLarge(limit: maxHeadBytes) }
            return .needMore
        }
        _ = carry.take()
        let request = try HTTPHead.parse(held.span.extracting(0..<end))
        return .request(request, consumed: end &- before)
    }
}

/// The grammar of a request head.
enum HTTPHead {
    private static let maxHeaders = 64

    /// The position after the empty line that ends a head.
    static func end(_ bytes: Span<UInt8>, from start: Int) -> Int? {
        var index = start
        while index &+ 3 < bytes.count {
            if bytes[index] == 13, bytes[index &+ 1] == 10, bytes[index &+ 2] == 13, bytes[index &+ 3] == 10 {
                return index &+ 4
            }
            index &+= 1
        }
        return nil
    }

    static func parse(_ head: Span<UInt8>) throws(WireError) -> UpgradeRequest {
        var offset = 0
        let first = try line(head, &offset)
        let parts = first.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard parts.count == 3, !parts[0].isEmpty, parts[0].allSatisfy(isToken),
            parts[1].first == UInt8(ascii: "/"), parts[1].allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { throw .malformed("HTTP request line") }
        let version = text(parts[2])
        guard version == "HTTP/1.1" || version == "HTTP/1.0" else { throw .malformed("HTTP version") }
        var headers: [UpgradeRequest.Header] = []
        while true {
            let next = try line(head, &offset)
            if next.isEmpty { break }
            guard headers.count < maxHeaders else { throw .malformed("HTTP: too many headers") }
            headers.append(try header(next))
        }
        return UpgradeRequest(
            method: text(parts[0]), path: text(parts[1]), isHTTP11: version == "HTTP/1.1", headers: headers)
    }

    private static func line(_ head: Span<UInt8>, _ offset: inout Int) throws(WireError) -> Bytes {
        var end = offset
        while end < head.count, head[end] != 13 {
            let byte = head[end]
            guard byte >= 0x20 || byte == 9, byte != 0x7F else { throw .malformed("HTTP: control character") }
            end &+= 1
        }
        guard end &+ 1 < head.count, head[end &+ 1] == 10 else {
            throw .malformed("HTTP: line does not end in CR LF")
        }
        let line = head.extracting(offset..<end).copied()
        offset = end &+ 2
        return line
    }

    private static func header(_ line: Bytes) throws(WireError) -> UpgradeRequest.Header {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > 0,
            line[..<colon].allSatisfy(isToken)
        else {
            throw .malformed("HTTP header name")
        }
        let lowered = line[..<colon].map { byte in
            (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
        }
        return UpgradeRequest.Header(
            name: text(lowered[...]), value: trimmed(Substring(text(line[(colon + 1)...]))))
    }

    /// Header values may hold bytes beyond ASCII of no stated encoding; they are only ever compared.
    ///
    /// Each byte becomes one scalar, as in ISO 8859-1: none of these combines with another.
    private static func text(_ bytes: ArraySlice<UInt8>) -> String {
        var scalars = String.UnicodeScalarView()
        for byte in bytes { scalars.append(Unicode.Scalar(byte)) }
        return String(scalars)
    }

    static func trimmed(_ text: Substring) -> String {
        var utf8 = text.utf8[...]
        while let byte = utf8.first, byte == 0x20 || byte == 9 { utf8.removeFirst() }
        while let byte = utf8.last, byte == 0x20 || byte == 9 { utf8.removeLast() }
        return String(Substring(utf8))
    }

    static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            return true
        default:
            return Self.marks.contains(byte)
        }
    }

    private static let marks = Bytes("!#$%&'*+-.^_`|~".utf8)
}
