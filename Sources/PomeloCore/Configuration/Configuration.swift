// SPDX-License-Identifier: MIT
import Foundation
public import PomeloWire

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

    /// The folder above the configuration folder: the application's own.
    public var base: String {
        let parts = folder.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        return parts.isEmpty ? "." : parts.joined(separator: "/")
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
    /// - Throws: `PomeloError` `.configuration` naming the file: absent, unreadable, or not JSON.
    public func section(_ name: String) throws -> JSON {
        try ConfigurationFile.section(folder: folder, env: env, name: name).value
    }

    /// Like `section`, strictly: keys that are not asked for are an error.
    public func options(_ name: String) throws -> OptionReader {
        let section = try ConfigurationFile.section(folder: folder, env: env, name: name)
        return try OptionReader(section.value, file: section.file)
    }

    /// Whether there is a file of this name, for all environments or for this one.
    public func has(_ name: String) -> Bool {
        !folder.isEmpty
            && [path(name), path("\(env)/\(name)")].contains { FileManager.default.fileExists(atPath: $0) }
    }

    /// The path of a file, as messages name it.
    public func path(_ name: String) -> String { "\(folder)/\(name).json" }
}

enum ConfigurationFile {
    static func section(folder: String, env: String, name: String) throws -> (value: JSON, file: String) {
        let shared = "\(folder)/\(name).json"
        let own = "\(folder)/\(env)/\(name).json"
        if FileManager.default.fileExists(atPath: shared) {
            let document = try parse(shared)
            if let section = document[env], section.isTruthy { return (section, shared) }
            return (document, shared)
        }
        if FileManager.default.fileExists(atPath: own) { return (try parse(own), own) }
        throw PomeloError(.configuration, "there is no configuration file \(shared)")
    }

    private static func parse(_ path: String) throws -> JSON {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw PomeloError(.configuration, "\(path) cannot be read")
        }
        do {
            return try JSON.parse(Bytes(data))
        } catch {
            throw PomeloError(.configuration, "\(path) is not JSON: \(error)", cause: error)
        }
    }
}
