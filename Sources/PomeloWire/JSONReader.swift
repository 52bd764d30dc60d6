// SPDX-License-Identifier: MIT

extension JSON {
    /// The deepest nesting of arrays and objects that is read.
    public static let maxDepth = 512

    /// Reads one JSON text, strictly as RFC 8259 has it.
    ///
    /// Where the standard leaves room: a repeated key keeps its first place and its last value, as in
    /// JavaScript; whole numbers beyond 64 bits become doubles; numbers beyond the range of a double are
    /// refused; an escaped lone surrogate becomes U+FFFD; a byte order mark is refused; invalid UTF-8 is
    /// refused, except that a surrogate pair encoded as two three-byte sequences is read as the character
    /// it means, because old JavaScript clients send that.
    ///
    /// - Throws: ``WireError/malformed(_:)``, also for nesting over ``maxDepth``.
    /// - Source: RFC 8259; pomelo-protocol 0.1.6, lib/protocol.js `strencode` (the surrogate pairs).
    public static func parse(_ text: Span<UInt8>) throws(WireError) -> JSON {
        var reader = JSONReader()
        let value = try reader.value(text, depth: 0)
        reader.skipSpace(text)
        guard reader.offset == text.count else { throw .malformed("JSON: text after the value") }
        return value
    }

    /// Reads one JSON text; see ``parse(_:)-(Span<UInt8>)``.
    ///
    /// - Throws: ``WireError/malformed(_:)``.
    public static func parse(_ text: Bytes) throws(WireError) -> JSON {
        try parse(text.span)
    }
}

/// One walk over a text; it holds a position only, so the span is handed to every step.
struct JSONReader {
    var offset = 0

    /// Objects with more keys than this get a table while they are read, so that a hostile one cannot
    /// cost quadratic time.
    private static let linearKeys = 16

    @inline(__always)
    func peek(_ text: Span<UInt8>) throws(WireError) -> UInt8 {
        guard offset < text.count else { throw .malformed("JSON: cut short") }
        return text[offset]
    }

    @inline(__always)
    mutating func skipSpace(_ text: Span<UInt8>) {
        while offset < text.count {
            switch text[offset] {
            case 0x20, 0x0A, 0x0D, 0x09: offset &+= 1
            default: return
            }
        }
    }

    mutating func value(_ text: Span<UInt8>, depth: Int) throws(WireError) -> JSON {
        skipSpace(text)
        switch try peek(text) {
        case UInt8(ascii: "\""):
            return .string(try string(text))
        case UInt8(ascii: "{"):
            return try object(text, depth: depth &+ 1)
        case UInt8(ascii: "["):
            return try array(text, depth: depth &+ 1)
        case UInt8(ascii: "t"):
            try literal(0x7472_7565, skip: 0, text)
            return .bool(true)
        case UInt8(ascii: "f"):
            try literal(0x616C_7365, skip: 1, text)
            return .bool(false)
        case UInt8(ascii: "n"):
            try literal(0x6E75_6C6C, skip: 0, text)
            return .null
        default:
            return try number(text)
        }
    }

    /// Checks the four bytes that end a literal, given as one big-endian number.
    @inline(__always)
    private mutating func literal(_ tail: UInt32, skip: Int, _ text: Span<UInt8>) throws(WireError) {
        let start = offset &+ skip
        guard text.count &- start >= 4, text.bigEndian(UInt32.self, at: start) == tail else {
            throw .malformed("JSON: unknown literal")
        }
        offset = start &+ 4
    }

    private mutating func array(_ text: Span<UInt8>, depth: Int) throws(WireError) -> JSON {
        guard depth <= JSON.maxDepth else { throw .malformed("JSON: nested too deep") }
        offset &+= 1
        skipSpace(text)
        var elements: [JSON] = []
        if try peek(text) == UInt8(ascii: "]") {
            offset &+= 1
            return .array(elements)
        }
        while true {
            elements.append(try value(text, depth: depth))
            skipSpace(text)
            let byte = try peek(text)
            offset &+= 1
            if byte == UInt8(ascii: "]") { return .array(elements) }
            guard byte == UInt8(ascii: ",") else { throw .malformed("JSON: expected , or ]") }
        }
    }

    private mutating func object(_ text: Span<UInt8>, depth: Int) throws(WireError) -> JSON {
        guard depth <= JSON.maxDepth else { throw .malformed("JSON: nested too deep") }
        offset &+= 1
        skipSpace(text)
        if try peek(text) == UInt8(ascii: "}") {
            offset &+= 1
            return .object(JSONObject())
        }
        var entries = JSONEntries()
        while true {
            guard try peek(text) == UInt8(ascii: "\"") else { throw .malformed("JSON: expected a key") }
            let key = try string(text)
            skipSpace(text)
            guard try peek(text) == UInt8(ascii: ":") else { throw .malformed("JSON: expected :") }
            offset &+= 1
            entries.set(key, try value(text, depth: depth), linearKeys: Self.linearKeys)
            skipSpace(text)
            let byte = try peek(text)
            offset &+= 1
            if byte == UInt8(ascii: "}") { return .object(entries.object) }
            guard byte == UInt8(ascii: ",") else { throw .malformed("JSON: expected , or }") }
            skipSpace(text)
        }
    }
}

/// Collects the entries of one object.
private struct JSONEntries {
    var object = JSONObject()
    private var table: [String: Int]?

    mutating func set(_ key: String, _ value: JSON, linearKeys: Int) {
        if table == nil, object.count > linearKeys {
            table = object.positions()
        }
        let known = table == nil ? object.position(key) : table?[key]
        if let known {
            object.replace(at: known, value)
        } else {
            table?[key] = object.count
            object.append(key, value)
        }
    }
}
