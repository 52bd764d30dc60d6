// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloCore
import PomeloJSON

//  {"inst":"9f…","state":"up","services":["globalChannel","status"],"record":{"id":"connector-1",
//   "serverType":"connector","host":"10.0.0.1","port":4050,"clientHost":…,"clientPort":…,
//   "clients":[{"type":"hybrid","host":…,"port":…}],"frontend":true,"bind":…,
//   "max-connections":…,"weight":…,"metadata":{…}}}
//
//  `state` is joining, up or draining; of the record only id, serverType, host and port are always there. The order
//  is fixed, so that equal entries are equal texts.

/// A server as the registry keeps it: pure, and safe for any text.
public enum RegistryEntry {
    /// Why a text is no entry.
    public struct Unreadable: Error, Equatable, Sendable, CustomStringConvertible {
        /// What is wrong with it, without the text's own words.
        public let description: String
    }

    /// The longest text of an entry, in bytes.
    public static let maxBytes = 65_536
    /// The longest id, type or name of a service, in bytes.
    public static let maxNameBytes = 128
    /// The longest host, in bytes; a name of the DNS has at most 253 (RFC 1035).
    static let maxHostBytes = 255
    static let maxInstanceBytes = 64
    static let maxServices = 64
    /// The most connectors of a server.
    static let maxClients = 16

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
        let isPlain = record.clients.allSatisfy { $0.type == nil && $0.host == nil }
        fields["clients"] = isPlain ? nil : .array(record.clients.map(json))
        fields["frontend"] = record.isFrontend ? true : nil
        fields["bind"] = record.bind.map(JSON.string)
        fields["max-connections"] = record.maxConnections.map { .int(Int64($0)) }
        fields["weight"] = record.weight.map { .int(Int64($0)) }
        fields["metadata"] = record.metadata.isEmpty ? nil : .object(record.metadata)
        var entry = JSONObject()
        entry["inst"] = .string(info.instance.rawValue)
        entry["state"] = .string(info.state.rawValue)
        let services = info.services ?? []
        entry["services"] = services.isEmpty ? nil : .array(services.map(JSON.string))
        entry["record"] = .object(fields)
        return String(decoding: JSON.object(entry).encoded(), as: UTF8.self)
    }

    private static func json(_ client: ServerRecord.ClientEntry) -> JSON {
        var fields = JSONObject()
        fields["type"] = client.type.map(JSON.string)
        fields["host"] = client.host.map(JSON.string)
        fields["port"] = .int(Int64(client.port))
        fields["tls"] = client.tls.map(JSON.bool)
        return .object(fields)
    }

    /// Reads an entry: whoever can write to Redis may have written it.
    ///
    /// - Throws: `Unreadable` when it is none, is of another server, or holds what no server would announce.
    public static func read(_ text: String, of id: ServerID) throws(Unreadable) -> ServerInfo {
        guard text.utf8.count <= maxBytes else { throw Unreadable("it has more than \(maxBytes) bytes") }
        let entry: JSON
        do throws(WireError) {
            entry = try JSON.parse(Bytes(text.utf8))
        } catch {
            throw Unreadable("it is not JSON")
        }
        guard isName(id.rawValue) else { throw Unreadable("its id is no server id") }
        guard let instance = entry["inst"]?.string, isInstance(instance) else { throw Unreadable("inst is wrong") }
        guard let record = entry["record"], record.object != nil else { throw Unreadable("it has no record") }
        let fields = Fields(record)
        guard try fields.text("id").map({ ServerID($0) }) == id else { throw Unreadable("it is of another server") }
        // A state of a later version is one that nothing is routed to.
        let state = entry["state"]?.string.flatMap(ServerState.init(rawValue:)) ?? .joining
        return ServerInfo(
            record: try fields.record(id), instance: InstanceID(instance), state: state,
            services: try services(entry["services"]))
    }

    /// Reads an entry; nil when it cannot be read.
    static func decode(_ text: String, of id: ServerID) -> ServerInfo? {
        do throws(Unreadable) {
            return try read(text, of: id)
        } catch {
            return nil
        }
    }

    /// The instance of an entry, also of one whose record cannot be read; empty when there is none.
    static func instance(_ text: String) -> InstanceID {
        do {
            return InstanceID(try JSON.parse(Bytes(text.utf8))["inst"]?.string ?? "")
        } catch {
            return ""
        }
    }

    // MARK: what is allowed

    /// Names are parts of keys: those of Redis Cluster end at a brace, ours at a colon.
    static func isName(_ text: String) -> Bool {
        (1...maxNameBytes).contains(text.utf8.count)
            && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F && !":{}".utf8.contains($0) }
    }

    private static func isInstance(_ text: String) -> Bool {
        (1...maxInstanceBytes).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    private static func services(_ value: JSON?) throws(Unreadable) -> [String] {
        guard let value else { return [] }
        guard let list = value.array, list.count <= maxServices else { throw Unreadable("services is wrong") }
        let names = list.compactMap(\.string)
        guard names.count == list.count, names.allSatisfy(isName) else { throw Unreadable("services is wrong") }
        return names
    }
}

