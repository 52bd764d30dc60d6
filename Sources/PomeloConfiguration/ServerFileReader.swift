// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloContract
import PomeloJSON

/// Reads `servers.json` and `master.json`.
struct ServerFileReader {
    let folder: String
    let env: String

    func master(_ variables: FileVariables) throws -> (record: ServerRecord, cluster: String) {
        let part = try ConfigurationFile(folder: folder, env: env, name: "master").section()
        let file = part.path
        var reader = try OptionReader(part.value, file: file, variables: variables)
        let cluster = try reader.string("name") ?? "pomelo"
        guard !cluster.isEmpty, !cluster.contains(where: { "{}:/".contains($0) }) else {
            throw PomeloError(.configuration, "\(file): name must not be empty nor hold {, }, : or /")
        }
        let record = try Self.record(&reader, .master, file)
        try reader.checkVariables()
        return (record, cluster)
    }

    /// The masters of `masterha.json`, which stand by; none where there is no such file.
    ///
    /// - Source: pomelo 2.2.7, template config/masterha.json.
    func standbys() throws -> [ServerRecord] {
        let source = ConfigurationFile(folder: folder, env: env, name: "masterha")
        guard source.exists, let part = try source.sectionIfAny() else { return [] }
        guard let object = part.value.object, let list = object["masterha"]?.array else {
            throw PomeloError(.configuration, "\(part.path) must hold a list \"masterha\" of masters")
        }
        if object["zookeeper"] != nil {
            throw PomeloError(
                .configuration, "\(part.path): there is no zookeeper: masters elect one of them in Redis")
        }
        if let key = object.keys.first(where: { $0 != "masterha" }) {
            throw PomeloError(.configuration, "\(part.path): unknown key \(key)")
        }
        return try list.enumerated().map { index, entry in
            let place = "\(part.path): masterha[\(index)]\(Self.name(of: entry))"
            var reader = try OptionReader(entry, file: place)
            return try Self.record(&reader, .master, place)
        }
    }

    func servers() throws -> [ServerRecord] {
        let part = try ConfigurationFile(folder: folder, env: env, name: "servers").section()
        let file = part.path
        guard let types = part.value.object else { throw PomeloError(.configuration, "\(file) must hold an object") }
        var records: [ServerRecord] = []
        for (type, list) in types {
            guard let list = list.array else {
                throw PomeloError(.configuration, "\(file): \(type) must hold a list of servers")
            }
            var shorthand = ClusterShorthand(type: type)
            for (index, entry) in list.enumerated() {
                let place = { (entry: JSON) in "\(file): \(type)[\(index)]\(Self.name(of: entry))" }
                for expanded in try shorthand.expand(entry, place(entry)) {
                    var reader = try OptionReader(expanded, file: place(expanded))
                    records.append(try Self.record(&reader, ServerType(type), place(expanded)))
                }
            }
        }
        return records
    }

    /// An entry's id, behind its number: nobody counts the servers of a file.
    private static func name(of entry: JSON) -> String {
        guard let id = entry["id"]?.string, !id.isEmpty else { return "" }
        return " (\(id))"
    }

    static func record(_ reader: inout OptionReader, _ type: ServerType, _ place: String) throws -> ServerRecord {
        guard let id = try reader.string("id"), !id.isEmpty else {
            throw PomeloError(.configuration, "\(place): id is missing\(hint(for: "id", among: reader.rest.keys))")
        }
        guard !id.unicodeScalars.contains(where: { ":{}".unicodeScalars.contains($0) }) else {
            throw PomeloError(.configuration, "\(place): id \"\(id)\" must not hold :, { or }")
        }
        // Files are called by it.
        guard !id.hasPrefix("."), id.escapedForLog(maxBytes: .max) == id, !id.contains("/") else {
            throw PomeloError(
                .configuration, "\(place): id \(id.forLog) must not begin with a dot nor hold / or control characters")
        }
        let isFrontend = try reader.bool("frontend") ?? false
        let port = try reader.int("port", in: 1...65535)
        // pomelo's gates have no RPC port; here every server has one, if only a free one.
        guard port != nil || isFrontend else {
            let hint = hint(for: "port", among: reader.rest.keys)
            throw PomeloError(.configuration, "\(place): port is missing\(hint)")
        }
        var record = ServerRecord(
            id: ServerID(id), type: type, host: try reader.host("host") ?? "127.0.0.1", port: port ?? 0,
            clientHost: try reader.string("clientHost"), isFrontend: isFrontend, bind: try reader.host("bind"),
            maxConnections: try reader.int("max-connections", in: 1...Int.max))
        record.clients = try ClientEntryReader(place: place).read(&reader)
        record.weight = try reader.int("weight", in: 1...Int.max)
        record.launch.arguments = try reader.strings("args")
        record.launch.cpu = try reader.int("cpu", in: 0...4095)
        record.launch.restarts = try reader.bool("auto-restart") ?? false
        record.launch.restartsByForce = try reader.bool("restart-force") ?? false
        record.metadata = reader.rest
        return record
    }

