// SPDX-License-Identifier: MIT
import PomeloBytes

/// What all decoders and containers of one decoding share; they themselves are places in its tape.
final class JSONDocument {
    private let tape: JSONTape
    /// Where the document is, when it stands for a part of another that is not there.
    private let root: [any CodingKey]
    private let ledger: JSONKeyLedger?
    /// The key found last: types mostly ask for keys in the order in which they came.
    var last = (object: -1, key: 0)
    /// Of objects so large that searching them key by key could cost quadratic time.
    private var tables: [Int: [Text: Int]] = [:]
    private static let linearKeys = 32
    /// Where the last search for a path was, in each container.
    private var walked: [Int: (child: Int, position: Int)] = [:]
    private static let longestPath = 64
    /// Objects whose keys were listed: what a dictionary takes is chosen by who wrote the text.
    private var listed: Set<Int> = []

    init(_ tape: JSONTape, root: [any CodingKey] = [], ledger: JSONKeyLedger? = nil) {
        self.tape = tape
        self.root = root
        self.ledger = ledger
    }

    /// The decoder of a null that is not there.
    static func absent(_ key: any CodingKey, in path: [any CodingKey]) -> JSONValueDecoder {
        JSONValueDecoder(document: JSONDocument(JSONTape(.null), root: path + [key]), index: 0)
    }
}

/// Values, by place.
extension JSONDocument {
    func isNull(_ index: Int) -> Bool {
        if case .null = tape.nodes[index] { return true }
        return false
    }

    func bool(_ index: Int) throws -> Bool {
        guard case .bool(let value) = tape.nodes[index] else { throw mismatch("true or false", Bool.self, index) }
        return value
    }

    func string(_ index: Int) throws -> String {
        guard case .string(let slice) = tape.nodes[index] else { throw mismatch("a string", String.self, index) }
        return tape.string(slice)
    }

    func double(_ index: Int) throws -> Double { try number(index, as: Double.self) }

    func float(_ index: Int) throws -> Float {
        let number = try number(index, as: Float.self)
        let narrow = Float(number)
        guard narrow.isFinite || !number.isFinite else { throw outOfRange("a number that a Float holds", index) }
        return narrow
    }

    private func number(_ index: Int, as type: any Any.Type) throws -> Double {
        switch tape.nodes[index] {
        case .int(let number): return Double(number)
        case .uint(let number): return Double(number)
        case .double(let number), .rounded(let number): return number
        default: throw mismatch("a number", type, index)
        }
    }

    func integer<Value: FixedWidthInteger>(_ index: Int) throws -> Value {
        let value: Value?
        switch tape.nodes[index] {
        case .int(let number): value = Value(exactly: number)
        case .uint(let number): value = Value(exactly: number)
        case .double(let number) where number != number.rounded(): throw outOfRange("a whole number", index)
        case .double(let number): value = JSON.integer(number)
        case .rounded: value = nil
        default: throw mismatch("a number", Value.self, index)
        }
        guard let value else { throw outOfRange("a whole number from \(Value.min) to \(Value.max)", index) }
        return value
    }

    func json(_ index: Int) -> JSON { tape.json(index) }

    func decode<Value: Decodable>(_ type: Value.Type, at index: Int) throws -> Value {
        if type == JSON.self { return try same(json(index), index) }
        // Lists of text are common in messages, and costly element by element.
        if type == [String].self, let texts = texts(index) { return try same(texts, index) }
        return try Value(from: JSONValueDecoder(document: self, index: index))
    }

    /// Apart, because every call of a function that casts looks up the metadata of the optional.
    @inline(never)
    private func same<Value>(_ value: Any, _ index: Int) throws -> Value {
        guard let same = value as? Value else { throw mismatch("another type", Value.self, index) }
        return same
    }

    private func texts(_ index: Int) -> [String]? {
        guard case .array(let count, _) = tape.nodes[index] else { return nil }
        var texts: [String] = []
        texts.reserveCapacity(count)
        for element in (index &+ 1)..<(index &+ 1 &+ count) {
            guard case .string(let slice) = tape.nodes[element] else { return nil }
            texts.append(tape.string(slice))
        }
        return texts
    }
}

