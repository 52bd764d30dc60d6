// SPDX-License-Identifier: MIT
public import PomeloCore
public import PomeloLoop
public import PomeloRedis

/// Status and bindings in Redis, the status under the keys of pomelo's plugin.
///
/// ```
/// <prefix>:<uid>                      set of server ids          (readable by pomelo-status-plugin)
/// {<prefix>:<uid>}:bind               hash {sid, inst, session, tok}
/// pomelo:{<cluster>/<server>}:uids    set of user ids the server published (written before what it names)
/// pomelo:{<cluster>/<server>}:revoked set of user ids whose binding it may have lost without having been asked
/// pomelo:{<cluster>/<server>}:lease   hash, field status = <instance>/<sequence of the last publication>
/// ```
///
/// - Source: pomelo-status-plugin 0.0.4, lib/manager/redisStatusManager.js (key layout).
@Loop public final class RedisStatusStore: StatusStore {
    private nonisolated static let claimScript = script("claim", PackageResources.claim_lua)
    private nonisolated static let releaseScript = script("release", PackageResources.release_lua)
    private static let chunk = 500
    /// Longer than a server that still has sessions can go without publishing, unless Redis is away.
    private static let revokedMilliseconds = 3_600_000

    private let redis: any RedisPort
    private let prefix: String
    private var owner = StoreOwner()

    /// The prefix is pomelo's default unless told otherwise; clusters that share one Redis need different ones.
    public init(redis: any RedisPort, prefix: String = "POMELO:STATUS") {
        self.redis = redis
        self.prefix = prefix
    }

    /// True: entries are removed when their server's lease is over.
    public var needsMembership: Bool { true }
    /// Whether Redis accepts commands now.
    public var isUp: Bool { redis.isUp }

    /// Takes the server's identity and its lease key; sends no command.
    public func start(_ application: Application, _ membership: (any Membership)?) async throws {
        owner = StoreOwner(application, membership)
    }

    private nonisolated static func script(_ name: String, _ source: [UInt8]) -> RedisScript {
        RedisScript(name: "status.\(name)", source: String(decoding: source, as: UTF8.self))
    }

    /// The scripts, for servers in memory that need a twin of each.
    public nonisolated static var scripts: [RedisScript] { [claimScript, releaseScript] }

    // MARK: keys

    private var own: ServerID { owner.server }
    private func statusKey(_ uid: UserID) -> String { "\(prefix):\(uid)" }
    private func bindKey(_ uid: UserID) -> String { "{\(prefix):\(uid)}:bind" }
    private func uidsKey(_ server: ServerID) -> String { owner.key("uids", of: server) }
    private func revokedKey(_ server: ServerID) -> String { owner.key("revoked", of: server) }

    // MARK: status

    /// Writes the index of this server first, then each user's set, then the sequence.
    ///
    /// - Complexity: one round trip, but no transaction: after an error some of it may be written.
    /// - Throws: `RedisError`.
    public func publish(online: [UserID], offline: [UserID], sequence: UInt64) async throws -> PublishedStatus {
        // First of all what was there: the same round trip tells whether data was lost before it.
        var commands = [
            RedisCommand("HGET", owner.leaseKey, "status"),
            RedisCommand("SSCAN", revokedKey(own), "0", "COUNT", Self.chunk),
        ]
        if !online.isEmpty {
            commands.append(RedisCommand("SADD", uidsKey(own)).appending(online.map(\.rawValue)))
        }
        commands += online.map { RedisCommand("SADD", statusKey($0), own.rawValue) }
        commands += offline.map { RedisCommand("SREM", statusKey($0), own.rawValue) }
        commands.append(RedisCommand("HSET", owner.leaseKey, "status", "\(owner.instance)/\(sequence)"))
        let replies = try await redis.pipeline(commands).map { try $0.get() }
        return PublishedStatus(
            previous: self.sequence(replies[0]), revoked: replies[1].array?.last?.strings?.map { UserID($0) } ?? [])
    }

    /// The sequence in the lease's hash; nil when it is another instance's.
    ///
    /// - Throws: `RedisError`.
    public func publishedSequence() async throws -> UInt64? {
        sequence(try await redis.send(RedisCommand("HGET", owner.leaseKey, "status")))
    }

    private func sequence(_ reply: RedisReply) -> UInt64? {
        let start = "\(owner.instance)/".utf8
        guard let text = reply.string, text.utf8.starts(with: start) else { return nil }
        return UInt64(Substring(text.utf8.dropFirst(start.count)))
    }

