// SPDX-License-Identifier: MIT
import Foundation
import PomeloBytes

/// The environment variables that stand above the files of a configuration folder.
///
/// `POMELO_<FILE>_<KEY>` is one key of one file: the words of both names in capitals, and keys within keys, joined by
/// `_`. So `POMELO_CONNECTOR_MAX_PENDING` is `maxPending` in `connector.json`. `REDIS_URL` is another name of
/// `POMELO_REDIS_URL`. A variable that is empty counts as absent. Values are never part of a message.
public struct EnvironmentVariables: Sendable {
    private let values: [String: String]

    /// The variables that this process was started with.
    public static let ofProcess = EnvironmentVariables(ProcessInfo.processInfo.environment)

    /// Those of a list that are not empty and may mean something: `POMELO_*`, `REDIS_URL` and `LOG_LEVEL`.
    public init(_ variables: [String: String]) {
        values = variables.filter { name, value in
            !value.isEmpty && (name.hasPrefix("POMELO_") || ["REDIS_URL", "LOG_LEVEL"].contains(name))
        }
    }

    /// A variable, nil when it is absent or empty.
    public subscript(_ name: String) -> String? { values[name] }

    /// `POMELO_ENV`: which section of the files counts, unless the command line says so.
    public var env: String? { self["POMELO_ENV"] }
    /// `POMELO_ID`: which server a process is, unless the command line says so.
    public var id: String? { self["POMELO_ID"] }
    /// `POMELO_CONFIG`: the folder of the files, unless the command line says so.
    public var config: String? { self["POMELO_CONFIG"] }

    /// Variables that are no key of a file.
    private static let own = ["ADMIN_PASSWORD", "ADMIN_USER", "BIND", "CONFIG", "ENV", "HOSTS", "ID", "SECRET"]
        .map { "POMELO_\($0)" }

    /// What a variable of a key is called.
    static func name(_ file: String, _ path: [String] = []) -> String {
        (["pomelo", file] + path).map(words).joined(separator: "_")
    }

    /// `maxPending` as `MAX_PENDING`.
    private static func words(_ name: String) -> String {
        var words = ""
        var beginsWord = false
        for byte in name.utf8 {
            let letter = Character(Unicode.Scalar(byte))
            let isWord = letter.isASCII && (letter.isLetter || letter.isNumber)
            if letter.isUppercase && beginsWord { words += "_" }
            words += isWord ? letter.uppercased() : "_"
            beginsWord = isWord && !letter.isUppercase
        }
        return words
    }

    /// The variables of one file among others: each belongs to the file with the longest name that it begins with.
    func of(_ file: String, among files: [String]) -> FileVariables {
        var own = values.filter { Self.file(of: $0.key, among: files + [file]) == file }
        var names: [String: String] = [:]
        let url = Self.name("redis", ["url"])
        if file == "redis", own[url] == nil, let value = values["REDIS_URL"] {
            own[url] = value
            names[url] = "REDIS_URL"
        }
        return FileVariables(file: file, values: own, otherNames: names)
    }

    private static func file(of variable: String, among files: [String]) -> String? {
        files.filter { variable.hasPrefix(name($0) + "_") }.max { $0.utf8.count < $1.utf8.count }
    }

    /// One line for each `POMELO_*` variable that is neither known nor of one of the files; with the nearest that is,
    /// or else with those that there are.
    func unknown(among files: [String]) -> [String] {
        let unknown = values.keys.filter {
            $0.hasPrefix("POMELO_") && !Self.own.contains($0) && Self.file(of: $0, among: files) == nil
        }
        return unknown.sorted().map { "\(Self.shown($0)) means nothing\(Self.hint($0, files))" }
    }

    /// A name that means nothing may be anything, and as long as the system allows.
    static func shown(_ name: String) -> String { name.escapedForLog(maxBytes: 128) }

    private static func hint(_ variable: String, _ files: [String]) -> String {
        if let file = file(of: variable, among: ConfigurationFile.lists) {
            return ": \(file).json has no variables, for its entries have no names"
        }
        let prefixes = files.map { name($0) + "_" }
        // Of a name of a key, only what stands where the file's name would counts.
        let near = prefixes.filter { nearest(prefix(of: variable, like: $0), [$0]) != nil }
        if let nearest = nearest(variable, own) ?? near.min(by: { distance(variable, $0) < distance(variable, $1) }) {
            return "; the nearest is \(nearest)\(prefixes.contains(nearest) ? "…" : "")"
        }
        return "; known are: \((own + prefixes.map { $0 + "…" }).sorted().joined(separator: ", "))"
    }

    private static func nearest(_ variable: String, _ known: [String]) -> String? {
        Nearness.nearest(to: variable, among: known, behind: "POMELO_")
    }

    private static func distance(_ variable: String, _ prefix: String) -> Int {
        Nearness.distance(Self.prefix(of: variable, like: prefix), prefix)
    }

    /// As many words of a variable as a prefix has.
    private static func prefix(of variable: String, like prefix: String) -> String {
        let parts = variable.split(separator: "_", omittingEmptySubsequences: false)
        return parts.prefix(prefix.dropLast().split(separator: "_").count).joined(separator: "_") + "_"
    }
}

/// Names only: whoever prints a configuration does not print its secrets.
extension EnvironmentVariables: CustomStringConvertible, CustomReflectable {
    /// The names of the variables, sorted.
    public var description: String { values.keys.sorted().joined(separator: ", ") }
    /// The names of the variables, sorted.
    public var customMirror: Mirror { Mirror(self, unlabeledChildren: values.keys.sorted()) }
}
