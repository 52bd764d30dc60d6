// SPDX-License-Identifier: MIT

/// The entries of one object.
///
/// Not generic, so that the work on a key is compiled once and for all.
private final class JSONEntryReader {
    let object: JSONObject
    let path: JSONPath?
    let ledger: JSONKeyLedger?
    private let table: [String: Int]?

    init(_ object: JSONObject, path: JSONPath?, ledger: JSONKeyLedger?) {
        self.object = object
        self.path = path
        self.ledger = ledger
        ledger?.opened(object, at: path)
        // A table pays off only for large objects; without one a hostile one would cost quadratic time.
        table = object.count > 32 ? object.positions() : nil
    }

    func position(_ name: String) -> Int? {
        ledger?.ask(name, at: path)
        return table == nil ? object.position(name) : table?[name]
    }

    func value(_ name: String) -> JSON? {
        guard let index = position(name) else { return nil }
        return object.values[index]
    }

    func missing(_ key: any CodingKey) -> DecodingError {
        let context = DecodingError.Context(
            codingPath: JSONPath.list(path), debugDescription: "The object has no \"\(key.stringValue)\".")
        return .keyNotFound(key, context)
    }
}

/// Reads the entries of an object by key.
struct JSONKeyedDecoding<Key: CodingKey>: KeyedDecodingContainerProtocol {
    private let entries: JSONEntryReader
    var codingPath: [any CodingKey] { JSONPath.list(entries.path) }

    init(_ object: JSONObject, path: JSONPath?, ledger: JSONKeyLedger?) {
        entries = JSONEntryReader(object, path: path, ledger: ledger)
    }

    var allKeys: [Key] { entries.object.keys.compactMap { Key(stringValue: $0) } }

    func contains(_ key: Key) -> Bool { entries.position(key.stringValue) != nil }

    private func value(_ key: Key) throws -> JSONValueDecoder {
        guard let json = entries.value(key.stringValue) else { throw entries.missing(key) }
        return JSONValueDecoder(json, parent: entries.path, key: key, ledger: entries.ledger)
    }

    func decodeNil(forKey key: Key) throws -> Bool {
        guard let json = entries.value(key.stringValue) else { throw entries.missing(key) }
        return json.isNull
    }

    // The types that messages are made of take a short way; faults take the long one, which names them.

    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool {
        if case .bool(let value) = entries.value(key.stringValue) { return value }
        return try value(key).decode(type)
    }

    func decode(_ type: String.Type, forKey key: Key) throws -> String {
        if case .string(let text) = entries.value(key.stringValue) { return text }
        return try value(key).decode(type)
    }

    func decode(_ type: Double.Type, forKey key: Key) throws -> Double {
        if let number = entries.value(key.stringValue)?.double { return number }
        return try value(key).decode(type)
    }

    func decode(_ type: Float.Type, forKey key: Key) throws -> Float { try value(key).decode(type) }

    func decode(_ type: Int.Type, forKey key: Key) throws -> Int {
        if case .int(let number) = entries.value(key.stringValue), let value = Int(exactly: number) {
            return value
        }
        return try value(key).decode(type)
    }

    func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try value(key).decode(type) }
    func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try value(key).decode(type) }
    func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try value(key).decode(type) }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try value(key).decode(type) }
    func decode(_ type: Int128.Type, forKey key: Key) throws -> Int128 { try value(key).decode(type) }
    func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try value(key).decode(type) }
    func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try value(key).decode(type) }
    func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try value(key).decode(type) }
    func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try value(key).decode(type) }
    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try value(key).decode(type) }
    func decode(_ type: UInt128.Type, forKey key: Key) throws -> UInt128 { try value(key).decode(type) }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        try value(key).decode(type)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
        try value(key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try value(key).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder { decoder(JSONKey.parent) }

    func superDecoder(forKey key: Key) throws -> any Decoder { decoder(key) }

    private func decoder(_ key: any CodingKey) -> JSONValueDecoder {
        let json = entries.value(key.stringValue) ?? .null
        return JSONValueDecoder(json, parent: entries.path, key: key, ledger: entries.ledger)
    }
}