    /// Reads the index of this server, in pages.
    ///
    /// - Throws: `RedisError`.
    public func publishedUsers() async throws -> [UserID] {
        var users: Set<UserID> = []
        var cursor = "0"
        repeat {
            let page = try await indexPage(own, cursor)
            users.formUnion(page.uids)
            cursor = page.next
        } while cursor != "0"
        return users.sorted()
    }

    private func indexPage(_ server: ServerID, _ cursor: String) async throws -> (uids: [UserID], next: String) {
        let page = try await redis.send(RedisCommand("SSCAN", uidsKey(server), cursor, "COUNT", Self.chunk)).array ?? []
        guard page.count == 2, let next = page[0].string else { throw RedisError.protocolError("SSCAN without a page") }
        return ((page[1].strings ?? []).map { UserID($0) }, next)
    }

    /// Reads each user's set.
    ///
    /// - Complexity: one round trip.
    /// - Throws: `RedisError`.
    public func servers(of uids: [UserID]) async throws -> [[ServerID]] {
        try await redis.pipeline(uids.map { RedisCommand("SMEMBERS", [statusKey($0)]) }).map {
            (try $0.get().strings ?? []).map { ServerID($0) }.sorted()
        }
    }

    /// Asks whether each user's set exists.
    ///
    /// - Complexity: one round trip.
    /// - Throws: `RedisError`.
    public func areOnline(_ uids: [UserID]) async throws -> [Bool] {
        try await redis.pipeline(uids.map { RedisCommand("EXISTS", [statusKey($0)]) }).map { try $0.get().int == 1 }
    }

    // MARK: bindings

    /// Claims a user id by a script that compares and sets at once.
    ///
    /// - Complexity: two round trips; one more for the first call of the script.
    /// - Throws: `RedisError`; the claim may have been granted then.
    public func claim(_ uid: UserID, _ holder: Holder, gone: String?) async throws -> Claim {
        // The index comes first: what it does not name would outlive this server.
        _ = try await redis.send(RedisCommand("SADD", [uidsKey(own), uid.rawValue]))
        let reply = try await redis.run(
            Self.claimScript, keys: [bindKey(uid)],
            args: [
                .text(holder.server.rawValue), .text(holder.instance.rawValue),
                .text(holder.session.description), .text(gone ?? ""),
            ])
        let parts = reply.array ?? []
        if parts.first?.int == 1 { return .granted }
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
    public func revoke(_ uid: UserID, from server: ServerID) async throws {
        let replies = try await redis.pipeline([
            RedisCommand("SADD", revokedKey(server), uid.rawValue),
            RedisCommand("PEXPIRE", revokedKey(server), Self.revokedMilliseconds),
        ])
        for reply in replies { _ = try reply.get() }
    }

    /// Removes from this server's set.
    ///
    /// - Complexity: one round trip.
    /// - Throws: `RedisError`; repeating is harmless.
    public func forget(revoked uids: [UserID]) async throws {
        _ = try await redis.send(RedisCommand("SREM", revokedKey(own)).appending(uids.map(\.rawValue)))
    }

    /// Removes each binding that this instance holds, then the users from its index.
    ///
    /// - Complexity: one round trip per user, and one for the index.
    /// - Throws: `RedisError`; repeating is harmless.
    public func release(_ uids: [UserID]) async throws {
        for uid in uids {
            _ = try await redis.run(
                Self.releaseScript, keys: [bindKey(uid)], args: [.text(own.rawValue), .text(owner.instance.rawValue)])
        }
        // The index goes last: what it does not name would outlive this server.
        _ = try await redis.send(RedisCommand("SREM", uidsKey(own)).appending(uids.map(\.rawValue)))
    }

    // MARK: cleaning

    /// Removes everything that is published for this server's id.
    public func clean() async throws { try await cleanUp(own, instance: owner.instance) {} }

    /// Removes a server's bindings and status by its index, page by page, then the index.
    ///
    /// - Throws: `RedisError`, and what `proceed` throws; what is left is found again by the next call.
    public func cleanUp(
        _ server: ServerID, instance: InstanceID, proceed: @escaping @Loop () async throws -> Void
    ) async throws {
        var cursor = "0"
        repeat {
            try await proceed()
            let (uids, next) = try await indexPage(server, cursor)
            cursor = next
            for uid in uids {
                _ = try await redis.run(
                    Self.releaseScript, keys: [bindKey(uid)], args: [.text(server.rawValue), .text("*")])
            }
            let gone = uids.map { RedisCommand("SREM", [statusKey($0), server.rawValue]) }
            for reply in try await redis.pipeline(gone) { _ = try reply.get() }
        } while cursor != "0"
        _ = try await redis.send(RedisCommand("UNLINK", [uidsKey(server), revokedKey(server)]))
    }
}
