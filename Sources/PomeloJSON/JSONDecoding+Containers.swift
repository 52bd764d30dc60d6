// SPDX-License-Identifier: MIT

/// Reads the entries of an object by key.
struct JSONKeyedDecoding<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let document: JSONDocument
    let object: Int
    var codingPath: [any CodingKey] { document.path(to: object) }
    var allKeys: [Key] { document.list(keysOf: object).compactMap { Key(stringValue: $0) } }

    func contains(_ key: Key) -> Bool { document.find(key.stringValue, in: object) != nil }

    private func place(_ key: Key) throws -> Int {
        guard let index = document.find(key.stringValue, in: object) else {
            throw document.missing(key, in: object)
        }
        return index
    }

    func decodeNil(forKey key: Key) throws -> Bool { document.isNull(try place(key)) }
    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try document.bool(place(key)) }
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try document.string(place(key)) }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try document.double(place(key)) }
    func decode(_ type: Float.Type, forKey key: Key) throws -> Float { try document.float(place(key)) }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try document.integer(place(key)) }
    func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try document.integer(place(key)) }
    func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try document.integer(place(key)) }
    func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try document.integer(place(key)) }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try document.integer(place(key)) }
    func decode(_ type: Int128.Type, forKey key: Key) throws -> Int128 { try document.integer(place(key)) }
    func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try document.integer(place(key)) }
    func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try document.integer(place(key)) }
    func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try document.integer(place(key)) }
    func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try document.integer(place(key)) }
    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try document.integer(place(key)) }
    func decode(_ type: UInt128.Type, forKey key: Key) throws -> UInt128 { try document.integer(place(key)) }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        let index = try place(key)
        // Goes on here after whatever the value itself looks for.
        let here = document.last
        defer { document.last = here }
        return try document.decode(type, at: index)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
        try JSONValueDecoder(document: document, index: place(key)).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try JSONValueDecoder(document: document, index: place(key)).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder { decoder(JSONKey.parent) }

    func superDecoder(forKey key: Key) throws -> any Decoder { decoder(key) }

    private func decoder(_ key: any CodingKey) -> JSONValueDecoder {
        guard let index = document.find(key.stringValue, in: object) else {
            return JSONDocument.absent(key, in: codingPath)
        }
        return JSONValueDecoder(document: document, index: index)
    }
}

/// Reads the elements of an array in order.
struct JSONUnkeyedDecoding: UnkeyedDecodingContainer {
    private let document: JSONDocument
    private let array: Int
    private let elements: Int
    private var element: Int
    private(set) var currentIndex = 0
    var codingPath: [any CodingKey] { document.path(to: array) }
    var count: Int? { elements }
    var isAtEnd: Bool { currentIndex >= elements }

    init(document: JSONDocument, array: Int, count: Int) {
        self.document = document
        self.array = array
        elements = count
        element = array + 1
    }

    /// Decodes the current element and moves on only when that succeeded, as `Codable` asks.
    private mutating func next<Value>(_ decode: (JSONValueDecoder) throws -> Value) throws -> Value {
        guard !isAtEnd else {
            let context = DecodingError.Context(
                codingPath: codingPath + [JSONKey(intValue: currentIndex)],
                debugDescription: "The array has no more elements.")
            throw DecodingError.valueNotFound(Value.self, context)
        }
        let value = try decode(JSONValueDecoder(document: document, index: element))
        moveOn()
        return value
    }

    private mutating func moveOn() {
        element = document.next(after: element)
        currentIndex += 1
    }

    mutating func decodeNil() throws -> Bool {
        guard !isAtEnd else { return try next { try $0.decode(JSON.self) }.isNull }
        guard document.isNull(element) else { return false }
        moveOn()
        return true
    }

    mutating func decode(_ type: Bool.Type) throws -> Bool { try next { try $0.decode(type) } }
    mutating func decode(_ type: String.Type) throws -> String { try next { try $0.decode(type) } }
    mutating func decode(_ type: Double.Type) throws -> Double { try next { try $0.decode(type) } }
    mutating func decode(_ type: Float.Type) throws -> Float { try next { try $0.decode(type) } }
    mutating func decode(_ type: Int.Type) throws -> Int { try next { try $0.decode(type) } }
    mutating func decode(_ type: Int8.Type) throws -> Int8 { try next { try $0.decode(type) } }
    mutating func decode(_ type: Int16.Type) throws -> Int16 { try next { try $0.decode(type) } }
    mutating func decode(_ type: Int32.Type) throws -> Int32 { try next { try $0.decode(type) } }
    mutating func decode(_ type: Int64.Type) throws -> Int64 { try next { try $0.decode(type) } }
    mutating func decode(_ type: Int128.Type) throws -> Int128 { try next { try $0.decode(type) } }
    mutating func decode(_ type: UInt.Type) throws -> UInt { try next { try $0.decode(type) } }
    mutating func decode(_ type: UInt8.Type) throws -> UInt8 { try next { try $0.decode(type) } }
    mutating func decode(_ type: UInt16.Type) throws -> UInt16 { try next { try $0.decode(type) } }
    mutating func decode(_ type: UInt32.Type) throws -> UInt32 { try next { try $0.decode(type) } }
    mutating func decode(_ type: UInt64.Type) throws -> UInt64 { try next { try $0.decode(type) } }
    mutating func decode(_ type: UInt128.Type) throws -> UInt128 { try next { try $0.decode(type) } }
    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try next { try $0.decode(type) } }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> {
        try next { try $0.container(keyedBy: type) }
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try next { try $0.unkeyedContainer() }
    }

    mutating func superDecoder() throws -> any Decoder { try next { $0 } }
}
