// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloCore
public import PomeloLoop
public import PomeloRedis

/// A server as the registry lists it.
public struct RegisteredServer: Sendable, Equatable {
    /// What it has announced.
    public let info: ServerInfo
    /// Its lease has ended, and nobody has removed it yet.
    public let isExpired: Bool
}

/// The instance that has a server id, when it is not the one that asks.
struct LeaseHolder: Equatable {
    let id: ServerID
    let instance: InstanceID
    let entry: String

    /// Nil when the entry cannot be read: nobody can be reached by it.
    var info: ServerInfo? { RegistryEntry.decode(entry, of: id) }
}

/// The registry of one cluster in Redis: a call per question, no state of its own.
@Loop public final class ClusterRegistry {
    /// More ids than this are looked at in the next look.
    static let lookLimit = 16
    /// Changes read at a time.
    static let readLimit = 512

    let keys: ClusterKeys
    private let redis: any RedisPort

    /// Reads and writes through the given connection.
    public init(_ redis: any RedisPort, cluster: String) {
        self.redis = redis
        keys = ClusterKeys(cluster: cluster)
    }

    // MARK: for everyone

    /// Every registered server, sorted by id.
    ///
    /// - Throws: `PomeloError` `.redisUnavailable`.
    public func list() async throws -> [RegisteredServer] {
        try await orUnavailable { () async throws(RedisError) in try await servers() }
    }

    func servers() async throws(RedisError) -> [RegisteredServer] {
        // Together: in a cluster the time is that of the node which has the leases.
        let replies = try await redis.transaction([
            RedisCommand("TIME"), RedisCommand("HGETALL", keys.servers),
            RedisCommand("ZRANGE", keys.leases, 0, -1, "WITHSCORES"),
        ])
        let now = try milliseconds(replies.first?.get())
        guard replies.count == 3, let entries = try replies[1].get().dictionary,
            let leases = try replies[2].get().dictionary
        else { throw .protocolError("the registry is not what it should be") }
        return entries.compactMap { id, text in
            RegistryEntry.decode(text, of: ServerID(id.string)).map {
                RegisteredServer(
                    info: $0, isExpired: leases[id].flatMap(Double.init).map { $0 <= now } ?? false)
            }
        }.sorted { $0.info.id < $1.info.id }
    }

    /// The state of a server; nil when it is not registered, or its lease has ended.
    ///
    /// - Throws: `PomeloError` `.redisUnavailable`.
    public func registeredState(of id: ServerID) async throws -> ServerState? {
        try await list().first { $0.info.id == id && !$0.isExpired }?.info.state
    }

    /// Every server id there ever was, sorted.
    ///
    /// - Throws: `PomeloError` `.redisUnavailable`.
    public func everServers() async throws -> [ServerID] {
        try await orUnavailable { () async throws(RedisError) in
            try await redis.send(RedisCommand("SMEMBERS", keys.everServers)).strings?.map { ServerID($0) }
                .sorted() ?? []
        }
    }

    /// Whether the registry has this instance of a server, and its lease has not ended.
    ///
    /// - Throws: `PomeloError` `.redisUnavailable`.
    func isAlive(_ id: ServerID, _ instance: InstanceID) async throws -> Bool {
        try await orUnavailable { () async throws(RedisError) in
            let replies = try await redis.transaction([
                RedisCommand("TIME"), RedisCommand("HGET", keys.servers, id.rawValue),
                RedisCommand("ZSCORE", keys.leases, id.rawValue),
            ])
            let now = try milliseconds(replies.first?.get())
            guard replies.count == 3, RegistryEntry.instance(try replies[1].get().string ?? "") == instance else {
                return false
            }
            return try replies[2].get().string.flatMap(Double.init).map { $0 > now } ?? true
        }
    }

    /// What TIME answered, as leases count.
    private func milliseconds(_ time: RedisReply?) throws(RedisError) -> Double {
        guard let parts = time?.strings?.compactMap(Double.init), parts.count == 2 else {
            throw .protocolError("TIME without a time")
        }
        return parts[0] * 1000 + parts[1] / 1000
    }

    // MARK: entry and lease

    enum PutOutcome {
        case written
        /// The entry of the instance that holds the id, and that instance.
        case held(LeaseHolder)
    }

