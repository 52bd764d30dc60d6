// SPDX-License-Identifier: MIT
public import PomeloCore
public import PomeloLoop
public import PomeloPublication
public import PomeloRedis

/// Status and bindings in Redis, the status under the keys of pomelo's plugin.
///
/// ```
/// <prefix>:<uid>                      set of server ids          (readable by pomelo-status-plugin)
/// {<prefix>:<uid>}:bind               hash {sid, inst, session, tok}
/// pomelo:{<cluster>/<server>}:uids    set of user ids the server published (written before what it names)
/// pomelo:{<cluster>/<server>}:revoked set of user ids whose binding it may have lost without having been asked
/// pomelo:{<cluster>/<server>}:lease   hash, fields status = <instance>/<sequence of the last publication>, users = how
///                                     many the index has
/// ```
///
/// The lease's hash marks whose instance all of it is: scripts write and remove nothing under another mark. In a
/// cluster a user's keys are in other slots than a server's: what one script does elsewhere goes in steps there, see
/// +Cluster.
///
/// - Source: pomelo-status-plugin 0.0.4, lib/manager/redisStatusManager.js (key layout).
@Loop public final class RedisStatusStore: StatusStore {
    private nonisolated static let claimScript = script("claim", PackageResources.claim_lua)
    private nonisolated static let publishScript = script("publish", PackageResources.publish_lua)
    private nonisolated static let releaseScript = script("release", PackageResources.release_lua)
    nonisolated static let removeScript = script("remove", PackageResources.remove_lua)
    nonisolated static let unbindScript = script("unbind", PackageResources.unbind_lua)
    nonisolated static let nameScript = script("name", PackageResources.name_lua)
    static let chunk = 500
    /// Longer than a server that still has sessions can go without publishing, unless Redis is away.
    static let revokedMilliseconds = 3_600_000

    let redis: any RedisPort
    let prefix: String
    private(set) var owner = StoreOwner()
    /// The run of Redis in which this server's entries were looked at last.
    private var lookedAt = ""
    /// A node of a cluster may have gone back in time to entries that no index names.
    private var mustWalk = false

    /// The prefix is pomelo's default unless told otherwise; clusters that share one Redis need different ones.
    public init(redis: any RedisPort, prefix: String = "POMELO:STATUS") {
        self.redis = redis
        self.prefix = prefix
    }

    /// True: entries are removed when their server's lease is over.
    public var needsMembership: Bool { true }
    /// Whether users' entries may come back, with a node of a cluster, that their server's index does not name.
    public var tellsTheIdle: Bool { redis.isCluster }
    /// Whether Redis accepts commands now.
    public var isUp: Bool { redis.isUp }

    /// Takes the server's identity and its cluster; sends no command.
    public func start(_ owner: StoreOwner) async throws { self.owner = owner }

    /// Calls at each `up` of the connection but the first.
    public func observeReturns(_ handler: @escaping @Loop () -> Void) {
        redis.observe { event in
            if case .up(_, reconnected: true) = event { handler() }
        }
    }

    private nonisolated static func script(_ name: String, _ source: [UInt8]) -> RedisScript {
        RedisScript(name: "status.\(name)", source: String(decoding: source, as: UTF8.self))
    }

    /// The scripts, for servers in memory that need a twin of each.
    public nonisolated static var scripts: [RedisScript] {
        [claimScript, publishScript, releaseScript, removeScript, unbindScript, nameScript]
    }

    // MARK: keys

    var own: ServerID { owner.server }
    func statusKey(_ uid: UserID) -> String { "\(prefix):\(uid)" }
    func bindKey(_ uid: UserID) -> String { "{\(prefix):\(uid)}:bind" }
    func uidsKey(_ server: ServerID) -> String { owner.key("uids", of: server) }
    func revokedKey(_ server: ServerID) -> String { owner.key("revoked", of: server) }
    func leaseKey(_ server: ServerID) -> String { owner.leaseKey(of: server) }
    private var walkName: String { "status \(prefix)" }

    // MARK: status

