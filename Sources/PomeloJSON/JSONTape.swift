// SPDX-License-Identifier: MIT
import PomeloBytes

/// The bytes of a string, its escapes replaced; they are UTF-8.
struct JSONSlice {
    let offset: Int
    let count: Int
    /// They are the tape's own bytes, because they do not stand in the text as they are.
    let isCopied: Bool
    var range: Range<Int> { offset..<(offset &+ count) }
}

/// A value or a key; what a container holds follows it, up to `end`.
enum JSONNode {
    case null
    case bool(Bool)
    case int(Int64)
    case uint(UInt64)
    case double(Double)
    /// A whole double whose text was no whole number.
    case rounded(Double)
    case string(JSONSlice)
    case array(count: Int, end: Int)
    case object(count: Int, end: Int)
    /// Its value follows.
    case key(JSONSlice)
    /// A key that was there before: its value counts, its place does not.
    case repeated(JSONSlice)
    /// Stands for the first value of a repeated key.
    case moved(to: Int, end: Int)
}

/// A JSON text read into one flat list; strings stay in the text until somebody asks for them.
struct JSONTape {
    private let text: Bytes
    var copies: Bytes = []
    var nodes: [JSONNode] = []

    init(of text: Bytes) { self.text = text }

    /// Where the node after a value is.
    @inline(__always)
    func end(of value: Int) -> Int {
        switch nodes[value] {
        case .array(_, let end), .object(_, let end), .moved(_, let end): return end
        default: return value &+ 1
        }
    }

    /// The value of the key at a place.
    @inline(__always)
    func value(of key: Int) -> Int {
        if case .moved(let place, _) = nodes[key &+ 1] { return place }
        return key &+ 1
    }

    @inline(__always)
    func string(_ slice: JSONSlice) -> String {
        let bytes = slice.isCopied ? copies.span : text.span
        return bytes.extracting(slice.range).text() ?? ""
    }

    func bits(_ slice: JSONSlice) -> UInt64 {
        let bytes = slice.isCopied ? copies.span : text.span
        return Self.bits(bytes.extracting(slice.range))
    }

    /// The first key in a range that has the bytes of this one.
    @inline(__always)
    func key(_ name: String, from start: Int, to end: Int, atMost count: Int = .max) -> Int? {
        let wanted = name.utf8Span.span
        var key = start
        var rest = count
        while key < end, rest > 0 {
            if case .key(let slice) = nodes[key], areEqual(slice, wanted) { return key }
            key = self.end(of: key &+ 1)
            rest &-= 1
        }
        return nil
    }

    func areEqual(_ one: JSONSlice, _ other: JSONSlice) -> Bool {
        let bytes = other.isCopied ? copies.span : text.span
        return areEqual(one, bytes.extracting(other.range))
    }

    @inline(__always)
    private func areEqual(_ slice: JSONSlice, _ other: Span<UInt8>) -> Bool {
        guard slice.count == other.count else { return false }
        let bytes = slice.isCopied ? copies.span : text.span
        return bytes.extracting(slice.range).hasSameBytes(as: other)
    }

    /// Two of 64 bits for a key; other bits mean another key.
    @inline(__always)
    static func bits(_ name: Span<UInt8>) -> UInt64 {
        guard !name.isEmpty else { return 1 }
        let (first, last, count) = (name[0], name[name.count &- 1], UInt8(truncatingIfNeeded: name.count))
        return 1 &<< UInt64(first &* 3 &+ last &* 5 &+ count) | 1 &<< UInt64(first &+ last &* 11 ^ count &* 7)
    }

    /// Calls `visit` with the keys of an object and their places.
    func forEachKey(of object: Int, until end: Int, _ visit: (Int, JSONSlice) -> Void) {
        var key = object + 1
        while key < end {
            if case .key(let slice) = nodes[key] { visit(key, slice) }
            key = self.end(of: key + 1)
        }
    }

    /// The places of an object's keys.
    func positions(in object: Int, until end: Int) -> [Text: Int] {
        var table: [Text: Int] = [:]
        forEachKey(of: object, until: end) { key, slice in table[Text(string(slice))] = key }
        return table
    }

    func json(_ index: Int) -> JSON {
        switch nodes[index] {
        case .null, .key, .repeated, .moved: return .null
        case .bool(let value): return .bool(value)
        case .int(let number): return .int(number)
        case .uint(let number): return .uint(number)
        case .double(let number), .rounded(let number): return .double(number)
        case .string(let slice): return .string(string(slice))
        case .array(let count, let end):
            var elements: [JSON] = []
            elements.reserveCapacity(count)
            var element = index + 1
            while element < end {
                elements.append(json(element))
                element = self.end(of: element)
            }
            return .array(elements)
        case .object(let count, let end):
            var object = JSONObject(reserving: count)
            forEachKey(of: index, until: end) { key, slice in
                object.append(string(slice), json(value(of: key)))
            }
            return .object(object)
        }
    }
}

extension JSONTape {
    /// The tape of a value that was never text, or no longer is: all its strings are copies.
    init(_ json: JSON) {
        self.init(of: [])
        append(json)
    }

    private mutating func append(_ json: JSON) {
        switch json {
        case .null: nodes.append(.null)
        case .bool(let value): nodes.append(.bool(value))
        case .int(let number): nodes.append(.int(number))
        case .uint(let number): nodes.append(.uint(number))
        case .double(let number): nodes.append(.double(number))
        case .string(let text): nodes.append(.string(copy(text)))
        case .array(let elements):
            let place = nodes.count
            nodes.append(.null)
            for element in elements { append(element) }
            nodes[place] = .array(count: elements.count, end: nodes.count)
        case .object(let object):
            let place = nodes.count
            nodes.append(.null)
            for (key, value) in object {
                nodes.append(.key(copy(key)))
                append(value)
            }
            nodes[place] = .object(count: object.count, end: nodes.count)
        }
    }

    private mutating func copy(_ text: String) -> JSONSlice {
        let start = copies.count
        copies.put(text.utf8Span.span)
        return JSONSlice(offset: start, count: copies.count - start, isCopied: true)
    }
}
