// SPDX-License-Identifier: MIT
import PomeloBytes

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
