// SPDX-License-Identifier: MIT

extension JSONCoder {
    /// Returns the compact JSON text of a value, keys in the order in which the value writes them.
    ///
    /// NaN and infinities become null, as JavaScript writes them. ``JSON`` itself skips `Codable`.
    ///
    /// - Throws: `EncodingError` for a value that writes nothing and for integers beyond 64 signed bits.
    public static func encode<Value: Encodable>(_ value: Value) throws -> Bytes {
        try json(value).encoded()
    }

    /// Returns a value as JSON.
    ///
    /// - Throws: `EncodingError`.
    public static func json<Value: Encodable>(_ value: Value) throws -> JSON {
        try JSONValueEncoder.json(value, path: nil)
    }
}

/// The place of one value while it is being written: containers may stay open side by side, so a place is
/// shared by reference and read at the end.
final class JSONSlot {
    // All in one, so that each step costs one access check instead of one for every part.
    private var state = JSONSlotState()

    var count: Int { state.values.count }

    func set(_ json: JSON) { state.content = .value(json) }
    func becomeObject() { state.becomeObject() }
    func becomeArray() { state.becomeArray() }
    func append(_ json: JSON) { state.values.append(json) }
    func put(_ key: String, _ json: JSON) { state.put(key, json) }
    func appendSlot() -> JSONSlot { state.appendSlot() }
    func slot(for key: String) -> JSONSlot { state.slot(for: key) }

    /// The finished value; nil when nothing was written.
    func json() -> JSON? { state.json() }
}

private struct JSONSlotState {
    enum Content {
        case nothing
        case value(JSON)
        case array
        case object
    }

    var content = Content.nothing
    var values: [JSON] = []
    private var keys: [String] = []
    /// Positions of the keys, kept once there are too many to search one by one.
    private var table: [String: Int]?
    /// Places within this one that are still open, by position in `values`.
    private var children: [(index: Int, slot: JSONSlot)] = []

    mutating func becomeObject() {
        switch content {
        case .object:
            return
        case .value(.object(let object)):
            keys = object.keys
            values = object.values
        default:
            keys.reserveCapacity(8)
            values.reserveCapacity(8)
        }
        content = .object
    }

    mutating func becomeArray() {
        if case .array = content { return }
        if case .value(.array(let elements)) = content { values = elements }
        content = .array
    }

    mutating func appendSlot() -> JSONSlot {
        let slot = JSONSlot()
        children.append((values.count, slot))
        values.append(.null)
        return slot
    }

    mutating func put(_ key: String, _ json: JSON) {
        guard let index = position(key) else { return append(key, json) }
        values[index] = json
        children.removeAll { $0.index == index }
    }

    mutating func slot(for key: String) -> JSONSlot {
        let known = position(key)
        if known == nil { append(key, .null) }
        let index = known ?? keys.count - 1
        // Asking twice for the container of one key continues the first.
        if let child = children.first(where: { $0.index == index }) { return child.slot }
        let slot = JSONSlot()
        children.append((index, slot))
        return slot
    }

    private mutating func position(_ key: String) -> Int? {
        if table == nil, keys.count > 16 {
            table = JSONObject(uniqueKeys: keys, values: values).positions()
        }
        if let table { return table[key] }
        for index in 0..<keys.count where keys[index] == key {
            return index
        }
        return nil
    }

    private mutating func append(_ key: String, _ json: JSON) {
        table?[key] = keys.count
        keys.append(key)
        values.append(json)
    }

    mutating func json() -> JSON? {
        for (index, slot) in children {
            values[index] = slot.json() ?? .object(JSONObject())
        }
        switch content {
        case .nothing: return nil
        case .value(let json): return json
        case .array: return .array(values)
        case .object: return .object(JSONObject(uniqueKeys: keys, values: values))
        }
    }
}

/// The encoder of one value; it is also its single-value container.
struct JSONValueEncoder: Encoder {
    let slot: JSONSlot
    let path: JSONPath?
    var codingPath: [any CodingKey] { JSONPath.list(path) }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        slot.becomeObject()
        return KeyedEncodingContainer(JSONKeyedEncoding<Key>(slot: slot, path: path))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        slot.becomeArray()
        return JSONUnkeyedEncoding(slot: slot, path: path)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { self }

    static func json<Value: Encodable>(_ value: Value, path: JSONPath?) throws -> JSON {
        if Value.self == JSON.self, let json = value as? JSON { return json }
        if Value.self == [String].self, let texts = value as? [String] {
            return .array(texts.map(JSON.string))
        }
        let slot = JSONSlot()
        try value.encode(to: JSONValueEncoder(slot: slot, path: path))
        guard let json = slot.json() else {
            let context = EncodingError.Context(
                codingPath: JSONPath.list(path), debugDescription: "\(Value.self) wrote nothing.")
            throw EncodingError.invalidValue(value, context)
        }
        return json
    }

    static func integer<Value: FixedWidthInteger>(_ value: Value, path: () -> JSONPath?) throws -> JSON {
        guard let number = Int64(exactly: value) else {
            let context = EncodingError.Context(
                codingPath: JSONPath.list(path()),
                debugDescription: "\(value) needs more than 64 signed bits.")
            throw EncodingError.invalidValue(value, context)
        }
        return .int(number)
    }
}

extension JSONValueEncoder: SingleValueEncodingContainer {
    func encodeNil() { slot.set(.null) }
    func encode(_ value: Bool) { slot.set(.bool(value)) }
    func encode(_ value: String) { slot.set(.string(value)) }
    func encode(_ value: Double) { slot.set(.double(value)) }
    func encode(_ value: Float) { slot.set(.float(value)) }
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
    func encode<Value: Encodable>(_ value: Value) throws { slot.set(try Self.json(value, path: path)) }

    private func integer<Value: FixedWidthInteger>(_ value: Value) throws {
        slot.set(try Self.integer(value) { path })
    }
}

extension JSON {
    /// The shortest decimal that reads back as the same float, rather than all digits of its double.
    static func float(_ value: Float) -> JSON {
        .double(value.isFinite ? Double(value.description) ?? Double(value) : Double(value))
    }
}
