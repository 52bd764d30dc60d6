// SPDX-License-Identifier: MIT
public import PomeloBytes

extension JSONCoder {
    /// Returns the compact JSON text of a value, keys in the order in which the value writes them.
    ///
    /// NaN and infinities become null, as JavaScript writes them. ``JSON`` itself skips `Codable`.
    ///
    /// - Throws: `EncodingError` for a value that writes nothing and for integers beyond `Int64` and `UInt64`.
    public static func encode<Value: Encodable>(_ value: Value) throws -> Bytes {
        if let scalar = scalar(value) { return scalar.encoded() }
        let output = JSONOutput()
        try output.encode(value)
        return output.bytes
    }

    /// A number or a text that stands alone: what containers need would be made for nothing.
    private static func scalar<Value>(_ value: Value) -> JSON? {
        if Value.self == Int.self { return (value as? Int).map { .int(Int64($0)) } }
        return Value.self == String.self ? (value as? String).map { .string($0) } : nil
    }

    /// Returns a value as JSON: what reading its text gives.
    ///
    /// - Throws: `EncodingError`.
    public static func json<Value: Encodable>(_ value: Value) throws -> JSON {
        if Value.self == JSON.self, let json = value as? JSON { return json }
        return try JSON.parse(try encode(value))
    }
}

/// What all encoders and containers of one encoding share: the text, while values write it.
///
/// Containers that may stay open side by side write parts, outputs of their own.
final class JSONOutput {
    // All in one, so that each step costs one access check instead of one for every part.
    private var draft = JSONDraft()
    /// Where the output is, when it is a part.
    private let root: [any CodingKey]

    init(root: [any CodingKey] = []) { self.root = root }

    var bytes: Bytes { draft.bytes }

    func count(_ frame: Int) -> Int { draft.frames[frame].count }
    func become(_ kind: JSONDraft.Kind, _ frame: Int) { draft.become(kind, frame) }

    // Scalars: as the value of a frame, of a key, as the next element.

    func set(_ frame: Int, _ json: JSON) {
        draft.set(frame, json)
    }

    func put(_ frame: Int, _ key: String, _ json: JSON) {
        draft.put(frame, key, json)
    }

    func append(_ frame: Int, _ json: JSON) {
        draft.append(frame, json)
    }

    func set<Value: FixedWidthInteger>(_ frame: Int, integer value: Value) throws {
        guard let number = JSON(exactly: value) else { throw tooLarge(value, path(to: frame)) }
        set(frame, number)
    }

    func put<Value: FixedWidthInteger>(_ frame: Int, _ key: String, integer value: Value) throws {
        guard let number = JSON(exactly: value) else {
            throw tooLarge(value, path(to: frame) + [JSONKey(stringValue: key)])
        }
        put(frame, key, number)
    }

    func append<Value: FixedWidthInteger>(_ frame: Int, integer value: Value) throws {
        guard let number = JSON(exactly: value) else {
            throw tooLarge(value, path(to: frame) + [JSONKey(intValue: count(frame))])
        }
        append(frame, number)
    }

    // Other values, of which nothing stays when they fail.

    func set<Value: Encodable>(_ frame: Int, _ value: Value) throws {
        draft.become(.nothing, frame)
        try value.encode(to: JSONValueEncoder(output: self, frame: frame))
        guard draft.frames[frame].kind != .nothing else { throw wroteNothing(value, frame) }
    }

    func put<Value: Encodable>(_ frame: Int, _ key: String, _ value: Value) throws {
        let before = draft.begin(key, in: frame)
        do { try encode(value) } catch { throw undo(frame, before, error) }
    }

    func append<Value: Encodable>(_ frame: Int, _ value: Value) throws {
        let before = draft.beginElement(of: frame)
        do { try encode(value) } catch { throw undo(frame, before, error) }
    }

    private func undo(_ frame: Int, _ before: JSONDraft.Mark, _ error: any Error) -> any Error {
        draft.undo(frame, before)
        return error
    }

    func encode<Value: Encodable>(_ value: Value) throws {
        if Value.self == JSON.self, let json = value as? JSON { return draft.write(json) }
        if Value.self == [String].self, let texts = value as? [String] { return draft.write(texts) }
        let frame = draft.open()
        try value.encode(to: JSONValueEncoder(output: self, frame: frame))
        guard draft.close() else { throw wroteNothing(value, frame) }
    }

