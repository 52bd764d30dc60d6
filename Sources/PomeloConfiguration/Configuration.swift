// SPDX-License-Identifier: MIT
//
// PomeloConfiguration: what the files of a cluster and the command line say, and what is wrong with them.
// Reading order: Configuration, ConfigurationFile, LiveFile, OptionReader, EnvironmentVariables, FileVariables,
// Nearness, ServerFileReader, ClientEntryReader, PortClaims, ProcessArguments.
import Foundation
public import PomeloContract
public import PomeloJSON

/// The files of a configuration folder, for one environment.
///
/// A file is `<folder>/<name>.json`, of which the section named like the environment counts when there is one, or
/// else `<folder>/<env>/<name>.json`, which counts whole. Environment variables stand above what files say, see
/// ``EnvironmentVariables``.
///
/// - Source: pomelo 2.2.7, `app.loadConfigBaseApp` and template config/.
public struct Configuration: Sendable {
    /// The folder with the files; empty when the configuration was made by hand.
    public let folder: String
    /// The environment whose sections of the files count.
    public let env: String
    /// `name` in `master.json`, or `pomelo`.
    public let clusterName: String
    /// Every server of `servers.json`, the master, and those that stand by for it, sorted by id.
    public let servers: [ServerRecord]
    private var masterID: ServerID?
    /// The keys of the own server's record that the command line has said.
    package var keysOfArguments: [String] = []
    private let variables: EnvironmentVariables
    /// The names of the files that variables may be of.
    private let files: [String]

    /// Reads `servers.json` and `master.json`.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file, and the key where there is one.
    public init(folder: String, env: String, variables: EnvironmentVariables = .ofProcess) throws {
        self.folder = folder
        self.env = env
        self.variables = variables
        files = ConfigurationFile.names(folder: folder, env: env)
        try ConfigurationFile.check(env, of: ["master", "servers"], in: folder)
        let reader = ServerFileReader(folder: folder, env: env)
        let master = try reader.master(variables.of("master", among: files))
        clusterName = master.cluster
        masterID = master.record.id
        servers = (try reader.servers() + reader.standbys() + [master.record]).sorted { $0.id < $1.id }
        try ServerFileReader.checkUnique(servers, path("servers"))
        try PortClaims.check(servers, path("servers"))
    }

    /// A configuration made by hand, for tests and programs without files; no variables of the process count.
    public init(
        env: String = "development", cluster: String = "pomelo", servers: [ServerRecord], folder: String = "",
        variables: EnvironmentVariables = EnvironmentVariables([:])
    ) {
        self.folder = folder
        self.env = env
        self.variables = variables
        files = ConfigurationFile.names(folder: folder, env: env)
        clusterName = cluster
        self.servers = servers.sorted { $0.id < $1.id }
        masterID = self.servers.first { $0.type == .master }?.id
    }

    /// The same configuration with other servers.
    func with(_ servers: [ServerRecord]) -> Configuration {
        var changed = Configuration(
            env: env, cluster: clusterName, servers: servers, folder: folder, variables: variables)
        changed.keysOfArguments = keysOfArguments
        changed.masterID = masterID
        return changed
    }

    /// The same configuration with another address for one server's client port.
    public func binding(_ id: ServerID, to address: String) -> Configuration {
        with(
            servers.map { server in
                var server = server
                if server.id == id { server.bind = address }
                return server
            })
    }

    /// The folder above the configuration folder, the application's own, as an absolute path; the current one for a
    /// configuration made by hand.
    public var base: String {
        if folder.isEmpty { return URL(fileURLWithPath: ".").standardizedFileURL.path }
        return URL(fileURLWithPath: folder).standardizedFileURL.deletingLastPathComponent().path
    }

    /// The record of `master.json`; nil in a configuration made by hand without one.
    public var master: ServerRecord? { servers.first { $0.id == masterID } }

    /// The records of `masterha.json`.
    package var standbys: [ServerRecord] { servers.filter { $0.type == .master && $0.id != masterID } }

    /// The environments that `servers.json` has servers for; empty when nobody says.
    package var environments: [String] { folder.isEmpty ? [] : file("servers").sectionsAndFolders }

    /// A server's own keys that are nearly ones of the framework, which it lacks.
    package func misspelt(_ id: ServerID) -> [(key: String, meant: String)] {
        self[id].map(ServerFileReader.misspelt) ?? []
    }

    /// The server's own key that may be meant for one of the framework, as the end of a message; or nothing.
    package func hint(for key: String, of id: ServerID) -> String {
        ServerFileReader.hint(for: key, among: self[id]?.metadata.keys ?? [])
    }

    /// The types of servers, the master's aside, sorted.
    public var serverTypes: [ServerType] { Set(servers.map(\.type)).subtracting([.master]).sorted() }

    /// The servers of a type, sorted by id; empty when there is none.
    public func servers(_ type: ServerType) -> [ServerRecord] { servers.filter { $0.type == type } }

    /// The record of a server, or nil when the configuration has none of that id.
    public subscript(_ id: ServerID) -> ServerRecord? { servers.first { $0.id == id } }

