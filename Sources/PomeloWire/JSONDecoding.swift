// SPDX-License-Identifier: MIT

/// Turns JSON text into Swift values and back through `Codable`.
public enum JSONCoder {
    /// Reads a value from JSON text.
    ///
    /// A number without a fraction decodes as an integer in either spelling (`3`, `3.0`), with a range
    /// check; no other type is converted into another. Asking for ``JSON`` itself skips `Codable`.
    ///
    /// - Throws: `DecodingError` with the coding path; `.dataCorrupted` for text that is no JSON.
    public static func decode<Value: Decodable>(_ type: Value.Type, from bytes: Bytes) throws -> Value {
        try decode(type, from: bytes.span)
    }

    /// Reads a value from JSON text; see ``decode(_:from:)-(_,Bytes)``.
    ///
    /// - Throws: `DecodingError`.
    public static func decode<Value: Decodable>(_ type: Value.Type, from bytes: Span<UInt8>) throws -> Value {
        let json: JSON
        do {
            json = try JSON.parse(bytes)
        } catch {
            let context = DecodingError.Context(
                codingPath: [], debugDescription: "The bytes are no JSON.", underlyingError: error)
            throw DecodingError.dataCorrupted(context)
        }
        return try decode(type, from: json)
    }

    /// Reads a value from JSON already parsed.
    ///
    /// - Throws: `DecodingError`.
    public static func decode<Value: Decodable>(_ type: Value.Type, from json: JSON) throws -> Value {
        if Value.self == JSON.self, let same = json as? Value { return same }
        return try Value(from: JSONValueDecoder(json))
    }

    /// What becomes of keys that a type never asks for.
    public enum UnknownKeys: Sendable {
        /// As in messages: a newer peer may say more.
        case ignored
        /// As in configuration: a misspelled option must not count as absent.
        case refused
    }

    /// Reads a value from JSON already parsed.
    ///
    /// - Throws: `DecodingError`; when unknown keys are refused, `.dataCorrupted` with the path of an object and the
    ///   keys in it that the type never asked for. What is decoded as ``JSON`` may hold any.
    public static func decode<Value: Decodable>(
        _ type: Value.Type, from json: JSON, unknownKeys: UnknownKeys
    ) throws -> Value {
        guard unknownKeys == .refused else { return try decode(type, from: json) }
        let ledger = JSONKeyLedger()
        let value = try JSONValueDecoder(json, ledger: ledger).decode(type)
        try ledger.check()
        return value
    }
}

/// Remembers which keys of which objects a decoding asked for.
final class JSONKeyLedger {
    private var objects: [(path: JSONPath?, keys: [String])] = []
    private var asked: [String: Set<String>] = [:]

    private func place(_ path: JSONPath?) -> String {
        JSONPath.list(path).map(\.stringValue).joined(separator: "\u{0}")
    }

    func opened(_ object: JSONObject, at path: JSONPath?) { objects.append((path, object.keys)) }

    func ask(_ key: String, at path: JSONPath?) { asked[place(path), default: []].insert(key) }

    func check() throws {
        for (path, keys) in objects {
            let unknown = keys.filter { asked[place(path)]?.contains($0) != true }
            guard unknown.isEmpty else {
                let context = DecodingError.Context(
                    codingPath: JSONPath.list(path),
                    debugDescription: "unknown key \(unknown.joined(separator: ", "))")
                throw DecodingError.dataCorrupted(context)
            }
        }
    }
}

/// A step on the way from the root; the keys are only made into a list when an error needs them.
final class JSONPath: Sendable {
    let parent: JSONPath?
    let key: any CodingKey

    init(_ parent: JSONPath?, _ key: any CodingKey) {
        self.parent = parent
        self.key = key
    }

    static func list(_ path: JSONPath?) -> [any CodingKey] {
        var keys: [any CodingKey] = []
        var step = path
        while let here = step {
            keys.append(here.key)
            step = here.parent
        }
        return keys.reversed()
    }
}

/// A key made from text or a position.
struct JSONKey: CodingKey {
    let stringValue: String
    let intValue: Int?

    init(stringValue: String) {
        self.stringValue = stringValue
        intValue = nil
    }

    init(intValue: Int) {
        stringValue = String(intValue)
        self.intValue = intValue
    }

    static let parent = JSONKey(stringValue: "super")
}

/// The place of an array element; its text is made only when someone asks.
struct JSONPosition: CodingKey {
    let index: Int
    var stringValue: String { String(index) }
    var intValue: Int? { index }