    // Parts.

    /// Asking twice for the part of one key continues the first.
    func part(_ frame: Int, _ key: any CodingKey) -> JSONValueEncoder {
        if let known = draft.part(of: key.stringValue, in: frame) { return JSONValueEncoder(output: known, frame: 0) }
        draft.begin(key.stringValue, in: frame)
        return newPart(frame, key)
    }

    func part(_ frame: Int) -> JSONValueEncoder {
        let key = JSONKey(intValue: count(frame))
        draft.beginElement(of: frame)
        return newPart(frame, key)
    }

    private func newPart(_ frame: Int, _ key: any CodingKey) -> JSONValueEncoder {
        let part = JSONOutput(root: path(to: frame) + [key])
        draft.add(part, in: frame)
        return JSONValueEncoder(output: part, frame: part.draft.open())
    }

    /// The text of a part, `{}` when nobody wrote it.
    func finish() -> Bytes { draft.close() ? bytes : Bytes("{}".utf8) }

    // Faults.

    func path(to frame: Int) -> [any CodingKey] { root + draft.path(to: frame) }

    private func wroteNothing<Value>(_ value: Value, _ frame: Int) -> EncodingError {
        let context = EncodingError.Context(
            codingPath: path(to: frame), debugDescription: "\(Value.self) wrote nothing.")
        return .invalidValue(value, context)
    }

    private func tooLarge<Value>(_ value: Value, _ path: [any CodingKey]) -> EncodingError {
        let context = EncodingError.Context(
            codingPath: path, debugDescription: "\(value) is beyond Int64 and UInt64.")
        return .invalidValue(value, context)
    }
}

/// The encoder of one value; it is also its single-value container.
struct JSONValueEncoder: Encoder, SingleValueEncodingContainer {
    let output: JSONOutput
    let frame: Int
    var codingPath: [any CodingKey] { output.path(to: frame) }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        output.become(.object, frame)
        return KeyedEncodingContainer(JSONKeyedEncoding<Key>(output: output, frame: frame))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        output.become(.array, frame)
        return JSONUnkeyedEncoding(output: output, frame: frame)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { self }

    func encodeNil() { output.set(frame, .null) }
    func encode(_ value: Bool) { output.set(frame, .bool(value)) }
    func encode(_ value: String) { output.set(frame, .string(value)) }
    func encode(_ value: Double) { output.set(frame, .double(value)) }
    func encode(_ value: Float) { output.set(frame, .float(value)) }
    func encode(_ value: Int) throws { try output.set(frame, integer: value) }
    func encode(_ value: Int8) throws { try output.set(frame, integer: value) }
    func encode(_ value: Int16) throws { try output.set(frame, integer: value) }
    func encode(_ value: Int32) throws { try output.set(frame, integer: value) }
    func encode(_ value: Int64) throws { try output.set(frame, integer: value) }
    func encode(_ value: Int128) throws { try output.set(frame, integer: value) }
    func encode(_ value: UInt) throws { try output.set(frame, integer: value) }
    func encode(_ value: UInt8) throws { try output.set(frame, integer: value) }
    func encode(_ value: UInt16) throws { try output.set(frame, integer: value) }
    func encode(_ value: UInt32) throws { try output.set(frame, integer: value) }
    func encode(_ value: UInt64) throws { try output.set(frame, integer: value) }
    func encode(_ value: UInt128) throws { try output.set(frame, integer: value) }
    func encode<Value: Encodable>(_ value: Value) throws { try output.set(frame, value) }
}

extension JSON {
    /// The whole number, when it fits.
    init?<Value: FixedWidthInteger>(exactly value: Value) {
        if let number = Int64(exactly: value) {
            self = .int(number)
        } else if let number = UInt64(exactly: value) {
            self = .uint(number)
        } else {
            return nil
        }
    }

    /// The shortest decimal that reads back as the same float, rather than all digits of its double.
    static func float(_ value: Float) -> JSON {
        .double(value.isFinite ? Double(value.description) ?? Double(value) : Double(value))
    }
}