    /// The record of a server.
    ///
    /// - Throws: `PomeloError` `.configuration` listing the ids there are.
    public func record(_ id: ServerID) throws -> ServerRecord {
        if let record = self[id] { return record }
        let known = servers.map(\.id.rawValue).joined(separator: ", ")
        throw PomeloError(.configuration, "\(path("servers")) has no server \"\(id)\" for \(env); it has: \(known)")
    }

    /// The part of a file that counts for this environment.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file, when it is absent or unreadable; and line and column,
    ///   when it is not JSON.
    public func section(_ name: String) throws -> JSON {
        let part = try file(name).whole()
        return try variables(of: name).over(part.value, of: part.path)
    }

    /// The part of a file that counts for this environment, as a type, strictly: a key that nobody asks for is refused.
    ///
    /// What may be left out is optional in the type; options with defaults of their own are `FileOptions`. With a key
    /// the type is that of its value, and the other keys are for others.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file, and the path of the key that is missing, unknown or
    ///   has a wrong value; or line and column, when the file is not JSON.
    public func decode<Value: Decodable>(
        _ name: String, as type: Value.Type = Value.self, under key: String? = nil
    ) throws -> Value {
        let part = try file(name).whole()
        do {
            return try variables(of: name).decode(type, from: part.value, under: key, of: part.path)
        } catch let error as PomeloError where !part.others.isEmpty && !part.others.contains(key ?? "") {
            let there = part.others.joined(separator: ", ")
            let hint = "the file has no section \"\(env)\" and was taken whole; it has: \(there)"
            throw PomeloError(.configuration, "\(error.message); \(hint)", cause: error)
        }
    }

    /// Like `section`, strictly: keys that are not asked for are an error, and so is a file whose sections are all of
    /// other environments.
    public func options(_ name: String) throws -> OptionReader {
        let section = try strictSection(name)
        var reader = try OptionReader(section.value, file: section.path, variables: variables(of: name))
        reader.configuration = self
        return reader
    }

    /// The section of a file that must have one for this environment, if it has any; and the file's path.
    package func strictSection(_ name: String) throws -> (value: JSON, path: String) {
        let part = try file(name).section()
        return (part.value, part.path)
    }

    /// The section of a file that there need not be, and the file's path; nil also when it has sections for other
    /// environments only.
    package func sectionIfAny(_ name: String) throws -> (value: JSON, path: String)? {
        guard has(name), let part = try file(name).sectionIfAny() else { return nil }
        return (part.value, part.path)
    }

    /// The options, with what their file says for this environment above them.
    ///
    /// They are as they were when there is no such file, or it has sections and none for this environment; and no
    /// environment variable is one of their keys.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file, and the key that is unknown or has a wrong value.
    public func options<Options: FileOptions>(_ options: Options) throws -> Options {
        let (name, variables) = (Options.fileName, variables(of: Options.fileName))
        var part: ConfigurationFile.Part? = has(name) ? try file(name).whole() : nil
        if let others = part?.others, try !others.isEmpty && others.allSatisfy({ try !isKey($0, of: options) }) {
            part = nil
        }
        if part == nil, !variables.isEmpty { part = ConfigurationFile.Part(value: [:], path: path(name)) }
        guard let part else { return options }
        var options = options
        var reader = try OptionReader(part.value, file: part.path, variables: variables)
        reader.configuration = self
        try options.read(&reader)
        try reader.finish()
        return options
    }

    /// Whether the options ask for a key: what looks like sections of other environments may be objects of their own.
    private func isKey(_ key: String, of options: some FileOptions) throws -> Bool {
        var (options, reader) = (options, try OptionReader([:], file: path(type(of: options).fileName)))
        try options.read(&reader)
        return reader.asked.contains(key)
    }

    /// Whether there is a file of this name, for all environments or for this one.
    public func has(_ name: String) -> Bool { !folder.isEmpty && file(name).exists }

    private func file(_ name: String) -> ConfigurationFile {
        ConfigurationFile(folder: folder, env: env, name: Self.plain(name))
    }

    /// A file that may change while the server runs, and is not read when it is longer than so many bytes.
    package func liveFile(_ name: String, atMost maxBytes: Int) -> LiveFile {
        LiveFile(folder: folder, env: env, name: Self.plain(name), maxBytes: maxBytes)
    }

    /// The path of a file, as messages name it.
    public func path(_ name: String) -> String { "\(folder)/\(Self.plain(name)).json" }

    /// A file's name without its ending.
    package static func plain(_ name: String) -> String {
        name.hasSuffix(".json") ? String(name.dropLast(".json".count)) : name
    }

    /// The environment variables that stand above a file.
    package func variables(of name: String) -> FileVariables { variables.of(Self.plain(name), among: files) }

    /// One line for each `POMELO_*` variable that means nothing to any server, with the nearest name that does.
    ///
    /// A file that options are read from may be absent: the program says which these are.
    public func unknownVariables(besides optionFiles: [String] = []) -> [String] {
        variables.unknown(among: Set(files + optionFiles).sorted())
    }
}
