// SPDX-License-Identifier: MIT
import PomeloContract
import PomeloJSON

/// Reads the ports of a frontend's connectors: `"clients": [{"type": "hybrid", "port": 3010}, …]`, or one `clientPort`.
struct ClientEntryReader {
    /// The server's place in its file, for errors.
    let place: String

    func read(_ reader: inout OptionReader) throws -> [ServerRecord.ClientEntry] {
        let clientPort = try reader.int("clientPort", in: 1...65535)
        guard let list = try reader.list("clients") else {
            return clientPort.map { [ServerRecord.ClientEntry(port: $0)] } ?? []
        }
        let entries = try list.enumerated().map { try entry($1, "\(place): clients[\($0)]") }
        guard let first = entries.first else { throw PomeloError(.configuration, "\(place): clients is empty") }
        if let clientPort, clientPort != first.port {
            throw PomeloError(
                .configuration, "\(place): clientPort is the port of clients[0], \(first.port), or is left out")
        }
        return entries
    }

    private func entry(_ value: JSON, _ place: String) throws -> ServerRecord.ClientEntry {
        var reader = try OptionReader(value, file: place)
        guard let type = try reader.string("type"), !type.isEmpty else {
            throw PomeloError(.configuration, "\(place): type is missing")
        }
        guard let port = try reader.int("port", in: 1...65535) else {
            throw PomeloError(.configuration, "\(place): port is missing")
        }
        let entry = ServerRecord.ClientEntry(
            type: type, host: try reader.host("host"), port: port, tls: try reader.bool("tls"))
        try reader.finish()
        return entry
    }

    /// Writes what `read` reads to the same entries.
    static func put(_ entries: [ServerRecord.ClientEntry], in fields: inout JSONObject) {
        if entries.count == 1, let only = entries.first, only.type == nil, only.host == nil, only.tls == nil {
            fields["clientPort"] = JSON(only.port)
        } else if !entries.isEmpty {
            fields["clients"] = .array(entries.map(json))
        }
    }

    private static func json(_ entry: ServerRecord.ClientEntry) -> JSON {
        var fields = JSONObject()
        fields["type"] = entry.type.map(JSON.string)
        fields["host"] = entry.host.map(JSON.string)
        fields["port"] = JSON(entry.port)
        fields["tls"] = entry.tls.map(JSON.bool)
        return .object(fields)
    }
}
