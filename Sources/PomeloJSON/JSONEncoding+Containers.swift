// SPDX-License-Identifier: MIT
import PomeloBytes

/// Writes the entries of an object.
struct JSONKeyedEncoding<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let output: JSONOutput
    let frame: Int
    var codingPath: [any CodingKey] { output.path(to: frame) }

    func encodeNil(forKey key: Key) { output.put(frame, key.stringValue, .null) }
    func encode(_ value: Bool, forKey key: Key) { output.put(frame, key.stringValue, .bool(value)) }
    func encode(_ value: String, forKey key: Key) { output.put(frame, key.stringValue, .string(value)) }
    func encode(_ value: Double, forKey key: Key) { output.put(frame, key.stringValue, .double(value)) }
    func encode(_ value: Float, forKey key: Key) { output.put(frame, key.stringValue, .float(value)) }
    func encode(_ value: Int, forKey key: Key) throws { try output.put(frame, key.stringValue, integer: value) }
    func encode(_ value: Int8, forKey key: Key) throws { try output.put(frame, key.stringValue, integer: value) }
    func encode(_ value: Int16, forKey key: Key) throws { try output.put(frame, key.stringValue, integer: value) }
    func encode(_ value: Int32, forKey key: Key) throws { try output.put(frame, key.stringValue, integer: value) }
    func encode(_ value: Int64, forKey key: Key) throws { try output.put(frame, key.stringValue, integer: value) }
    func encode(_ value: Int128, forKey key: Key) throws { try output.put(frame, key.stringValue, integer: value) }
    func encode(_ value: UInt, forKey key: Key) throws { try output.put(frame, key.stringValue, integer: value) }
    func encode(_ value: UInt8, forKey key: Key) throws { try output.put(frame, key.stringValue, integer: value) }
    func encode(_ value: UInt16, forKey key: Key) throws { try output.put(frame, key.stringValue, integer: value) }
    func encode(_ value: UInt32, forKey key: Key) throws { try output.put(frame, key.stringValue, integer: value) }
    func encode(_ value: UInt64, forKey key: Key) throws { try output.put(frame, key.stringValue, integer: value) }
    func encode(_ value: UInt128, forKey key: Key) throws { try output.put(frame, key.stringValue, integer: value) }

    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
        try output.put(frame, key.stringValue, value)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        output.part(frame, key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        output.part(frame, key).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { output.part(frame, JSONKey.parent) }

    func superEncoder(forKey key: Key) -> any Encoder { output.part(frame, key) }
}

/// Writes the elements of an array.
struct JSONUnkeyedEncoding: UnkeyedEncodingContainer {
    let output: JSONOutput
    let frame: Int
    var codingPath: [any CodingKey] { output.path(to: frame) }
    var count: Int { output.count(frame) }

    func encodeNil() { output.append(frame, .null) }
    func encode(_ value: Bool) { output.append(frame, .bool(value)) }
    func encode(_ value: String) { output.append(frame, .string(value)) }
    func encode(_ value: Double) { output.append(frame, .double(value)) }
    func encode(_ value: Float) { output.append(frame, .float(value)) }
    func encode(_ value: Int) throws { try output.append(frame, integer: value) }
    func encode(_ value: Int8) throws { try output.append(frame, integer: value) }
    func encode(_ value: Int16) throws { try output.append(frame, integer: value) }
    func encode(_ value: Int32) throws { try output.append(frame, integer: value) }
    func encode(_ value: Int64) throws { try output.append(frame, integer: value) }
    func encode(_ value: Int128) throws { try output.append(frame, integer: value) }
    func encode(_ value: UInt) throws { try output.append(frame, integer: value) }
    func encode(_ value: UInt8) throws { try output.append(frame, integer: value) }
    func encode(_ value: UInt16) throws { try output.append(frame, integer: value) }
    func encode(_ value: UInt32) throws { try output.append(frame, integer: value) }
    func encode(_ value: UInt64) throws { try output.append(frame, integer: value) }
    func encode(_ value: UInt128) throws { try output.append(frame, integer: value) }

    func encode<Value: Encodable>(_ value: Value) throws { try output.append(frame, value) }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        output.part(frame).container(keyedBy: type)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { output.part(frame).unkeyedContainer() }

    func superEncoder() -> any Encoder { output.part(frame) }
}

extension JSON: Codable {
    /// Reads any value, from this module's decoder or from another.
    ///
    /// - Throws: `DecodingError` when the decoder holds something JSON does not have.
    public init(from decoder: any Decoder) throws {
        if let own = decoder as? JSONValueDecoder {
            self = own.document.json(own.index)
        } else {
            self = try Self.read(decoder)
        }
    }

    private static func read(_ decoder: any Decoder) throws -> JSON {
        let single = try decoder.singleValueContainer()
        if single.decodeNil() { return .null }
        // A foreign decoder says what it holds only by refusing what it does not, and not every one refuses
        // with a DecodingError; the last attempt reports.
        let readers: [() throws -> JSON] = [
            { .bool(try single.decode(Bool.self)) },
            { .int(try single.decode(Int64.self)) },
            { .uint(try single.decode(UInt64.self)) },
            { .double(try single.decode(Double.self)) },
            { .string(try single.decode(String.self)) },
            { .array(try single.decode([JSON].self)) },
        ]
        for reader in readers {
            do {
                return try reader()
            } catch {
                continue
            }
        }
        let container = try decoder.container(keyedBy: JSONKey.self)
        var object = JSONObject()
        for key in container.allKeys {
            object[key.stringValue] = try container.decode(JSON.self, forKey: key)
        }
        return .object(object)
    }

    /// Writes the value into any encoder.
    ///
    /// - Throws: what the encoder throws.
    public func encode(to encoder: any Encoder) throws {
        switch self {
        case .null:
            var single = encoder.singleValueContainer()
            try single.encodeNil()
        case .bool(let value): try value.encode(to: encoder)
        case .int(let number): try number.encode(to: encoder)
        case .uint(let number): try number.encode(to: encoder)
        case .double(let number): try number.encode(to: encoder)
        case .string(let text): try text.encode(to: encoder)
        case .array(let elements): try elements.encode(to: encoder)
        case .object(let object):
            var container = encoder.container(keyedBy: JSONKey.self)
            for (key, value) in zip(object.keys, object.values) {
                try container.encode(value, forKey: JSONKey(stringValue: key))
            }
        }
    }
}