/// Reads the elements of an array in order.
struct JSONUnkeyedDecoding: UnkeyedDecodingContainer {
    private let elements: [JSON]
    private let path: JSONPath?
    private let ledger: JSONKeyLedger?
    private(set) var currentIndex = 0
    var codingPath: [any CodingKey] { JSONPath.list(path) }
    var count: Int? { elements.count }
    var isAtEnd: Bool { currentIndex >= elements.count }

    init(_ elements: [JSON], path: JSONPath?, ledger: JSONKeyLedger?) {
        self.elements = elements
        self.path = path
        self.ledger = ledger
    }

    /// Decodes the current element and moves on only when that succeeded, as `Codable` asks.
    private mutating func next<Value>(
        _ type: Value.Type, _ decode: (JSONValueDecoder) throws -> Value
    ) throws -> Value {
        let key = JSONPosition(index: currentIndex)
        guard !isAtEnd else {
            let context = DecodingError.Context(
                codingPath: codingPath + [key], debugDescription: "The array has no more elements.")
            throw DecodingError.valueNotFound(type, context)
        }
        let value = try decode(JSONValueDecoder(elements[currentIndex], parent: path, key: key, ledger: ledger))
        currentIndex += 1
        return value
    }

    mutating func decodeNil() throws -> Bool {
        guard !isAtEnd else { return try next(JSON.self) { $0.json }.isNull }
        guard elements[currentIndex].isNull else { return false }
        currentIndex += 1
        return true
    }

    mutating func decode(_ type: Bool.Type) throws -> Bool { try next(type) { try $0.decode(type) } }

    mutating func decode(_ type: String.Type) throws -> String {
        if !isAtEnd, case .string(let text) = elements[currentIndex] {
            currentIndex += 1
            return text
        }
        return try next(type) { try $0.decode(type) }
    }

    mutating func decode(_ type: Double.Type) throws -> Double { try next(type) { try $0.decode(type) } }
    mutating func decode(_ type: Float.Type) throws -> Float { try next(type) { try $0.decode(type) } }

    mutating func decode(_ type: Int.Type) throws -> Int {
        if !isAtEnd, case .int(let number) = elements[currentIndex], let value = Int(exactly: number) {
            currentIndex += 1
            return value
        }
        return try next(type) { try $0.decode(type) }
    }

    mutating func decode(_ type: Int8.Type) throws -> Int8 { try next(type) { try $0.decode(type) } }
    mutating func decode(_ type: Int16.Type) throws -> Int16 { try next(type) { try $0.decode(type) } }
    mutating func decode(_ type: Int32.Type) throws -> Int32 { try next(type) { try $0.decode(type) } }
    mutating func decode(_ type: Int64.Type) throws -> Int64 { try next(type) { try $0.decode(type) } }
    mutating func decode(_ type: Int128.Type) throws -> Int128 { try next(type) { try $0.decode(type) } }
    mutating func decode(_ type: UInt.Type) throws -> UInt { try next(type) { try $0.decode(type) } }
    mutating func decode(_ type: UInt8.Type) throws -> UInt8 { try next(type) { try $0.decode(type) } }
    mutating func decode(_ type: UInt16.Type) throws -> UInt16 { try next(type) { try $0.decode(type) } }
    mutating func decode(_ type: UInt32.Type) throws -> UInt32 { try next(type) { try $0.decode(type) } }
    mutating func decode(_ type: UInt64.Type) throws -> UInt64 { try next(type) { try $0.decode(type) } }
    mutating func decode(_ type: UInt128.Type) throws -> UInt128 { try next(type) { try $0.decode(type) } }

    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        try next(type) { try $0.decode(type) }
    }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> {
        try next(KeyedDecodingContainer<Nested>.self) { try $0.container(keyedBy: type) }
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try next((any UnkeyedDecodingContainer).self) { try $0.unkeyedContainer() }
    }

    mutating func superDecoder() throws -> any Decoder {
        try next((any Decoder).self) { $0 }
    }
}
