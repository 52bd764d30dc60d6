// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloWire

//  {"inst":"9f…","state":"up","services":["globalChannel","status"],"record":{"id":"connector-1",
//   "serverType":"connector","host":"10.0.0.1","port":4050,"clientHost":…,"clientPort":…,"frontend":true,
//   "bind":…,"max-connections":…,"weight":…,"metadata":{…}}}
//
//  `state` is joining, up or draining; of the record only id, serverType, host and port are always there. The order
//  is fixed, so that equal entries are equal texts.

/// A server as the registry keeps it.
enum RegistryEntry {
    /// The text of the hash value.
    static func encode(_ info: ServerInfo) -> String {
        let record = info.record
        var fields = JSONObject()
        fields["id"] = .string(record.id.rawValue)
        fields["serverType"] = .string(record.type.rawValue)
        fields["host"] = .string(record.host)
        fields["port"] = .int(Int64(record.port))
        fields["clientHost"] = record.clientHost.map(JSON.string)
        fields["clientPort"] = record.clientPort.map { .int(Int64($0)) }
        fields["frontend"] = record.isFrontend ? true : nil
        fields["bind"] = record.bind.map(JSON.string)
        fields["max-connections"] = record.maxConnections.map { .int(Int64($0)) }
        fields["weight"] = record.weight.map { .int(Int64($0)) }
        fields["metadata"] = record.metadata.isEmpty ? nil : .object(record.metadata)
        var entry = JSONObject()
        entry["inst"] = .string(info.instance.rawValue)
        entry["state"] = .string(info.state.rawValue)
        entry["services"] = info.services.isEmpty ? nil : .array(info.services.map(JSON.string))
        entry["record"] = .object(fields)
        return String(decoding: JSON.object(entry).encoded(), as: UTF8.self)
    }

    /// Reads an entry; nil when it is none, or is of another server.
    static func decode(_ text: String, of id: ServerID) -> ServerInfo? {
        let entry: JSON
        do {
            entry = try JSON.parse(Bytes(text.utf8))
        } catch {
            return nil
        }
        guard let instance = entry["inst"]?.string, !instance.isEmpty,
            let fields = entry["record"], fields["id"]?.string.map({ ServerID($0) }) == id,
            let type = fields["serverType"]?.string, let host = fields["host"]?.string,
            let port = number(fields["port"])
        else { return nil }
        var record = ServerRecord(
            id: id, type: ServerType(type), host: host, port: port, clientHost: fields["clientHost"]?.string,
            clientPort: number(fields["clientPort"]), isFrontend: fields["frontend"] == true,
            bind: fields["bind"]?.string, maxConnections: number(fields["max-connections"]),
            metadata: fields["metadata"]?.object ?? JSONObject())
        record.weight = number(fields["weight"])
        // A state of a later version is one that nothing is routed to.
        let state = entry["state"]?.string.flatMap(ServerState.init(rawValue:)) ?? .joining
        let services = entry["services"]?.array?.compactMap(\.string) ?? []
        return ServerInfo(record: record, instance: InstanceID(instance), state: state, services: services)
    }

    /// The instance of an entry, also of one whose record cannot be read; empty when there is none.
    static func instance(_ text: String) -> InstanceID {
        do {
            return InstanceID(try JSON.parse(Bytes(text.utf8))["inst"]?.string ?? "")
        } catch {
            return ""
        }
    }

    private static func number(_ value: JSON?) -> Int? { value?.int.flatMap(Int.init(exactly:)) }
}
