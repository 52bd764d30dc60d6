// SPDX-License-Identifier: MIT

/// Values of Swift as JSON: in a literal, `.init(value)` stands for any that is no literal itself.
///
/// ```swift
/// let body: JSON = ["uid": .init(user), "n": .init(count), "text": "hello \(name)"]
/// let more: JSON = try ["seat": .init(seat)]       // any Encodable; only what may fail needs the `try`
/// ```
extension JSON {
    /// A truth value.
    public init(_ value: Bool) { self = .bool(value) }

    /// A whole number of any type; what 64 bits do not hold becomes a double, as when it is read.
    public init<Value: FixedWidthInteger & Encodable>(_ value: Value) {
        self = JSON(exactly: value) ?? .double(Double(value))
    }

    /// A number; NaN and infinities are written as null.
    public init(_ value: Double) { self = .double(value) }

    /// A number, as the shortest decimal that reads back as the same float.
    public init(_ value: Float) { self = .float(value) }

    /// Text.
    public init(_ value: String) { self = .string(value) }

    /// What any other value writes of itself.
    ///
    /// - Throws: `EncodingError`, as ``JSONCoder/json(_:)``.
    public init<Value: Encodable>(_ value: Value) throws { self = try JSONCoder.json(value) }

    /// Says what is wrong with a value that has no form as JSON; without it the compiler names a protocol by chance.
    @available(*, unavailable, message: "only what is Encodable has a form as JSON")
    public init<Value>(_ value: Value) { self = .null }
}

/// What is JSON without further words where a setting or a key is asked for: numbers, truth values, texts, names.
public protocol JSONValue: Sendable {
    /// The value as JSON.
    var json: JSON { get }
}

extension JSONValue where Self: FixedWidthInteger & Encodable {
    /// A whole number.
    public var json: JSON { JSON(self) }
}

extension Int: JSONValue {}
extension Int8: JSONValue {}
extension Int16: JSONValue {}
extension Int32: JSONValue {}
extension Int64: JSONValue {}
extension UInt: JSONValue {}
extension UInt8: JSONValue {}
extension UInt16: JSONValue {}
extension UInt32: JSONValue {}
extension UInt64: JSONValue {}

extension Bool: JSONValue {
    /// A truth value.
    public var json: JSON { .bool(self) }
}

extension Double: JSONValue {
    /// A number.
    public var json: JSON { .double(self) }
}

extension Float: JSONValue {
    /// A number, as the shortest decimal that reads back as the same float.
    public var json: JSON { .float(self) }
}

extension String: JSONValue {
    /// A text.
    public var json: JSON { .string(self) }
}

extension Substring: JSONValue {
    /// A text.
    public var json: JSON { .string(String(self)) }
}

extension JSON: JSONValue {
    /// Itself.
    public var json: JSON { self }
}

extension JSON: ExpressibleByStringInterpolation {}

extension JSON: CustomStringConvertible {
    /// The compact JSON text, see ``encoded()``.
    public var description: String { String(decoding: encoded(), as: UTF8.self) }
}

extension JSONObject: CustomStringConvertible {
    /// The compact JSON text, see ``JSON/encoded()``.
    public var description: String { JSON.object(self).description }
}

extension JSON {
    /// This value with another laid over it: objects key by key at every depth, all else whole; null removes a key.
    ///
    /// - Source: RFC 7396, JSON Merge Patch.
    func merging(_ patch: JSON) -> JSON {
        guard case .object(let changes) = patch else { return patch }
        var object = self.object ?? JSONObject()
        for (key, change) in changes {
            let merged: JSON? = change.isNull ? Optional.none : (object[key] ?? .null).merging(change)
            object[key] = merged
        }
        return .object(object)
    }
}
