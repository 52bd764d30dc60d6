// SPDX-License-Identifier: MIT
import PomeloBytes

/// A JSON value.
///
/// Whole numbers that fit 64 bits, with a sign or without, stay exact; other numbers are doubles. Two values are equal
/// when they hold the same data: `1` equals `1.0`, and the order of an object's keys does not matter. Texts are the
/// same when their bytes are, as ``Text`` has it.
public enum JSON: Sendable {
    /// The literal null.
    case null
    /// The literal true or false.
    case bool(Bool)
    /// A whole number within 64 bits, of which one is the sign.
    case int(Int64)
    /// A whole number within 64 bits; a text gives it only for those above `Int64.max`.
    case uint(UInt64)
    /// Any other number.
    case double(Double)
    /// Text.
    case string(String)
    /// A list.
    case array([JSON])
    /// Keys and values, in order.
    case object(JSONObject)
}

/// The keys and values of a JSON object, in the order of insertion.
///
/// Keys are the same when their bytes are: two spellings of one character are two keys.
///
/// - Complexity: look-up is linear, which is fastest for the small objects messages are made of.
public struct JSONObject: Sendable {
    /// The keys, each once.
    public private(set) var keys: [String]
    /// The values, at the positions of their keys.
    public private(set) var values: [JSON]

    /// Creates an empty object.
    public init() {
        keys = []
        values = []
    }

    /// Creates an empty object with room for so many keys.
    init(reserving count: Int) {
        self.init()
        keys.reserveCapacity(count)
        values.reserveCapacity(count)
    }

    /// The number of keys.
    public var count: Int { keys.count }
    /// Whether there is no key.
    public var isEmpty: Bool { keys.isEmpty }

    /// Reads, sets or (with nil) removes the value of a key; a new key goes to the end.
    public subscript(key: String) -> JSON? {
        get {
            guard let index = position(key) else { return nil }
            return values[index]
        }
        set {
            switch (position(key), newValue) {
            case (let index?, let value?):
                values[index] = value
            case (let index?, nil):
                keys.remove(at: index)
                values.remove(at: index)
            case (nil, let value?):
                append(key, value)
            case (nil, nil):
                break
            }
        }
    }

    private func position(_ key: String) -> Int? {
        // By index: an iterator would retain every key it passes.
        for index in 0..<keys.count where Text(keys[index]) == Text(key) {
            return index
        }
        return nil
    }

    /// The caller guarantees that the key is new.
    mutating func append(_ key: String, _ value: JSON) {
        if keys.capacity == 0 {
            // Most messages have a handful of keys: one allocation instead of four.
            keys.reserveCapacity(8)
            values.reserveCapacity(8)
        }
        keys.append(key)
        values.append(value)
    }

    private func positions() -> [Text: Int] {
        var table: [Text: Int] = [:]
        table.reserveCapacity(count)
        for (index, key) in keys.enumerated() {
            table[Text(key)] = index
        }
        return table
    }
}

extension JSON {
    /// The value of a key, or nil when this is no object or lacks the key.
    public subscript(key: String) -> JSON? {
        guard case .object(let object) = self else { return nil }
        return object[key]
    }

    /// Whether this is null.
    public var isNull: Bool {
        if case .null = self { return true }
        return false
    }

    /// The text, when this is a string.
    public var string: String? {
        if case .string(let text) = self { return text }
        return nil
    }

    /// The whole number, when this is one that fits, in any form.
    ///
    /// A double from 2^53 on stands for any of several whole numbers, and so for none.
    public var int: Int64? { integer() }

    /// The whole number, when this is one that fits, in any form; see ``int``.
    public var uint: UInt64? { integer() }

    private func integer<Value: FixedWidthInteger>() -> Value? {
        switch self {
        case .int(let number): return Value(exactly: number)
        case .uint(let number): return Value(exactly: number)
        case .double(let number): return JSON.integer(number)
        default: return nil
        }
    }

    static func integer<Value: FixedWidthInteger>(_ number: Double) -> Value? {
        number.magnitude < firstUnsafe ? Value(exactly: number) : nil
    }

    /// Below 2^53 a double stands for one whole number only.
    ///
    /// - Source: ECMAScript, `Number.MAX_SAFE_INTEGER`.
    static let firstUnsafe = 0x1p53

    /// The number, when this is one.
    public var double: Double? {
        switch self {
        case .int(let number): return Double(number)
        case .uint(let number): return Double(number)
        case .double(let number): return number
        default: return nil
        }
    }