    /// Writes an entry and its lease; with `ifMissing` only where there is none.
    func put(
        _ info: ServerInfo, replacing expected: InstanceID?, lease: Duration, ifMissing: Bool = false
    ) async throws(RedisError) -> PutOutcome {
        let reply = try await redis.run(
            ClusterScripts.put,
            keys: [
                keys.servers, keys.leases, keys.epoch, keys.events, keys.everServers, keys.hint, keys.born,
            ],
            args: [
                .text(info.id.rawValue), .text(RegistryEntry.encode(info)), .text(info.instance.rawValue),
                .text(expected?.rawValue ?? ""), .milliseconds(lease), .text(ifMissing ? "missing" : ""),
            ])
        guard let fields = reply.array, let first = fields.first?.int else {
            throw .protocolError("cluster.put answered \(reply)")
        }
        if first == 1 { return .written }
        guard fields.count == 3, let entry = fields[1].string, let instance = fields[2].string else {
            throw .protocolError("cluster.put answered \(reply)")
        }
        return .held(LeaseHolder(id: info.id, instance: InstanceID(instance), entry: entry))
    }

    enum Renewal: String { case renewed, differs, missing, taken }

    /// Renews the lease; nothing is renewed when the entry is missing, or another instance's.
    func renew(_ info: ServerInfo, lease: Duration) async throws(RedisError) -> Renewal {
        let reply = try await redis.run(
            ClusterScripts.renew, keys: [keys.servers, keys.leases],
            args: [
                .text(info.id.rawValue), .text(RegistryEntry.encode(info)), .text(info.instance.rawValue),
                .milliseconds(lease),
            ])
        guard let renewal = reply.string.flatMap(Renewal.init(rawValue:)) else {
            throw .protocolError("cluster.renew answered \(reply)")
        }
        return renewal
    }

    /// Makes the lease hash this instance's own; false when it was not, and what hangs on the lease was lost.
    func claim(_ info: ServerInfo) async throws(RedisError) -> Bool {
        try await redis.run(
            ClusterScripts.claim, keys: [keys.lease(info.id)], args: [.text(info.instance.rawValue)]
        ).int == 1
    }

    /// Removes the entry when it is still this instance's; false when it was not.
    func leave(_ info: ServerInfo) async throws(RedisError) -> Bool {
        guard try await remove(info.id, info.instance, "left") else { return false }
        _ = try await redis.send(RedisCommand("UNLINK", keys.lease(info.id)))
        return true
    }

    // MARK: view

    struct Snapshot {
        let epoch: Int
        let position: String
        /// Which registry it is; empty when nobody has joined it yet.
        let born: String
        let servers: [ServerInfo]
        /// Entries that could not be read, and why.
        let unreadable: [ServerID: String]
    }

    func snapshot(lease: Duration) async throws(RedisError) -> Snapshot {
        let reply = try await redis.run(
            ClusterScripts.view, keys: [keys.servers, keys.leases, keys.epoch, keys.events, keys.born],
            args: [.milliseconds(lease)])
        guard let fields = reply.array, fields.count >= 3, !fields.count.isMultiple(of: 2),
            let epoch = fields[0].int, let position = fields[1].string, let born = fields[2].string
        else { throw .protocolError("cluster.view answered \(reply)") }
        var servers: [ServerInfo] = []
        var unreadable: [ServerID: String] = [:]
        for index in stride(from: 3, to: fields.count, by: 2) {
            let id = fields[index].string ?? ""
            do throws(RegistryEntry.Unreadable) {
                servers.append(try RegistryEntry.read(fields[index + 1].string ?? "", of: ServerID(id)))
            } catch {
                unreadable[RegistryEntry.isName(id) ? ServerID(id) : "(no server id)"] = error.description
            }
        }
        return Snapshot(
            epoch: epoch, position: position, born: born, servers: servers, unreadable: unreadable)
    }

    /// The stream from an entry on, that entry included.
    func events(from position: String) async throws(RedisError) -> [ClusterFeed.Entry] {
        let reply = try await redis.send(
            RedisCommand("XRANGE", keys.events, position, "+", "COUNT", Self.readLimit))
        guard let entries = reply.array?.map(ClusterFeed.Entry.init) else {
            throw .protocolError("XRANGE answered \(reply)")
        }
        return entries
    }

    // MARK: reaping

    struct Look {
        let epoch: Int
        let leases: Int
        let endedLeases: Int
        /// Which registry it is; empty when nobody has joined it yet.
        let born: String
        /// The longest ended first; not all of them.
        let ended: [ServerID]
    }

    func look(limit: Int) async throws(RedisError) -> Look {
        let reply = try await redis.run(
            ClusterScripts.look, keys: [keys.leases, keys.epoch, keys.born], args: [.number(limit)])
        guard let fields = reply.array, fields.count >= 4, let epoch = fields[0].int,
            let leases = fields[1].int, let ended = fields[2].int, let born = fields[3].string
        else { throw .protocolError("cluster.look answered \(reply)") }
        return Look(
            epoch: epoch, leases: leases, endedLeases: ended, born: born,
            ended: fields.dropFirst(4).compactMap { $0.string.map { ServerID($0) } })
    }

