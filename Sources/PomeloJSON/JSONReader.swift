// SPDX-License-Identifier: MIT
public import PomeloBytes

extension JSON {
    /// The deepest nesting of arrays and objects that is read.
    public static let maxDepth = 512

    /// Reads one JSON text, strictly as RFC 8259 has it.
    ///
    /// Where the standard leaves room: a repeated key keeps its first place and its last value, as in
    /// JavaScript; whole numbers within 64 bits are exact however they are written, others are doubles; numbers beyond
    /// the range of a double are refused; a byte order mark is refused. Strings are always text: old JavaScript
    /// clients write a surrogate as three bytes, so that two of them are read as the character they mean, and a lone
    /// one, escaped or not, as U+FFFD; so is every other part of a string that is not UTF-8, each as the Encoding
    /// Standard divides them.
    ///
    /// - Throws: ``WireError/malformed(_:)``, also for nesting over ``maxDepth``.
    /// - Source: RFC 8259; pomelo-protocol 0.1.6, lib/protocol.js `strencode` (the surrogates); WHATWG Encoding
    ///   Standard, "UTF-8 decoder".
    public static func parse(_ text: Bytes) throws(WireError) -> JSON {
        try JSONReader.read(text).json(0)
    }

    /// Reads one JSON text; see ``parse(_:)-(Bytes)``.
    ///
    /// - Throws: ``WireError/malformed(_:)``.
    public static func parse(_ text: Span<UInt8>) throws(WireError) -> JSON {
        try parse(text.copied())
    }
}

extension JSON {
    /// Where and why a text is no JSON, for the people who wrote it: `line 3, column 7: expected , or }`.
    ///
    /// Lines and columns count from 1, columns in Unicode scalars; nil when the text is JSON.
    package static func fault(in text: Bytes) -> String? {
        guard let (offset, reason) = JSONReader.fault(in: text) else { return nil }
        let before = text[..<min(offset, text.count)]
        let line = 1 + before.count { $0 == UInt8(ascii: "\n") }
        let start = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        // Bytes that continue a scalar are not counted.
        let column = 1 + before[start...].count { $0 & 0xC0 != 0x80 }
        guard case .malformed(let text) = reason else { return "line \(line), column \(column): \(reason)" }
        return "line \(line), column \(column): \(text.replacing("JSON: ", with: ""))"
    }
}

/// One walk over a text; the span is handed to every step.
struct JSONReader {
    var offset = 0
    var tape: JSONTape

    static func read(_ text: Bytes) throws(WireError) -> JSONTape {
        var reader = JSONReader(tape: JSONTape(of: text))
        try reader.whole(text.span)
        return reader.tape
    }

    /// Where reading stops, and why; nil when the text is JSON.
    static func fault(in text: Bytes) -> (offset: Int, reason: WireError)? {
        var reader = JSONReader(tape: JSONTape(of: text))
        do throws(WireError) {
            try reader.whole(text.span)
            return nil
        } catch {
            return (reader.offset, error)
        }
    }

    private mutating func whole(_ text: Span<UInt8>) throws(WireError) {
        tape.nodes.reserveCapacity(text.count / 6 &+ 4)
        try value(text, depth: 0)
        skipSpace(text)
        guard offset == text.count else { throw .malformed("JSON: text after the value") }
    }

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

