// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloContract
package import PomeloJSON

/// The environment variables that stand above one file.
package struct FileVariables: Sendable {
    let file: String
    /// The values, which no message has: by names of the form `POMELO_<FILE>_<KEY>`.
    private(set) var values: [String: String]
    /// What the variables are really called, where that is something else.
    private(set) var otherNames: [String: String] = [:]

    /// None, for what is no file of the folder.
    static let none = FileVariables(file: "", values: [:])

    package var isEmpty: Bool { values.isEmpty }

    /// The variable of a key, nil when there is none.
    package subscript(_ path: [String]) -> String? { values[EnvironmentVariables.name(file, path)] }

    /// What the variable of a key is called.
    package func name(_ path: [String]) -> String {
        let name = EnvironmentVariables.name(file, path)
        return otherNames[name] ?? name
    }

    /// Whether there is a variable of a key within a key.
    func haveKeys(within path: [String]) -> Bool {
        values.keys.contains { $0.hasPrefix(EnvironmentVariables.name(file, path) + "_") }
    }

    /// Checks that each variable, or each within a key, is one of these keys'; those within `others` are looked at by
    /// who reads them.
    ///
    /// - Throws: `PomeloError` `.configuration` naming one that is not, and the nearest that is.
    package func check(
        _ known: [[String]], of path: String, within place: [String] = [], but others: [[String]] = []
    ) throws {
        let names = known.map { EnvironmentVariables.name(file, $0) }
        let (ours, theirs) = (
            EnvironmentVariables.name(file, place) + "_", others.map { EnvironmentVariables.name(file, $0) + "_" }
        )
        let unknowns = values.keys.filter { name in
            name.hasPrefix(ours) && !names.contains(name) && !theirs.contains(where: name.hasPrefix)
        }
        guard let unknown = unknowns.min() else { return }
        let prefix = EnvironmentVariables.name(file) + "_"
        let nearest = Nearness.nearest(to: unknown, among: names, behind: prefix)
        let all = names.isEmpty ? "none" : names.joined(separator: ", ")
        let hint = nearest.map { "; the nearest is \($0)" } ?? "; known are: \(all)"
        let name = EnvironmentVariables.shown(otherNames[unknown] ?? unknown)
        throw PomeloError(.configuration, "\(name) is no key of \(path)\(hint)")
    }

    /// A value of a type, read strictly, with the variables above it.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file, or the variable, and the path of the key.
    func decode<Value: Decodable>(
        _ type: Value.Type, from json: JSON, under key: String? = nil, of path: String
    ) throws -> Value {
        do {
            let whole = try over(json, of: path)
            guard let key else { return try JSONCoder.decode(type, from: whole, unknownKeys: .refused) }
            // As an object of this key alone, so that an error has it in its path.
            let part: JSON = whole[key].map { [key: $0] } ?? [:]
            let values = try JSONCoder.decode([Text: Value].self, from: part, unknownKeys: .refused)
            guard let value = values[Text(key)] else { throw PomeloError(.configuration, "\(path): \(key) is missing") }
            return value
        } catch let error as DecodingError {
            let place = self[error.keyPath] == nil ? path : name(error.keyPath)
            throw PomeloError(.configuration, "\(place): \(error.plainText)", cause: error)
        }
    }

    /// The keys of a value, at every depth.
    static func paths(of value: JSON) -> [[String]] {
        guard let object = value.object else { return [] }
        return object.flatMap { key, value in [[key]] + paths(of: value).map { [key] + $0 } }
    }

    /// A value with each variable in place of the key it names, and of the same kind.
    ///
    /// - Throws: `PomeloError` `.configuration` naming a variable that is of another kind, or of no key.
    package func over(_ value: JSON, of path: String) throws -> JSON {
        if isEmpty { return value }
        try check(Self.paths(of: value), of: path)
        return try over(value, at: [])
    }

    private func over(_ value: JSON, at path: [String]) throws -> JSON {
        guard var object = value.object else { return value }
        for (key, old) in object {
            let here = path + [key]
            object[key] = try self[here].map { try convert($0, like: old, here) } ?? over(old, at: here)
        }
        return .object(object)
    }

    private func convert(_ text: String, like old: JSON, _ path: [String]) throws -> JSON {
        if case .string = old { return .string(text) }
        let value = Self.value(text)
        switch (old, value) {
        case (.bool, .bool?), (.array, .array?), (.object, .object?), (.null, .some): return value ?? .null
        case (.int, _), (.uint, _), (.double, _): if let value, value.double != nil { return value }
        case (.null, nil): return .string(text)
        default: break
        }
        throw PomeloError(.configuration, "\(name(path)) must be \(Self.kind(old))")
    }

    private static func kind(_ value: JSON) -> String {
        switch value {
        case .bool: "true or false"
        case .array: "a list, as JSON"
        case .object: "an object, as JSON"
        default: "a number"
        }
    }

    /// A number, a truth value, a list or an object; nil for other texts.
    package static func value(_ text: String) -> JSON? {
        guard case .success(let json) = Result(catching: { () throws(WireError) in try JSON.parse(Bytes(text.utf8)) })
        else { return nil }
        return json
    }
}