    /// The text of an entry, empty when there is none.
    func entry(of id: ServerID) async throws(RedisError) -> String {
        try await redis.send(RedisCommand("HGET", keys.servers, id.rawValue)).string ?? ""
    }

    /// Whether the entry is still this text, and its lease has ended.
    func isGone(_ id: ServerID, entry: String) async throws(RedisError) -> Bool {
        try await redis.run(
            ClusterScripts.gone, keys: [keys.servers, keys.leases], args: [.text(id.rawValue), .text(entry)]
        ).int == 1
    }

    /// Removes an instance whose lease has ended; false when it, or another, is alive.
    func removeExpired(_ id: ServerID, _ instance: InstanceID) async throws(RedisError) -> Bool {
        try await remove(id, instance, "expired")
    }

    private func remove(_ id: ServerID, _ instance: InstanceID, _ reason: String) async throws(RedisError)
        -> Bool
    {
        try await redis.run(
            ClusterScripts.remove, keys: [keys.servers, keys.leases, keys.epoch, keys.events, keys.hint],
            args: [.text(id.rawValue), .text(instance.rawValue), .text(reason)]
        ).int == 1
    }

    /// Has servers cleaned up after whose lease hash is there, although they are not registered.
    ///
    /// On one server everything goes back in time together. In a cluster the node of an owner may, alone, to before a
    /// clean-up that the registry knows to be done; and the node of the registry to before an owner that stopped while
    /// it was away. Only the keys themselves are sure to tell of both.
    func revisit() async throws {
        guard redis.isCluster, try await !redis.isWalked(for: "leases", notedIn: keys.walks) else { return }
        let run = redis.runID
        var leased: Set<Text> = []
        let (start, end) = keys.leaseAffixes
        try await redis.forEachPage(matching: RedisCommand.pattern(start) + "*" + RedisCommand.pattern(end)) { names in
            leased.formUnion(names.compactMap { $0.between(start, end) }.map { Text($0) })
        }
        guard let registered = try await redis.send(RedisCommand("HGETALL", keys.servers)).dictionary else {
            throw RedisError.protocolError("the registry is not what it should be")
        }
        let back = leased.filter { registered[$0] == nil }.sorted()
        if !back.isEmpty {
            _ = try await redis.run(
                ClusterScripts.revisit, keys: [keys.servers, keys.leases], args: back.map { .text($0.string) })
        }
        try await redis.noteWalk(for: "leases", in: run, at: keys.walks)
    }

    /// Takes the clean-up token of a server; false when another has it.
    func takeToken(_ id: ServerID, _ token: String, for life: Duration) async throws(RedisError) -> Bool {
        let milliseconds = Int(life.clampedMilliseconds)
        return try await !redis.send(
            RedisCommand("SET", keys.reap(id), token, "NX", "PX", milliseconds)
        ).isNull
    }

    /// Renews the token; false when it was lost.
    func keepToken(_ id: ServerID, _ token: String, for life: Duration) async throws(RedisError) -> Bool {
        try await redis.run(
            ClusterScripts.proceed, keys: [keys.reap(id)], args: [.text(token), .milliseconds(life)]
        ).int == 1
    }

    /// Marks the lease hash with the instance that the clean-up is for; false when the token was lost.
    func begin(_ id: ServerID, _ instance: InstanceID, _ token: String) async throws(RedisError) -> Bool {
        try await redis.run(
            ClusterScripts.begin, keys: [keys.reap(id), keys.lease(id)],
            args: [.text(token), .text(instance.rawValue)]
        ).int == 1
    }

    /// Removes the lease hash, or makes it the successor's, and gives the token back; false when the token was lost,
    /// and nothing is removed.
    func finish(
        _ id: ServerID, _ token: String, successor: InstanceID? = nil
    ) async throws(RedisError) -> Bool {
        try await redis.run(
            ClusterScripts.finish, keys: [keys.reap(id), keys.lease(id)],
            args: [.text(token), .text(successor?.rawValue ?? "")]
        ).int == 1
    }

    /// Gives the token back and touches nothing else; false when it was lost.
    func release(_ id: ServerID, _ token: String) async throws(RedisError) -> Bool {
        // A token about to end is as good as none, and needs no script of its own.
        try await keepToken(id, token, for: .milliseconds(1))
    }
}

/// Tells an error of Redis as the framework's.
@Loop func orUnavailable<Value>(_ body: () async throws(RedisError) -> Value) async throws -> Value {
    do {
        return try await body()
    } catch {
        throw PomeloError(.redisUnavailable, "\(error)", cause: error)
    }
}

extension RedisArgument {
    static func milliseconds(_ duration: Duration) -> RedisArgument {
        .number(Int(duration.clampedMilliseconds))
    }
}
