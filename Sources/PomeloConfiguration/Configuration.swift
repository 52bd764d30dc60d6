// SPDX-License-Identifier: MIT
//
// PomeloConfiguration: what the files of a cluster and the command line say, and what is wrong with them.
// Reading order: Configuration, ConfigurationFile, OptionReader, ServerFileReader, ProcessArguments.
import Foundation
public import PomeloContract
public import PomeloJSON

/// The files of a configuration folder, for one environment.
///
/// A file is `<folder>/<name>.json`, of which the section named like the environment counts when there is one, or
/// else `<folder>/<env>/<name>.json`, which counts whole.
///
/// - Source: pomelo 2.2.7, `app.loadConfigBaseApp` and template config/.
public struct Configuration: Sendable {
    /// The folder with the files; empty when the configuration was made by hand.
    public let folder: String
    /// The environment whose sections of the files count.
    public let env: String
    /// `name` in `master.json`, or `pomelo`.
    public let clusterName: String
    /// Every server of `servers.json`, and the master, sorted by id.
    public let servers: [ServerRecord]

    /// Reads `servers.json` and `master.json`.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file, and the key where there is one.
    public init(folder: String, env: String) throws {
        self.folder = folder
        self.env = env
        let reader = ServerFileReader(folder: folder, env: env)
        let master = try reader.master()
        clusterName = master.cluster
        servers = (try reader.servers() + [master.record]).sorted { $0.id < $1.id }
        try ServerFileReader.checkUnique(servers, path("servers"))
    }

    /// A configuration made by hand, for tests and programs without files.
    public init(env: String = "development", cluster: String = "pomelo", servers: [ServerRecord], folder: String = "") {
        self.folder = folder
        self.env = env
        clusterName = cluster
        self.servers = servers.sorted { $0.id < $1.id }
    }

    /// The same configuration with another address for one server's client port.
    public func binding(_ id: ServerID, to address: String) -> Configuration {
        let changed = servers.map { server in
            var server = server
            if server.id == id { server.bind = address }
            return server
        }
        return Configuration(env: env, cluster: clusterName, servers: changed, folder: folder)
    }

    /// The folder above the configuration folder, the application's own, as an absolute path; the current one for a
    /// configuration made by hand.
    public var base: String {
        if folder.isEmpty { return URL(fileURLWithPath: ".").standardizedFileURL.path }
        return URL(fileURLWithPath: folder).standardizedFileURL.deletingLastPathComponent().path
    }

    /// The record of `master.json`; nil in a configuration made by hand without one.
    public var master: ServerRecord? { servers.first { $0.type == .master } }

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
    public func section(_ name: String) throws -> JSON { try file(name).whole().value }

    /// Like `section`, strictly: keys that are not asked for are an error, and so is a file whose sections are all of
    /// other environments.
    public func options(_ name: String) throws -> OptionReader {
        let section = try strictSection(name)
        return try OptionReader(section.value, file: section.path)
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
    /// They are as they were when there is no such file, or it has sections and none for this environment.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file, and the key that is unknown or has a wrong value.
    public func options<Options: FileOptions>(_ options: Options) throws -> Options {
        guard let part = try sectionIfAny(Options.fileName) else { return options }
        var options = options
        var reader = try OptionReader(part.value, file: part.path)
        try options.read(&reader)
        try reader.finish()
        return options
    }

    /// Whether there is a file of this name, for all environments or for this one.
    public func has(_ name: String) -> Bool { !folder.isEmpty && file(name).exists }

    private func file(_ name: String) -> ConfigurationFile {
        ConfigurationFile(folder: folder, env: env, name: name)
    }

    /// The path of a file, as messages name it.
    public func path(_ name: String) -> String { "\(folder)/\(name).json" }
}
