// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloRedis

/// One entry of the registry, written or removed.
enum PluginChange {
    case put(PluginRecord)
    case remove(PluginID)
    case putKey(PluginKey)
    case removeKey(String)
    case putLease(PluginLease)
    case removeLease(PluginLease)
}

/// What was read of the registry, and when by the clock of Redis.
struct PluginSnapshot {
    let view: PluginView
    /// Unix milliseconds.
    let now: Int64
    /// Entries that could not be read, by their fields: a newer version's, or nobody's.
    let unreadable: [String]
}

/// Where the registry is: `pomelo:{c}:plug`, a hash with a field for each entry, and `…:epoch`, the last change.
///
/// - Guarantee: a change is made whole or not at all, and only over the epoch that it was made for.
@Loop final class PluginStore {
    static let change = RedisScript(
        name: "plugins.change", source: String(decoding: PackageResources.change_lua, as: UTF8.self))
    private let redis: any RedisPort
    private let keys: PluginKeys
    private let seal: KeySeal

    init(_ redis: any RedisPort, cluster: String, seal: KeySeal = KeySeal(secret: [])) {
        self.redis = redis
        self.seal = seal
        keys = PluginKeys(cluster: cluster)
    }

    /// The channel that tells of changes.
    var hint: String { keys.hint }

    func epoch() async throws(RedisError) -> UInt64 {
        let replies = try await redis.pipeline([RedisCommand("GET", keys.epoch)])
        return try replies.first?.get().string.flatMap(UInt64.init) ?? 0
    }

    /// All there is, and the time, of one moment.
    func load() async throws(RedisError) -> PluginSnapshot {
        let replies = try await redis.transaction([
            RedisCommand("TIME"), RedisCommand("GET", keys.epoch), RedisCommand("HGETALL", keys.entries),
        ])
        guard replies.count == 3, let time = try replies[0].get().array, time.count == 2,
            let seconds = time[0].string.flatMap(Int64.init), let micros = time[1].string.flatMap(Int64.init),
            let entries = try replies[2].get().dictionary
        else { throw .protocolError("the registry of plugins is not what it should be") }
        let epoch = try replies[1].get().string.flatMap(UInt64.init) ?? 0
        var reader = EntryReader(seal: seal)
        for (field, value) in entries { reader.read(field.string, value) }
        return PluginSnapshot(
            view: PluginView(
                epoch: epoch, records: reader.records, keys: reader.keys, foreignKeys: reader.foreignKeys,
                leases: reader.leases),
            now: seconds * 1000 + micros / 1000, unreadable: reader.unreadable.sorted())
    }

    /// Makes the changes over that epoch, nil being any, and returns the new one; nil when another was first.
    func change(over epoch: UInt64?, _ changes: [PluginChange]) async throws(RedisError) -> UInt64? {
        let fields = changes.flatMap { change in [change.field, change.value(seal)] }
        let reply = try await redis.run(
            Self.change, keys: [keys.entries, keys.epoch, keys.hint],
            args: ([epoch.map { "\($0)" } ?? ""] + fields).map { .text($0) })
        guard let parts = reply.array, parts.count == 2, let done = parts[0].int,
            let epoch = parts[1].string.flatMap(UInt64.init)
        else { throw .protocolError("a change of plugins is not answered as it should be") }
        return done == 1 ? epoch : nil
    }
}

/// The registry's keys, of one slot.
struct PluginKeys {
    let cluster: String

    var entries: String { "pomelo:{\(cluster)}:plug" }
    var epoch: String { "pomelo:{\(cluster)}:plug:epoch" }
    var hint: String { "pomelo:{\(cluster)}:plug!" }
    /// What is to be delivered to a plugin.
    func outbox(_ id: PluginID) -> String { "pomelo:{\(cluster)}:plugq:\(id)" }
    /// What could not be.
    func dead(_ id: PluginID) -> String { outbox(id) + ":dead" }
}

extension PluginChange {
    fileprivate var field: String {
        switch self {
        case .put(let record): "p/\(record.id)"
        case .remove(let id): "p/\(id)"
        case .putKey(let key): "k/\(key.id)"
        case .removeKey(let id): "k/\(id)"
        case .putLease(let lease), .removeLease(let lease): "l/\(lease.id) \(lease.address)"
        }
    }

    /// Empty: removed.
    fileprivate func value(_ seal: KeySeal) -> String {
        switch self {
        case .put(let record): record.json.description
        case .putKey(let key):
            JSON.object(["seed": .string(Base64.encode(seal.sealed(key))), "at": .int(key.madeAt)]).description
        case .putLease(let lease): "\(lease.until)"
        case .remove, .removeKey, .removeLease: ""
        }
    }
}

/// Sorts the hash's fields.
private struct EntryReader {
    let seal: KeySeal
    var records: [PluginID: PluginRecord] = [:]
    var keys: [PluginKey] = []
    var foreignKeys: [Text: Int64] = [:]
    var leases: [PluginLease] = []
    var unreadable: [String] = []

    mutating func read(_ field: String, _ value: String) {
        let name = String(field.dropFirst(2))
        switch field.prefix(2) {
        case "p/":
            if let record = json(value).flatMap(PluginRecord.init), Text(record.id.rawValue) == Text(name) {
                records[record.id] = record
                return
            }
        case "k/":
            if let json = json(value), let seed = json["seed"]?.string.flatMap({ Base64.decode(Bytes($0.utf8).span) }),
                let madeAt = json["at"]?.int
            {
                if let key = seal.opened(seed, id: name, madeAt: madeAt) { return keys.append(key) }
                foreignKeys[Text(name)] = madeAt
            }
        case "l/":
            let parts = name.split(separator: " ", maxSplits: 1)
            if parts.count == 2, let until = Int64(value) {
                return leases.append(
                    PluginLease(id: PluginID(String(parts[0])), address: String(parts[1]), until: until))
            }
        default: break
        }
        unreadable.append(field)
    }

    private func json(_ text: String) -> JSON? {
        do throws(WireError) { return try JSON.parse(Bytes(text.utf8)) } catch { return nil }
    }
}