    private mutating func value(_ text: Span<UInt8>, depth: Int) throws(WireError) {
        skipSpace(text)
        switch try peek(text) {
        case UInt8(ascii: "\""):
            tape.nodes.append(.string(try string(text)))
        case UInt8(ascii: "{"):
            try object(text, depth: depth &+ 1)
        case UInt8(ascii: "["):
            try array(text, depth: depth &+ 1)
        case UInt8(ascii: "t"):
            try literal(0x7472_7565, skip: 0, text)
            tape.nodes.append(.bool(true))
        case UInt8(ascii: "f"):
            try literal(0x616C_7365, skip: 1, text)
            tape.nodes.append(.bool(false))
        case UInt8(ascii: "n"):
            try literal(0x6E75_6C6C, skip: 0, text)
            tape.nodes.append(.null)
        default:
            tape.nodes.append(try number(text))
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

    /// Steps into a container; false when it is empty.
    private mutating func open(_ text: Span<UInt8>, depth: Int, close: UInt8) throws(WireError) -> Bool {
        guard depth <= JSON.maxDepth else { throw .malformed("JSON: nested too deep") }
        tape.nodes.append(.null)
        offset &+= 1
        skipSpace(text)
        guard try peek(text) == close else { return true }
        offset &+= 1
        return false
    }

    private mutating func array(_ text: Span<UInt8>, depth: Int) throws(WireError) {
        let array = tape.nodes.count
        var count = 0
        var isOpen = try open(text, depth: depth, close: UInt8(ascii: "]"))
        while isOpen {
            try value(text, depth: depth)
            count &+= 1
            skipSpace(text)
            let byte = try peek(text)
            isOpen = byte == UInt8(ascii: ",")
            guard isOpen || byte == UInt8(ascii: "]") else { throw .malformed("JSON: expected , or ]") }
            offset &+= 1
        }
        tape.nodes[array] = .array(count: count, end: tape.nodes.count)
    }

    private mutating func object(_ text: Span<UInt8>, depth: Int) throws(WireError) {
        var keys = JSONKeys(object: tape.nodes.count)
        var isOpen = try open(text, depth: depth, close: UInt8(ascii: "}"))
        while isOpen {
            guard try peek(text) == UInt8(ascii: "\"") else { throw .malformed("JSON: expected a key") }
            let key = try string(text)
            skipSpace(text)
            guard try peek(text) == UInt8(ascii: ":") else { throw .malformed("JSON: expected :") }
            offset &+= 1
            keys.append(key, to: &tape)
            try value(text, depth: depth)
            skipSpace(text)
            let byte = try peek(text)
            isOpen = byte == UInt8(ascii: ",")
            guard isOpen || byte == UInt8(ascii: "}") else { throw .malformed("JSON: expected , or }") }
            offset &+= 1
            if isOpen { skipSpace(text) }
        }
        tape.nodes[keys.object] = .object(count: keys.count, end: tape.nodes.count)
    }
}

/// Finds the repeated keys of one object while it is read.
private struct JSONKeys {
    let object: Int
    private(set) var count = 0
    /// The bits of every key there is.
    private var seen: UInt64 = 0
    /// Objects with more keys than this get a table, so that a hostile one cannot cost quadratic time.
    private static let linearKeys = 16
    private var table: [Text: Int] = [:]

    init(object: Int) { self.object = object }

    mutating func append(_ key: JSONSlice, to tape: inout JSONTape) {
        let place = tape.nodes.count
        if let first = first(key, at: place, tape) {
            tape.nodes[first &+ 1] = .moved(to: place &+ 1, end: tape.end(of: first &+ 1))
            tape.nodes.append(.repeated(key))
        } else {
            tape.nodes.append(.key(key))
            count &+= 1
        }
    }

    /// The place of the same key, when there is one.
    @inline(__always)
    private mutating func first(_ key: JSONSlice, at place: Int, _ tape: JSONTape) -> Int? {
        if count < Self.linearKeys {
            let bits = tape.bits(key)
            guard seen & bits == bits else {
                seen |= bits
                return nil
            }
        }
        return search(key, at: place, tape)
    }

    private mutating func search(_ key: JSONSlice, at place: Int, _ tape: JSONTape) -> Int? {
        if count >= Self.linearKeys {
            if table.isEmpty { table = tape.positions(in: object, until: place) }
            let name = Text(tape.string(key))
            if let first = table[name] { return first }
            table[name] = place
            return nil
        }
        var other = object &+ 1
        while other < place {
            if case .key(let slice) = tape.nodes[other], tape.areEqual(slice, key) { return other }
            other = tape.end(of: other &+ 1)
        }
        return nil
    }
}
