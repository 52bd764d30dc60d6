// SPDX-License-Identifier: MIT
public import PomeloWire

/// Reads the keys of one object, and knows which were never asked for.
public struct OptionReader {
    private let object: JSONObject
    private let place: String
    private var asked: Set<String> = []

    /// `file` is named in every error.
    ///
    /// - Throws: `PomeloError` `.configuration` when the value is no object.
    public init(_ value: JSON, file: String) throws {
        guard let object = value.object else { throw PomeloError(.configuration, "\(file) must hold an object") }
        self.object = object
        place = file
    }

    /// A text, nil when absent or null.
    public mutating func string(_ key: String) throws -> String? {
        try value(key, "a text") { $0.string }
    }

    /// A whole number within a range, nil when absent or null.
    public mutating func int(_ key: String, in range: ClosedRange<Int> = Int.min...Int.max) throws -> Int? {
        try value(
            key,
            range == Int.min...Int.max
                ? "a whole number" : "a whole number from \(range.lowerBound) to \(range.upperBound)"
        ) {
            $0.int.flatMap(Int.init(exactly:)).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    /// A number of seconds, nil when absent or null.
    public mutating func seconds(_ key: String) throws -> Duration? {
        try value(key, "a positive number of seconds") { $0.double.flatMap { $0 > 0 ? .seconds($0) : nil } }
    }

    /// true, false, or the texts "true" and "false", nil when absent or null.
    public mutating func bool(_ key: String) throws -> Bool? {
        try value(key, "true or false") { json in
            switch json {
            case .bool(let value): value
            case .string("true"): true
            case .string("false"): false
            default: nil
            }
        }
    }

    /// A list of texts, or one text for a list of one; empty when absent or null.
    public mutating func strings(_ key: String) throws -> [String] {
        try value(key, "a text or a list of texts") { json in
            switch json {
            case .string(let text): return [text]
            case .array(let elements):
                let texts = elements.compactMap(\.string)
                return texts.count == elements.count ? texts : nil
            default: return nil
            }
        } ?? []
    }

    /// Keys that were not asked for, with their values.
    public var rest: JSONObject {
        var rest = JSONObject()
        for (key, value) in object where !asked.contains(key) { rest[key] = value }
        return rest
    }

    /// Ends the reading.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file and the keys that mean nothing.
    public func finish() throws {
        let unknown = rest.keys
        guard unknown.isEmpty else {
            throw PomeloError(.configuration, "\(place): unknown key \(unknown.joined(separator: ", "))")
        }
    }

    private mutating func value<Value>(
        _ key: String, _ expected: String, _ convert: (JSON) -> Value?
    ) throws -> Value? {
        asked.insert(key)
        guard let json = object[key], !json.isNull else { return nil }
        guard let value = convert(json) else {
            throw PomeloError(.configuration, "\(place): \(key) must be \(expected)")
        }
        return value
    }
}