extension RegistryEntry.Unreadable {
    fileprivate init(_ description: String) { self.description = description }
}

/// The fields of an entry's record: each is absent or right.
private struct Fields {
    private let json: JSON

    init(_ json: JSON) { self.json = json }

    func record(_ id: ServerID) throws(RegistryEntry.Unreadable) -> ServerRecord {
        guard let type = try text("serverType"), RegistryEntry.isName(type) else { throw wrong("serverType") }
        guard let host = try host("host") else { throw wrong("host") }
        guard let port = try number("port", in: 1...65_535) else { throw wrong("port") }
        guard json["frontend"] == nil || json["frontend"]?.bool != nil else { throw wrong("frontend") }
        guard json["metadata"] == nil || json["metadata"]?.object != nil else { throw wrong("metadata") }
        var record = ServerRecord(
            id: id, type: ServerType(type), host: host, port: port, clientHost: try self.host("clientHost"),
            clientPort: try number("clientPort", in: 1...65_535), isFrontend: json["frontend"]?.bool ?? false,
            bind: try self.host("bind"), maxConnections: try number("max-connections", in: 1...Int.max),
            metadata: json["metadata"]?.object ?? JSONObject())
        record.weight = try number("weight", in: 1...Int.max)
        if let clients = try clients() { record.clients = clients }
        return record
    }

    private func clients() throws(RegistryEntry.Unreadable) -> [ServerRecord.ClientEntry]? {
        guard let value = json["clients"] else { return nil }
        guard let list = value.array, (1...RegistryEntry.maxClients).contains(list.count) else {
            throw wrong("clients")
        }
        var entries: [ServerRecord.ClientEntry] = []
        for one in list {
            guard one.object != nil else { throw wrong("clients") }
            let fields = Fields(one)
            let type = try fields.text("type")
            guard type.map(RegistryEntry.isName) ?? true, let port = try fields.number("port", in: 1...65_535) else {
                throw wrong("clients")
            }
            entries.append(
                ServerRecord.ClientEntry(
                    type: type, host: try fields.host("host"), port: port, tls: try fields.bool("tls")))
        }
        return entries
    }

    func text(_ key: String) throws(RegistryEntry.Unreadable) -> String? {
        guard let value = json[key] else { return nil }
        guard let text = value.string else { throw wrong(key) }
        return text
    }

    private func bool(_ key: String) throws(RegistryEntry.Unreadable) -> Bool? {
        guard let value = json[key] else { return nil }
        guard let bool = value.bool else { throw wrong(key) }
        return bool
    }

    private func host(_ key: String) throws(RegistryEntry.Unreadable) -> String? {
        guard let host = try text(key) else { return nil }
        guard (1...RegistryEntry.maxHostBytes).contains(host.utf8.count),
            host.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F })
        else { throw wrong(key) }
        return host
    }

    private func number(_ key: String, in range: ClosedRange<Int>) throws(RegistryEntry.Unreadable) -> Int? {
        guard let value = json[key] else { return nil }
        guard let number = value.int.flatMap(Int.init(exactly:)), range.contains(number) else { throw wrong(key) }
        return number
    }

    private func wrong(_ key: String) -> RegistryEntry.Unreadable { RegistryEntry.Unreadable("\(key) is wrong") }
}
