// SPDX-License-Identifier: MIT
public import PomeloBytes

/// Turns JSON text into Swift values and back through `Codable`.
public enum JSONCoder {
    /// Reads a value from JSON text.
    ///
    /// A number without a fraction decodes as an integer in any spelling (`3`, `3.0`, `3e0`), exactly or not at all; no
    /// other type is converted into another. Integers have 64 bits at most, also when a wider type is asked for. A
    /// dictionary whose keys are ``Text`` keeps what one of `String` would take for the same key. Asking for ``JSON``
    /// itself skips `Codable`.
    ///
    /// - Throws: `DecodingError` with the coding path; `.dataCorrupted` for text that is no JSON.
    public static func decode<Value: Decodable>(_ type: Value.Type, from bytes: Bytes) throws -> Value {
        let tape: JSONTape
        do {
            tape = try JSONReader.read(bytes)
        } catch {
            let context = DecodingError.Context(
                codingPath: [], debugDescription: "The bytes are no JSON.", underlyingError: error)
            throw DecodingError.dataCorrupted(context)
        }
        return try JSONDocument(tape).decode(type, at: 0)
    }

    /// Reads a value from JSON text; see ``decode(_:from:)-(_,Bytes)``.
    ///
    /// - Throws: `DecodingError`.
    public static func decode<Value: Decodable>(_ type: Value.Type, from bytes: Span<UInt8>) throws -> Value {
        try decode(type, from: bytes.copied())
    }

    /// Reads a value from JSON already parsed.
    ///
    /// - Throws: `DecodingError`.
    public static func decode<Value: Decodable>(_ type: Value.Type, from json: JSON) throws -> Value {
        try JSONDocument(JSONTape(json)).decode(type, at: 0)
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
    /// - Throws: `DecodingError`; when unknown keys are refused, `.dataCorrupted` with the path of an object, the keys
    ///   in it that the type never asked for, and those that it did. What is decoded as ``JSON`` may hold any.
    public static func decode<Value: Decodable>(
        _ type: Value.Type, from json: JSON, unknownKeys: UnknownKeys
    ) throws -> Value {
        let ledger = unknownKeys == .refused ? JSONKeyLedger() : nil
        let document = JSONDocument(JSONTape(json), ledger: ledger)
        let value = try document.decode(type, at: 0)
        try ledger?.check(document)
        return value
    }

    /// Reads a value over one that has the defaults: every key may be left out, at every depth.
    ///
    /// What the defaults write of themselves is laid under the JSON: objects key by key, lists and all else whole; null
    /// removes a key, so that an optional becomes nil. No decoder is written by hand for it:
    ///
    /// ```swift
    /// struct Rules: Codable { var seats = 4, pause = Pause(); struct Pause: Codable { var seconds = 3 } }
    /// let rules = try JSONCoder.decode(from: json, over: Rules())
    /// ```
    ///
    /// An enum whose cases have values is one object: another case than the default's removes that one by null.
    ///
    /// - Throws: `DecodingError`, as the other `decode`s; `EncodingError` for defaults that cannot be written.
    /// - Source: RFC 7396, JSON Merge Patch.
    public static func decode<Value: Codable>(
        from json: JSON, over defaults: Value, unknownKeys: UnknownKeys = .ignored
    ) throws -> Value {
        try decode(Value.self, from: try merged(json, over: defaults), unknownKeys: unknownKeys)
    }

    package static func merged<Value: Encodable>(_ json: JSON, over defaults: Value) throws -> JSON {
        try self.json(defaults).merging(json)
    }
}

extension DecodingError {
    /// The key and what is wrong with it, in one line.
    package var plainText: String {
        switch self {
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            let path = context.codingPath.map(\.stringValue).joined(separator: ".")
            return path.isEmpty ? context.debugDescription : "\(path): \(context.debugDescription)"
        case .keyNotFound(let key, let context):
            return (context.codingPath + [key]).map(\.stringValue).joined(separator: ".") + " is missing"
        @unknown default: return "\(self)"
        }
    }

    /// The path of the key that is meant.
    package var keyPath: [String] {
        switch self {
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            context.codingPath.map(\.stringValue)
        case .keyNotFound(let key, let context): (context.codingPath + [key]).map(\.stringValue)
        @unknown default: []
        }
    }
}

/// Remembers which keys of which objects a decoding asked for.
final class JSONKeyLedger {
    private var opened: [Int] = []
    private var asked: [Int: Set<Text>] = [:]

    func open(_ object: Int) { opened.append(object) }

    func ask(_ key: String, of object: Int) { asked[object, default: []].insert(Text(key)) }

    private func known(_ object: Int) -> String {
        guard let known = asked[object], !known.isEmpty else { return "none" }
        return known.sorted().map(\.string).joined(separator: ", ")
    }

    func check(_ document: JSONDocument) throws {
        for object in opened {
            let unknown = document.keys(of: object).filter { asked[object]?.contains(Text($0)) != true }
            guard unknown.isEmpty else {
                let context = DecodingError.Context(
                    codingPath: document.path(to: object),
                    debugDescription: "unknown key \(unknown.joined(separator: ", ")); known are: \(known(object))")
                throw DecodingError.dataCorrupted(context)
            }
        }
    }
}

/// A key made from text or a position.
struct JSONKey: CodingKey {
    let stringValue: String
    let intValue: Int?
    /// Whether no type asked for it: it comes from the text.
    let isForeign: Bool

    init(stringValue: String) { self.init(stringValue: stringValue, isForeign: false) }

    init(stringValue: String, isForeign: Bool) {
        self.stringValue = stringValue
        self.isForeign = isForeign
        intValue = nil
    }

    init(intValue: Int) {
        stringValue = String(intValue)
        self.intValue = intValue
        isForeign = false
    }

    static let parent = JSONKey(stringValue: "super")
}

/// The decoder of one value; it is also its single-value container.
///
/// Small enough to travel as `any Decoder` without a box: what all of them share is in the document.
struct JSONValueDecoder: Decoder, SingleValueDecodingContainer {
    let document: JSONDocument
    let index: Int
    var codingPath: [any CodingKey] { document.path(to: index) }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(JSONKeyedDecoding<Key>(document: document, object: try document.open(object: index)))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        JSONUnkeyedDecoding(document: document, array: index, count: try document.open(array: index))
    }

    func singleValueContainer() -> any SingleValueDecodingContainer { self }

    func decodeNil() -> Bool { document.isNull(index) }
    func decode(_ type: Bool.Type) throws -> Bool { try document.bool(index) }
    func decode(_ type: String.Type) throws -> String { try document.string(index) }
    func decode(_ type: Double.Type) throws -> Double { try document.double(index) }
    func decode(_ type: Float.Type) throws -> Float { try document.float(index) }
    func decode(_ type: Int.Type) throws -> Int { try document.integer(index) }
    func decode(_ type: Int8.Type) throws -> Int8 { try document.integer(index) }
    func decode(_ type: Int16.Type) throws -> Int16 { try document.integer(index) }
    func decode(_ type: Int32.Type) throws -> Int32 { try document.integer(index) }
    func decode(_ type: Int64.Type) throws -> Int64 { try document.integer(index) }
    func decode(_ type: Int128.Type) throws -> Int128 { try document.integer(index) }
    func decode(_ type: UInt.Type) throws -> UInt { try document.integer(index) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try document.integer(index) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try document.integer(index) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try document.integer(index) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try document.integer(index) }
    func decode(_ type: UInt128.Type) throws -> UInt128 { try document.integer(index) }
    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try document.decode(type, at: index) }
}