    /// The object that `record` reads to the same record.
    static func fields(_ record: ServerRecord) -> JSONObject {
        var fields = record.metadata
        fields["id"] = .string(record.id.rawValue)
        fields["host"] = .string(record.host)
        fields["port"] = record.port == 0 ? nil : .init(record.port)
        fields["clientHost"] = record.clientHost.map(JSON.string)
        ClientEntryReader.put(record.clients, in: &fields)
        fields["frontend"] = .bool(record.isFrontend)
        fields["bind"] = record.bind.map(JSON.string)
        fields["max-connections"] = record.maxConnections.map { JSON($0) }
        fields["weight"] = record.weight.map { JSON($0) }
        fields["args"] = .array(record.launch.arguments.map(JSON.string))
        fields["cpu"] = record.launch.cpu.map { JSON($0) }
        fields["auto-restart"] = .bool(record.launch.restarts)
        fields["restart-force"] = .bool(record.launch.restartsByForce)
        return fields
    }

    /// The keys that `record` asks for.
    private static let keys = [
        "id", "host", "port", "clientHost", "clientPort", "clients", "frontend", "bind", "max-connections", "weight",
        "args", "cpu", "auto-restart", "restart-force",
    ]

    /// The first of the application's own keys that may be meant for this one, as the end of a message.
    static func hint(for key: String, among own: [String]) -> String {
        let written = own.first { Nearness.misspelt($0, among: [key]) != nil }
        return written.map { "; it has \"\($0)\", which is another key" } ?? ""
    }

    /// The application's own keys of a record that may be meant for keys of the framework, which the record lacks.
    static func misspelt(in record: ServerRecord) -> [(key: String, meant: String)] {
        var given = fields(record)
        if record.host == "127.0.0.1" { given["host"] = nil }
        let known = record.type == .master ? keys + ["name"] : keys
        let absent = known.filter { given[$0]?.isTruthy != true }
        return record.metadata.keys.compactMap { key in
            Nearness.misspelt(key, among: absent).map { (key, $0) }
        }
    }

    static func checkUnique(_ servers: [ServerRecord], _ file: String) throws {
        var ids: Set<ServerID> = []
        for server in servers where !ids.insert(server.id).inserted {
            throw PomeloError(.configuration, "\(file): the id \(server.id) is used twice")
        }
    }
}

/// `{"clusterCount": 3, "port": "3150++"}`: several servers in one record.
///
/// Each text that ends in `++` counts up from its number; ids are `cluster-server-<type>-<n>`, counted on over all
/// shorthand records of a type.
///
/// - Source: pomelo 2.2.7, lib/util/utils.js, loadCluster.
struct ClusterShorthand {
    let type: String
    private var made: Int

    /// Numbers count on from those that were made before.
    init(type: String, made: Int = 0) {
        self.type = type
        self.made = made
    }

    mutating func expand(_ entry: JSON, _ place: String) throws -> [JSON] {
        guard let object = entry.object, let wanted = object["clusterCount"] else { return [entry] }
        guard let count = wanted.int ?? wanted.string.flatMap(Int64.init), (1...1000).contains(count) else {
            throw PomeloError(.configuration, "\(place): clusterCount must be a whole number from 1 to 1000")
        }
        return try (0..<count).map { offset in
            var server = JSONObject()
            for (key, value) in object where key != "clusterCount" {
                server[key] = try counted(value, offset, "\(place): \(key)")
            }
            server["id"] = .string("cluster-server-\(type)-\(made)")
            made += 1
            return .object(server)
        }
    }

    /// The ports within `clients`.
    private func counted(_ object: JSONObject, _ offset: Int64, _ place: String) throws -> JSON {
        var server = JSONObject()
        for (key, value) in object { server[key] = try counted(value, offset, "\(place).\(key)") }
        return .object(server)
    }

    private func counted(_ value: JSON, _ offset: Int64, _ place: String) throws -> JSON {
        if let list = value.array, !list.isEmpty, list.allSatisfy({ $0.object != nil }) {
            return .array(
                try list.enumerated().map { try counted($1.object ?? JSONObject(), offset, "\(place)[\($0)]") })
        }
        guard let text = value.string, text.hasSuffix("++") else { return value }
        guard let first = Int64(text.dropLast(2)) else {
            throw PomeloError(.configuration, "\(place) must be a number before its ++, got \"\(text)\"")
        }
        let (number, overflow) = first.addingReportingOverflow(offset)
        guard !overflow else { throw PomeloError(.configuration, "\(place) counts beyond the largest number") }
        return .int(number)
    }
}