    /// Writes each user's set, the index of this server and the sequence at once, all or nothing.
    ///
    /// In a cluster the index comes first and the sequence last.
    ///
    /// - Complexity: one round trip; three in a cluster.
    /// - Throws: `RedisError`; `PomeloError` `.replaced` when another instance of this server has its id: nothing is
    ///   written then, but what was on its way to a cluster: that instance hears of it.
    public func publish(online: [UserID], offline: [UserID], sequence: UInt64) async throws -> PublishedStatus {
        if redis.isCluster { return try await publishInSteps(online: online, offline: offline, sequence: sequence) }
        return try await publishUnderMark(online, sequence: sequence, keys: (online + offline).map { statusKey($0) })
    }

    /// Writes users into the index, into `keys` behind it, and then the sequence, unless that is nil.
    func publishUnderMark(
        _ online: [UserID], sequence: UInt64?, keys users: [String] = []
    ) async throws -> PublishedStatus {
        let keys = [leaseKey(own), revokedKey(own), uidsKey(own)] + users
        let args = [owner.instance.rawValue, sequence.map(String.init) ?? "", own.rawValue] + online.map(\.rawValue)
        let reply = try await redis.run(Self.publishScript, keys: keys, args: args.map { .text($0) })
        let fields = try accepted(reply, own)
        return PublishedStatus(
            previous: sequence == nil || isOtherRun() ? nil : self.sequence(fields.first ?? .null),
            revoked: fields.dropFirst().compactMap(\.string).map { UserID($0) })
    }

    /// Whether a node of a cluster was started since this server's entries were looked at: the sequence, which is at
    /// another node, does not tell what that has lost.
    private func isOtherRun() -> Bool {
        guard redis.isCluster, lookedAt != run else { return false }
        lookedAt = run
        mustWalk = true
        return true
    }

    /// What a script answered that looked at the mark first.
    func accepted(_ reply: RedisReply, _ server: ServerID) throws -> ArraySlice<RedisReply> {
        guard let fields = reply.array, let first = fields.first?.int else {
            throw RedisError.protocolError("a script of the status answered \(reply)")
        }
        if first == 0 { throw PomeloError.replaced(server, by: InstanceID(fields.last?.string ?? "")) }
        return fields.dropFirst()
    }

    /// The run id of Redis.
    public var run: String { redis.runID }

    /// The sequence in the lease's hash; nil when it is another instance's, or a cluster may have lost what it is for.
    ///
    /// - Throws: `RedisError`.
    public func publishedSequence() async throws -> UInt64? {
        let held = sequence(try await redis.send(RedisCommand("HGET", leaseKey(own), "status")))
        return isOtherRun() ? nil : held
    }

    private func sequence(_ reply: RedisReply) -> UInt64? {
        let start = "\(owner.instance)/".utf8
        guard let text = reply.string, text.utf8.starts(with: start) else { return nil }
        return UInt64(Substring(text.utf8.dropFirst(start.count)))
    }

    /// Reads the index of this server, in pages; after another start of a node of a cluster, what all keys have of it.
    ///
    /// - Throws: `RedisError`.
    public func publishedUsers() async throws -> [UserID] {
        let before = run
        // Asked before the index is read: who has walked has put into it what was missing there.
        let walks = mustWalk ? try await !redis.isWalked(for: walkName, notedIn: owner.walksKey) : false
        var users: Set<UserID> = []
        try await redis.forEachPage(of: uidsKey(own), count: Self.chunk) { users.formUnion($0.map { UserID($0) }) }
        if walks {
            users.formUnion(try await walk())
            try await redis.noteWalk(for: walkName, in: before, at: owner.walksKey)
        }
        if run == before { mustWalk = false }
        return users.sorted()
    }

    /// Reads each user's set.
    ///
    /// - Complexity: one round trip for 1000 users.
    /// - Throws: `RedisError`.
    public func servers(of uids: [UserID]) async throws -> [[ServerID]] {
        try await redis.pipelineInParts(uids.map { RedisCommand("SMEMBERS", [statusKey($0)]) }).map {
            (try $0.get().strings ?? []).map { ServerID($0) }.sorted()
        }
    }

    /// Asks whether each user's set exists.
    ///
    /// - Complexity: one round trip for 1000 users.
    /// - Throws: `RedisError`.
    public func areOnline(_ uids: [UserID]) async throws -> [Bool] {
        try await redis.pipelineInParts(uids.map { RedisCommand("EXISTS", [statusKey($0)]) }).map {
            try $0.get().int == 1
        }
    }

    // MARK: bindings

