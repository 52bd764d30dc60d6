// SPDX-License-Identifier: MIT
import PomeloWire

/// Reads `servers.json` and `master.json`.
struct ServerFileReader {
    let folder: String
    let env: String

    func master() throws -> (record: ServerRecord, cluster: String) {
        let (value, file) = try ConfigurationFile.section(folder: folder, env: env, name: "master")
        var reader = try OptionReader(value, file: file)
        let cluster = try reader.string("name") ?? "pomelo"
        guard !cluster.isEmpty, !cluster.contains(where: { "{}:/".contains($0) }) else {
            throw PomeloError(.configuration, "\(file): name must not be empty nor hold {, }, : or /")
        }
        return (try record(&reader, .master, file), cluster)
    }

    func servers() throws -> [ServerRecord] {
        let (value, file) = try ConfigurationFile.section(folder: folder, env: env, name: "servers")
        guard let types = value.object else { throw PomeloError(.configuration, "\(file) must hold an object") }
        var records: [ServerRecord] = []
        for (type, list) in types {
            guard let list = list.array else {
                throw PomeloError(
                    .configuration, "\(file): \(type) must hold a list of servers (no section \"\(env)\" found?)")
            }
            for (index, entry) in list.enumerated() {
                var reader = try OptionReader(entry, file: "\(file): \(type)[\(index)]")
                records.append(try record(&reader, ServerType(type), "\(file): \(type)[\(index)]"))
            }
        }
        return records
    }

    private func record(_ reader: inout OptionReader, _ type: ServerType, _ place: String) throws -> ServerRecord {
        guard let id = try reader.string("id"), !id.isEmpty else {
            throw PomeloError(.configuration, "\(place): id is missing")
        }
        guard !id.contains(where: { ":{}".contains($0) }) else {
            throw PomeloError(.configuration, "\(place): id \"\(id)\" must not hold :, { or }")
        }
        guard let port = try reader.int("port", in: 1...65535) else {
            throw PomeloError(.configuration, "\(place): port of \(id) is missing")
        }
        let clientPort = try reader.int("clientPort", in: 1...65535)
        var record = ServerRecord(
            id: ServerID(id), type: type, host: try reader.string("host") ?? "127.0.0.1", port: port,
            clientHost: try reader.string("clientHost"), clientPort: clientPort,
            isFrontend: try reader.bool("frontend") ?? false, bind: try reader.string("bind"),
            maxConnections: try reader.int("max-connections", in: 1...Int.max))
        record.metadata = reader.rest
        return record
    }

    static func checkUnique(_ servers: [ServerRecord], _ file: String) throws {
        var ids: Set<ServerID> = []
        for server in servers where !ids.insert(server.id).inserted {
            throw PomeloError(.configuration, "\(file): the id \(server.id) is used twice")
        }
    }
}
