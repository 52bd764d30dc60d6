// SPDX-License-Identifier: MIT
import PomeloContract
public import PomeloJSON
import PomeloLoop

/// Options of a part that a file of the configuration folder may set.
///
/// ```swift
/// extension RoomOptions: FileOptions {
///     static let fileName = "rooms"
///     mutating func read(_ reader: inout OptionReader) throws {
///         size = try reader.int("size", in: 1...100) ?? size
///     }
/// }
/// let options = try app.options(RoomOptions())      // with what config/rooms.json says
/// ```
///
/// Options that are `Codable` need no `read`: their keys are those that they write, and each may be left out, at every
/// depth.
///
/// ```swift
/// struct GameOptions: FileOptions, Codable {
///     static let fileName = "game"
///     var areas = 4
///     var fight = Fight()
///     struct Fight: Codable { var isOn = true, level = 10 }
/// }
/// ```
public protocol FileOptions {
    /// The file's name, without folder and `.json`.
    static var fileName: String { get }
    /// The defaults.
    init()
    /// Takes the keys there are; what they do not set keeps its value.
    ///
    /// - Throws: `PomeloError` `.configuration`, as the reader does.
    mutating func read(_ reader: inout OptionReader) throws
}

extension FileOptions {
    /// The defaults, with what the reader has above them; unknown keys are an error.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file and the key.
    public init(_ reader: OptionReader) throws {
        self.init()
        var reader = reader
        try read(&reader)
        try reader.finish()
    }
}

extension FileOptions where Self: Codable {
    /// Takes all keys, over the values there are; see ``OptionReader/read(over:)``.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file, and the path of the key.
    public mutating func read(_ reader: inout OptionReader) throws { self = try reader.read(over: self) }
}

/// Reads the keys of one object, and knows which were never asked for.
///
/// A key for which there is an environment variable is read from that; see ``EnvironmentVariables``.
public struct OptionReader {
    private let object: JSONObject
    private let place: String
    private let variables: FileVariables
    /// Whose file it is, for options that have more files; nil when it is nobody's.
    package internal(set) var configuration: Configuration?
    /// In the order of the questions.
    private(set) var asked: [String] = []
    /// The keys that variables may be of.
    private var paths: [[String]] = []
    /// The key that this is the value of, within the file.
    private var above: [String] = []
    /// Keys whose own readers look at the variables within them.
    private var nestedPaths: [[String]] = []

    /// `file` is named in every error.
    ///
    /// - Throws: `PomeloError` `.configuration` when the value is no object.
    public init(_ value: JSON, file: String) throws { try self.init(value, file: file, variables: .none) }

    init(_ value: JSON, file: String, variables: FileVariables) throws {
        guard let object = value.object else { throw PomeloError(.configuration, "\(file) must hold an object") }
        self.object = object
        self.variables = variables
        place = file
    }

    /// The error of values that do not fit each other, naming the file.
    package func misfit(_ text: String) -> any Error { PomeloError(.configuration, "\(place): \(text)") }

    /// The error of a key's value, which is shown if it is the file's: the value of a variable may be a secret.
    package func misfit(_ key: String, mustBe form: String, not value: String) -> any Error {
        let path = above + [key]
        if variables[path] != nil { return PomeloError(.configuration, "\(variables.name(path)) must be \(form)") }
        return misfit("\(key) must be \(form), and not \(value)")
    }