    /// The truth value, when this is one.
    public var bool: Bool? {
        if case .bool(let value) = self { return value }
        return nil
    }

    /// The elements, when this is an array.
    public var array: [JSON]? {
        if case .array(let elements) = self { return elements }
        return nil
    }

    /// The object, when this is one.
    public var object: JSONObject? {
        if case .object(let object) = self { return object }
        return nil
    }

    /// Whether JavaScript takes the value for true in a condition: not null, false, 0, NaN or "".
    public var isTruthy: Bool {
        switch self {
        case .null: return false
        case .bool(let value): return value
        case .int(let number): return number != 0
        case .uint(let number): return number != 0
        case .double(let number): return number != 0 && !number.isNaN
        case .string(let text): return !text.isEmpty
        case .array, .object: return true
        }
    }
}

extension JSON: Hashable {
    /// Compares as data: `1` equals `1.0`, key order does not count.
    public static func == (left: JSON, right: JSON) -> Bool {
        switch (left, right) {
        case (.null, .null): return true
        case (.bool(let one), .bool(let other)): return one == other
        case (.int(let one), .int(let other)): return one == other
        case (.uint(let one), .uint(let other)): return one == other
        case (.double(let one), .double(let other)): return one == other
        case (.int(let one), .uint(let other)), (.uint(let other), .int(let one)): return one == other
        case (.int(let whole), .double(let number)), (.double(let number), .int(let whole)):
            return Int64(exactly: number) == whole
        case (.uint(let whole), .double(let number)), (.double(let number), .uint(let whole)):
            return UInt64(exactly: number) == whole
        case (.string(let one), .string(let other)): return Text(one) == Text(other)
        case (.array(let one), .array(let other)): return one == other
        case (.object(let one), .object(let other)): return one == other
        default: return false
        }
    }

    /// Feeds the value into a hasher, equal values alike.
    public func hash(into hasher: inout Hasher) {
        switch self {
        case .null: hasher.combine(0)
        case .bool(let value): hasher.combine(value)
        // Bit patterns: a number has the same in both whole forms.
        case .int(let number): hasher.combine(UInt64(bitPattern: number))
        case .uint(let number): hasher.combine(number)
        case .double(let number):
            if let whole = Int64(exactly: number) {
                hasher.combine(UInt64(bitPattern: whole))
            } else if let whole = UInt64(exactly: number) {
                hasher.combine(whole)
            } else {
                hasher.combine(number)
            }
        case .string(let text): hasher.combine(Text(text))
        case .array(let elements): hasher.combine(elements)
        case .object(let object): hasher.combine(object)
        }
    }
}

extension JSONObject: Hashable {
    /// Compares keys and values without regard to order.
    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        guard left.count == right.count else { return false }
        if left.keys.elementsEqual(right.keys, by: { Text($0) == Text($1) }) { return left.values == right.values }
        let table = right.positions()
        for (index, key) in left.keys.enumerated() {
            guard let position = table[Text(key)], right.values[position] == left.values[index] else {
                return false
            }
        }
        return true
    }

    /// Feeds the entries into a hasher so that their order does not count.
    public func hash(into hasher: inout Hasher) {
        var sum = 0
        for (key, value) in zip(keys, values) {
            var entry = Hasher()
            entry.combine(Text(key))
            entry.combine(value)
            sum &+= entry.finalize()
        }
        hasher.combine(sum)
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    /// Creates an object from a literal; a repeated key keeps its first place and its last value.
    public init(dictionaryLiteral elements: (String, JSON)...) {
        self.init()
        for (key, value) in elements {
            self[key] = value
        }
    }
}

extension JSON: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral
{
    /// Creates null.
    public init(nilLiteral: ()) { self = .null }
    /// Creates a truth value.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// Creates a whole number.
    public init(integerLiteral value: Int64) { self = .int(value) }
    /// Creates a number.
    public init(floatLiteral value: Double) { self = .double(value) }
    /// Creates text.
    public init(stringLiteral value: String) { self = .string(value) }
    /// Creates a list.
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }
    /// Creates an object; a repeated key keeps its first place and its last value.
    public init(dictionaryLiteral elements: (String, JSON)...) {
        var object = JSONObject()
        for (key, value) in elements {
            object[key] = value
        }
        self = .object(object)
    }
}