    init(index: Int) { self.index = index }
    init?(stringValue: String) { nil }
    init?(intValue: Int) { index = intValue }
}

/// The decoder of one value; it is also its single-value container.
///
/// A class, because as a struct it would be too large to travel as `any Decoder` without being boxed and
/// copied at every step.
final class JSONValueDecoder: Decoder {
    let json: JSON
    private let parent: JSONPath?
    private let key: (any CodingKey)?
    private let ledger: JSONKeyLedger?
    var codingPath: [any CodingKey] { JSONPath.list(path) }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    init(_ json: JSON, parent: JSONPath? = nil, key: (any CodingKey)? = nil, ledger: JSONKeyLedger? = nil) {
        self.json = json
        self.parent = parent
        self.key = key
        self.ledger = ledger
    }

    /// Made only when a container or an error needs it: scalars do without.
    private var path: JSONPath? {
        guard let key else { return parent }
        return JSONPath(parent, key)
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard case .object(let object) = json else { throw mismatch("an object", [String: JSON].self) }
        return KeyedDecodingContainer(JSONKeyedDecoding<Key>(object, path: path, ledger: ledger))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard case .array(let elements) = json else { throw mismatch("an array", [JSON].self) }
        return JSONUnkeyedDecoding(elements, path: path, ledger: ledger)
    }

    func singleValueContainer() -> any SingleValueDecodingContainer { self }

    func mismatch(_ wanted: String, _ type: any Any.Type) -> DecodingError {
        let found: String
        switch json {
        case .null: found = "null"
        case .bool: found = "a truth value"
        case .int, .double: found = "a number"
        case .string: found = "a string"
        case .array: found = "an array"
        case .object: found = "an object"
        }
        let context = DecodingError.Context(
            codingPath: codingPath, debugDescription: "Expected \(wanted), found \(found).")
        if case .null = json { return .valueNotFound(type, context) }
        return .typeMismatch(type, context)
    }

    func outOfRange(_ type: any Any.Type) -> DecodingError {
        let context = DecodingError.Context(
            codingPath: codingPath, debugDescription: "The number does not fit \(type).")
        return .dataCorrupted(context)
    }
}

extension JSONValueDecoder: SingleValueDecodingContainer {
    func decodeNil() -> Bool { json.isNull }

    func decode(_ type: Bool.Type) throws -> Bool {
        guard case .bool(let value) = json else { throw mismatch("true or false", type) }
        return value
    }

    func decode(_ type: String.Type) throws -> String {
        guard case .string(let text) = json else { throw mismatch("a string", type) }
        return text
    }

    func decode(_ type: Double.Type) throws -> Double {
        guard let number = json.double else { throw mismatch("a number", type) }
        return number
    }

    func decode(_ type: Float.Type) throws -> Float {
        guard let number = json.double else { throw mismatch("a number", type) }
        let narrow = Float(number)
        guard narrow.isFinite || !number.isFinite else { throw outOfRange(type) }
        return narrow
    }

    func decode(_ type: Int.Type) throws -> Int { try integer(type) }
    func decode(_ type: Int8.Type) throws -> Int8 { try integer(type) }
    func decode(_ type: Int16.Type) throws -> Int16 { try integer(type) }
    func decode(_ type: Int32.Type) throws -> Int32 { try integer(type) }
    func decode(_ type: Int64.Type) throws -> Int64 { try integer(type) }
    func decode(_ type: Int128.Type) throws -> Int128 { try integer(type) }
    func decode(_ type: UInt.Type) throws -> UInt { try integer(type) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try integer(type) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try integer(type) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try integer(type) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try integer(type) }
    func decode(_ type: UInt128.Type) throws -> UInt128 { try integer(type) }

    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        if type == JSON.self, let same = json as? Value { return same }
        // Lists of text are common in messages, and costly element by element.
        if type == [String].self, case .array(let elements) = json {
            let texts = elements.compactMap(\.string)
            if texts.count == elements.count, let same = texts as? Value { return same }
        }
        return try Value(from: self)
    }

    private func integer<Value: FixedWidthInteger>(_ type: Value.Type) throws -> Value {
        switch json {
        case .int(let number):
            guard let value = Value(exactly: number) else { throw outOfRange(type) }
            return value
        case .double(let number):
            guard let value = Value(exactly: number) else { throw outOfRange(type) }
            return value
        default:
            throw mismatch("a number", type)
        }
    }
}