    /// All keys at once, over a value that has the defaults; see `JSONCoder.decode(from:over:)`.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file, or the variable, and the path of the key that is
    ///   unknown or has a wrong value.
    public mutating func read<Options: Codable>(over defaults: Options) throws -> Options {
        let merged = try JSONCoder.merged(.object(object), over: defaults)
        asked += merged.object?.keys ?? []
        paths += FileVariables.paths(of: merged)
        return try variables.decode(Options.self, from: merged, of: place)
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

    /// A number within a range, nil when absent or null.
    public mutating func number(_ key: String, in range: ClosedRange<Double>) throws -> Double? {
        try value(key, "a number from \(range.lowerBound) to \(range.upperBound)") {
            $0.double.flatMap { range.contains($0) ? $0 : nil }
        }
    }

    /// The shortest and the longest time that a file may name, in seconds: a millisecond, and 30 years.
    private static let times = 0.001...1e9

    /// A number of seconds from 0.001 to 10⁹, and 0 where that means something; nil when absent or null.
    public mutating func seconds(_ key: String, orZero: Bool = false) throws -> Duration? {
        try value(key, "a number of seconds from 0.001 to 1000000000\(orZero ? ", or 0" : "")") { json in
            guard let number = json.double, Self.times.contains(number) || orZero && number == 0 else { return nil }
            return .seconds(number)
        }
    }

    /// One of the names that a type has, nil when absent or null.
    public mutating func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ key: String, of type: Choice.Type = Choice.self
    ) throws -> Choice? {
        let names = Choice.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: " or ")
        return try value(key, names) { $0.string.flatMap(Choice.init(rawValue:)) }
    }

    /// A host without the brackets of a numeric IPv6 one, nil when absent or null.
    public mutating func host(_ key: String) throws -> String? {
        try value(key, "a host name or address, without a port") { $0.string.flatMap(SocketAddress.host) }
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
    ///
    /// A variable holds a list as JSON.
    public mutating func strings(_ key: String) throws -> [String] {
        let isVariable = variables[above + [key]] != nil
        return try value(key, "a text or a list of texts") { json in
            var json = json
            if isVariable, let text = json.string, let list = FileVariables.value(text), list.array != nil {
                json = list
            }
            switch json {
            case .string(let text): return [text]
            case .array(let elements):
                let texts = elements.compactMap(\.string)
                return texts.count == elements.count ? texts : nil
            default: return nil
            }
        } ?? []
    }

    /// An object, nil when absent or null.
    public mutating func object(_ key: String) throws -> JSONObject? { try value(key, "an object") { $0.object } }

    /// The keys of an object, nil when absent or null and no variable sets one of them.
    ///
    /// Their reading is ended by itself.
    public mutating func nested(_ key: String) throws -> OptionReader? {
        let path = above + [key]
        nestedPaths.append(path)
        let object = try object(key)
        guard object != nil || variables.haveKeys(within: path) else { return nil }
        var reader = try OptionReader(.object(object ?? [:]), file: "\(place): \(key)", variables: variables)
        reader.above = path
        return reader
    }

    mutating func list(_ key: String) throws -> [JSON]? { try value(key, "a list") { $0.array } }

    /// Keys that were not asked for, with their values.
    public var rest: JSONObject {
        var rest = JSONObject()
        for (key, value) in object where !asked.contains(key) { rest[key] = value }
        return rest
    }

    /// Ends the reading.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file, the keys that mean nothing, and those that do; or a
    ///   variable that means nothing.
    public func finish() throws {
        try checkVariables()
        let unknown = rest.keys
        guard unknown.isEmpty else {
            let known = asked.isEmpty ? "none" : asked.joined(separator: ", ")
            throw PomeloError(
                .configuration, "\(place): unknown key \(unknown.joined(separator: ", ")); known are: \(known)")
        }
    }

    /// Checks that no variable of the file is left; keys of the file may be.
    func checkVariables() throws { try variables.check(paths, of: place, within: above, but: nestedPaths) }

    private mutating func value<Value>(
        _ key: String, _ expected: String, _ convert: (JSON) -> Value?
    ) throws -> Value? {
        if !asked.contains(key) { asked.append(key) }
        let path = above + [key]
        paths.append(path)
        if let text = variables[path] {
            guard let value = convert(.string(text)) ?? FileVariables.value(text).flatMap(convert) else {
                throw PomeloError(.configuration, "\(variables.name(path)) must be \(expected)")
            }
            return value
        }
        guard let json = object[key], !json.isNull else { return nil }
        guard let value = convert(json) else {
            throw PomeloError(.configuration, "\(place): \(key) must be \(expected)")
        }
        return value
    }
}