/// Containers.
extension JSONDocument {
    func open(object index: Int) throws -> Int {
        guard case .object = tape.nodes[index] else { throw mismatch("an object", JSONObject.self, index) }
        ledger?.open(index)
        return index
    }

    /// The number of elements.
    func open(array index: Int) throws -> Int {
        guard case .array(let count, _) = tape.nodes[index] else { throw mismatch("an array", [JSON].self, index) }
        return count
    }

    /// Where the value after another is.
    func next(after index: Int) -> Int { tape.end(of: index) }

    func list(keysOf object: Int) -> [String] {
        listed.insert(object)
        return keys(of: object)
    }

    func keys(of object: Int) -> [String] {
        var keys: [String] = []
        tape.forEachKey(of: object, until: tape.end(of: object)) { _, slice in
            keys.append(tape.string(slice))
        }
        return keys
    }

    /// The value of a key.
    func find(_ name: String, in object: Int) -> Int? {
        ledger?.ask(name, of: object)
        guard case .object(let count, let end) = tape.nodes[object] else { return nil }
        let first = object &+ 1
        let start = last.object == object ? last.key : first
        let isLarge = count > Self.linearKeys
        var key = tape.key(name, from: start, to: end, atMost: isLarge ? 2 : .max)
        if key == nil { key = isLarge ? table(object)[Text(name)] : tape.key(name, from: first, to: start) }
        guard let key else { return nil }
        last = (object, key)
        return tape.value(of: key)
    }

    private func table(_ object: Int) -> [Text: Int] {
        if let table = tables[object] { return table }
        let table = tape.positions(in: object, until: tape.end(of: object))
        tables[object] = table
        return table
    }
}

/// Faults.
extension JSONDocument {
    /// The keys on the way to a place, the outermost 64 of them, which nobody keeps while all goes well.
    ///
    /// Types that try one form after the other fail at each element of an array: a walk goes on from the one before,
    /// and none goes deep, else a hostile text could cost quadratic time.
    func path(to index: Int) -> [any CodingKey] {
        var path = root
        var container = 0
        while container != index, path.count < root.count + Self.longestPath {
            let isObject = if case .object = tape.nodes[container] { true } else { false }
            var at = walked[container] ?? (child: index + 1, position: 0)
            if at.child > index { at = (container + (isObject ? 2 : 1), 0) }
            while tape.end(of: at.child) <= index {
                at.child = tape.end(of: at.child) + (isObject ? 1 : 0)
                at.position += 1
            }
            walked[container] = at
            switch tape.nodes[at.child - 1] {
            case .key(let slice), .repeated(let slice):
                path.append(JSONKey(stringValue: tape.string(slice), isForeign: listed.contains(container)))
            default: path.append(JSONKey(intValue: at.position))
            }
            container = at.child
        }
        return path
    }

    func missing(_ key: any CodingKey, in object: Int) -> DecodingError {
        let context = DecodingError.Context(
            codingPath: path(to: object), debugDescription: "The object has no \"\(key.stringValue)\".")
        return .keyNotFound(key, context)
    }

    private func mismatch(_ wanted: String, _ type: any Any.Type, _ index: Int) -> DecodingError {
        let found: String
        switch tape.nodes[index] {
        case .bool: found = "a truth value"
        case .int, .uint, .double, .rounded: found = "a number"
        case .string: found = "a string"
        case .array: found = "an array"
        case .object: found = "an object"
        default: found = "null"
        }
        let context = DecodingError.Context(
            codingPath: path(to: index), debugDescription: "Expected \(wanted), found \(found).")
        return isNull(index) ? .valueNotFound(type, context) : .typeMismatch(type, context)
    }

    private func outOfRange(_ wanted: String, _ index: Int) -> DecodingError {
        let context = DecodingError.Context(
            codingPath: path(to: index), debugDescription: "Expected \(wanted), found another number.")
        return .dataCorrupted(context)
    }
}