    /// Claims a user id by a script that compares and sets at once.
    ///
    /// - Complexity: one round trip; three in a cluster; one more for the first call of the script.
    /// - Throws: `RedisError`; the claim may have been granted then. `PomeloError` `.replaced` when another instance
    ///   of this server has its id: nothing is claimed.
    public func claim(_ uid: UserID, _ holder: Holder, gone: String?) async throws -> Claim {
        if redis.isCluster { return try await claimInSteps(uid, holder, gone: gone) }
        return try await claim(uid, holder, gone: gone, under: [leaseKey(own), uidsKey(own)])
    }

    /// Claims a user id, under the mark and with the index when these are named.
    func claim(_ uid: UserID, _ holder: Holder, gone: String?, under keys: [String]) async throws -> Claim {
        let reply = try await redis.run(
            Self.claimScript, keys: [bindKey(uid)] + keys,
            args: [
                .text(holder.server.rawValue), .text(holder.instance.rawValue),
                .text(holder.session.description), .text(gone ?? ""), .text(uid.rawValue),
            ])
        let parts = reply.array ?? []
        if parts.first?.int == 1 { return .granted }
        if parts.first?.int == -1 { throw PomeloError.replaced(own, by: InstanceID(parts.last?.string ?? "")) }
        guard parts.count == 5, let token = parts[1].string, let server = parts[2].string,
            let instance = parts[3].string, let session = parts[4].string
        else { throw RedisError.protocolError("status.claim answered \(reply)") }
        let other = Holder(
            server: ServerID(server), instance: InstanceID(instance), session: SessionID(UInt64(session) ?? 0))
        return .held(other, token: token)
    }

    /// Adds to the server's set, which ends by itself in case nobody is left to look.
    ///
    /// - Complexity: one round trip.
    /// - Throws: `RedisError`; repeating is harmless.
    public func revoke(_ uid: UserID, from server: ServerID) async throws { try await revoke([uid], from: server) }

    func revoke(_ uids: [UserID], from server: ServerID) async throws {
        if uids.isEmpty { return }
        let replies = try await redis.pipeline([
            RedisCommand("SADD", revokedKey(server)).appending(uids.map(\.rawValue)),
            RedisCommand("PEXPIRE", revokedKey(server), Self.revokedMilliseconds),
        ])
        for reply in replies { _ = try reply.get() }
    }

    /// Removes from this server's set.
    ///
    /// - Complexity: one round trip.
    /// - Throws: `RedisError`; repeating is harmless.
    public func forget(revoked uids: [UserID]) async throws {
        if uids.isEmpty { return }
        _ = try await redis.send(RedisCommand("SREM", revokedKey(own)).appending(uids.map(\.rawValue)))
    }

    /// Removes each binding that this instance holds, or one before it, then the users from its index.
    ///
    /// - Complexity: one round trip for 500 users; two in a cluster.
    /// - Throws: `RedisError`; repeating is harmless.
    public func release(_ uids: [UserID]) async throws {
        for start in stride(from: 0, to: uids.count, by: Self.chunk) {
            let part = Array(uids[start..<min(start + Self.chunk, uids.count)])
            if redis.isCluster {
                try await releaseInSteps(part)
            } else {
                try await releaseUnderMark(part, bindings: part.map { bindKey($0) })
            }
        }
    }

    /// Removes bindings, and users from the index, which goes last.
    func releaseUnderMark(_ uids: [UserID], bindings: [String]) async throws {
        let args = [own.rawValue, owner.instance.rawValue] + uids.map(\.rawValue)
        _ = try await redis.run(
            Self.releaseScript, keys: [leaseKey(own), uidsKey(own)] + bindings, args: args.map { .text($0) })
    }

    /// Reads each user's binding.
    ///
    /// - Complexity: one round trip for 1000 users.
    /// - Throws: `RedisError`.
    public func holders(of uids: [UserID]) async throws -> [Holder?] {
        try await redis.pipelineInParts(uids.map { RedisCommand("HMGET", bindKey($0), "sid", "inst", "session") }).map {
            reply in
            guard let fields = try reply.get().strings, fields.count == 3, let session = UInt64(fields[2]) else {
                return nil
            }
            return Holder(
                server: ServerID(fields[0]), instance: InstanceID(fields[1]), session: SessionID(session))
        }
    }
}
