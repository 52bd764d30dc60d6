// SPDX-License-Identifier: MIT

/// Writes the entries of an object.
struct JSONKeyedEncoding<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let slot: JSONSlot
    let path: JSONPath?
    var codingPath: [any CodingKey] { JSONPath.list(path) }

    func encodeNil(forKey key: Key) { slot.put(key.stringValue, .null) }
    func encode(_ value: Bool, forKey key: Key) { slot.put(key.stringValue, .bool(value)) }
    func encode(_ value: String, forKey key: Key) { slot.put(key.stringValue, .string(value)) }
    func encode(_ value: Double, forKey key: Key) { slot.put(key.stringValue, .double(value)) }
    func encode(_ value: Float, forKey key: Key) { slot.put(key.stringValue, .float(value)) }
    func encode(_ value: Int, forKey key: Key) throws { try integer(value, key) }
    func encode(_ value: Int8, forKey key: Key) throws { try integer(value, key) }
    func encode(_ value: Int16, forKey key: Key) throws { try integer(value, key) }
    func encode(_ value: Int32, forKey key: Key) throws { try integer(value, key) }
    func encode(_ value: Int64, forKey key: Key) throws { try integer(value, key) }
    func encode(_ value: Int128, forKey key: Key) throws { try integer(value, key) }
    func encode(_ value: UInt, forKey key: Key) throws { try integer(value, key) }
    func encode(_ value: UInt8, forKey key: Key) throws { try integer(value, key) }
    func encode(_ value: UInt16, forKey key: Key) throws { try integer(value, key) }
    func encode(_ value: UInt32, forKey key: Key) throws { try integer(value, key) }
    func encode(_ value: UInt64, forKey key: Key) throws { try integer(value, key) }
    func encode(_ value: UInt128, forKey key: Key) throws { try integer(value, key) }

    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
        slot.put(key.stringValue, try JSONValueEncoder.json(value, path: JSONPath(path, key)))
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        encoder(key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        encoder(key).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { encoder(JSONKey.parent) }

    func superEncoder(forKey key: Key) -> any Encoder { encoder(key) }

    private func encoder(_ key: any CodingKey) -> JSONValueEncoder {
        JSONValueEncoder(slot: slot.slot(for: key.stringValue), path: JSONPath(path, key))
    }

    private func integer<Value: FixedWidthInteger>(_ value: Value, _ key: Key) throws {
        slot.put(key.stringValue, try JSONValueEncoder.integer(value) { JSONPath(path, key) })
    }
}

/// Writes the elements of an array.
struct JSONUnkeyedEncoding: UnkeyedEncodingContainer {
    let slot: JSONSlot
    let path: JSONPath?
    var codingPath: [any CodingKey] { JSONPath.list(path) }
    var count: Int { slot.count }

    private var here: JSONPath { JSONPath(path, JSONPosition(index: slot.count)) }

    func encodeNil() { slot.append(.null) }
    func encode(_ value: Bool) { slot.append(.bool(value)) }
    func encode(_ value: String) { slot.append(.string(value)) }
    func encode(_ value: Double) { slot.append(.double(value)) }
    func encode(_ value: Float) { slot.append(.float(value)) }
    func encode(_ value: Int) throws { try integer(value) }
    func encode(_ value: Int8) throws { try integer(value) }
    func encode(_ value: Int16) throws { try integer(value) }
    func encode(_ value: Int32) throws { try integer(value) }
    func encode(_ value: Int64) throws { try integer(value) }
    func encode(_ value: Int128) throws { try integer(value) }
    func encode(_ value: UInt) throws { try integer(value) }
    func encode(_ value: UInt8) throws { try integer(value) }
    func encode(_ value: UInt16) throws { try integer(value) }
    func encode(_ value: UInt32) throws { try integer(value) }
    func encode(_ value: UInt64) throws { try integer(value) }
    func encode(_ value: UInt128) throws { try integer(value) }

    func encode<Value: Encodable>(_ value: Value) throws {
        slot.append(try JSONValueEncoder.json(value, path: here))
    }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        encoder().container(keyedBy: type)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { encoder().unkeyedContainer() }

    func superEncoder() -> any Encoder { encoder() }

    private func encoder() -> JSONValueEncoder {
        let path = here
        return JSONValueEncoder(slot: slot.appendSlot(), path: path)
    }

    private func integer<Value: FixedWidthInteger>(_ value: Value) throws {
        slot.append(try JSONValueEncoder.integer(value) { here })
    }
}

extension JSON: Codable {
    /// Reads any value, from this module's decoder or from another.
    ///
    /// - Throws: `DecodingError` when the decoder holds something JSON does not have.
    public init(from decoder: any Decoder) throws {
        if let own = decoder as? JSONValueDecoder {
            self = own.json
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
