// SPDX-License-Identifier: MIT
public import PomeloContract
public import PomeloJSON

/// What a server process was told on its command line: pomelo's `key=value`, `--key value`, `--key=value` or `--flag`.
///
/// A value that is a whole number is one, `true` and `false` are booleans, a flag alone is `true`; a key with dashes
/// (`--server-type`) is the same as one in camel case, except for the keys of `servers.json` that have dashes.
///
/// - Source: pomelo 2.2.7, lib/util/appUtil.js, parseArgs; there booleans stayed texts, and an argument without `=`
///   became a key that nobody had written.
public struct ProcessArguments: Sendable, Equatable {
    /// Which section of the configuration files counts; key `env`.
    public var env: String?
    /// Which server this process is; key `id`.
    public var id: ServerID?
    /// The type of a server that no file names; key `serverType`.
    public var serverType: ServerType?
    /// The folder of the configuration files; key `config`.
    public var config: String?
    /// Everything else: fields of the server's record, or metadata of the application.
    public private(set) var fields = JSONObject()

    /// No arguments.
    public init() {}

    /// Reads the words after the program's name.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the word: one that is no argument, or a key given twice.
    public init(_ words: [String]) throws {
        var words = words[...]
        while let word = words.popFirst() {
            let isFlag = word.hasPrefix("--")
            let parts = (isFlag ? word.dropFirst(2) : word[...]).split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let key = parts.first.map(String.init), !key.isEmpty, isFlag || parts.count == 2 else {
                throw PomeloError(.configuration, "expected key=value or --key value, got \"\(word)\"")
            }
            if parts.count == 2 {
                try set(key, String(parts[1]))
            } else if let next = words.first, !next.hasPrefix("--"), !next.contains("=") {
                try set(key, words.removeFirst())
            } else {
                try set(key, "true")
            }
        }
    }

    private mutating func set(_ written: String, _ text: String) throws {
        let key = Self.dashed.contains(written) ? written : Self.camelCase(written)
        func free(_ isFree: Bool) throws {
            guard isFree else { throw PomeloError(.configuration, "the argument \(written) is given twice") }
            guard !text.isEmpty else { throw PomeloError(.configuration, "the argument \(written) has no value") }
        }
        switch key {
        case "env":
            try free(env == nil)
            env = text
        case "id":
            try free(id == nil)
            id = ServerID(text)
        case "serverType":
            try free(serverType == nil)
            serverType = ServerType(text)
        case "config":
            try free(config == nil)
            config = text
        default:
            try free(fields[key] == nil)
            fields[key] = Self.value(text)
        }
    }

    private static let dashed: Set<String> = ["max-connections", "auto-restart", "restart-force"]

    private static func camelCase(_ key: String) -> String {
        let words = key.split(separator: "-", omittingEmptySubsequences: false)
        return words.dropFirst().reduce(String(words[0])) { $0 + $1.prefix(1).uppercased() + $1.dropFirst() }
    }

    private static func value(_ text: String) -> JSON {
        if let number = Int64(text) { return .int(number) }
        switch text {
        case "true": return true
        case "false": return false
        default: return .string(text)
        }
    }
}

extension Configuration {
    /// The configuration with what the command line says of its own server.
    ///
    /// Fields given there stand above those of `servers.json`. A server that no file names is added when its type is
    /// given, so that one can be started without editing a file.
    ///
    /// - Throws: `PomeloError` `.configuration` when there is no id, the id is unknown and has no type, the type is
    ///   another than in the file, a field is wrong, or a port another server's.
    public func applying(_ arguments: ProcessArguments) throws -> (configuration: Configuration, id: ServerID) {
        guard let id = arguments.id else {
            let known = servers.map(\.id.rawValue).joined(separator: ", ")
            throw PomeloError(.configuration, "which server? Give --id with one of: \(known)")
        }
        let known = servers.first { $0.id == id }
        if let type = arguments.serverType, let known, known.type != type {
            throw PomeloError(.configuration, "\(id) is a \(known.type) in \(path("servers")), not a \(type)")
        }
        guard let type = known?.type ?? arguments.serverType else { return (self, try record(id).id) }
        if known != nil, arguments.fields.isEmpty { return (self, id) }
        var fields = known.map(ServerFileReader.fields) ?? ["id": .string(id.rawValue)]
        for (key, value) in arguments.fields { fields[key] = value }
        var reader = try OptionReader(.object(fields), file: "the command line")
        let record = try ServerFileReader.record(&reader, type, "the command line")
        let others = servers.filter { $0.id != id }
        var changed = with(others + [record])
        changed.keysOfArguments = known == nil ? reader.asked : arguments.fields.keys
        try PortClaims.check(changed.servers, "the command line")
        return (changed, id)
    }

    /// The servers that a command adds to those of the files: one, or with `clusterCount` several; of each its record,
    /// and the words that tell a process that it is this one.
    ///
    /// Numbers of several count on from those in `others`, which were added before.
    ///
    /// - Throws: `PomeloError` `.configuration` when there is no type, a server of that id, a field is wrong, or a port
    ///   another server's of the files.
    package func adding(
        _ arguments: ProcessArguments, beside others: [String]
    ) throws -> [(record: ServerRecord, words: [String])] {
        guard let type = arguments.serverType else {
            throw PomeloError(.configuration, "which type? Give serverType=… with one of: \(typeNames)")
        }
        var entry = arguments.fields
        entry["id"] = arguments.id.map { .string($0.rawValue) }
        let beginning = "cluster-server-\(type)-"
        let names = (servers.map(\.id.rawValue) + others).filter { $0.hasPrefix(beginning) }
        let numbers = names.compactMap { Int($0.dropFirst(beginning.count)) }
        var shorthand = ClusterShorthand(type: type.rawValue, made: (numbers.max() ?? -1) + 1)
        var whole = self
        return try shorthand.expand(.object(entry), "the command").map { one in
            var fields = one.object ?? [:]
            guard let id = fields["id"]?.string else { throw PomeloError(.configuration, "which id? Give id=…") }
            guard whole[ServerID(id)] == nil else {
                throw PomeloError(.configuration, "there is a server \(id) already")
            }
            fields["id"] = nil
            let words = ["id=\(id)", "serverType=\(type)"] + fields.map { "\($0.0)=\($0.1.argument)" }
            whole = try whole.applying(ProcessArguments(words)).configuration
            return (try whole.record(ServerID(id)), words)
        }
    }

    private var typeNames: String { serverTypes.map(\.description).joined(separator: ", ") }
}

extension JSON {
    /// As it stands behind `key=`.
    fileprivate var argument: String { string ?? String(decoding: encoded(), as: UTF8.self) }
}
