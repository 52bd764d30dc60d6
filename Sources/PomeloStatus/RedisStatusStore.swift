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
/// pomelo:{<cluster>/<server>}:lease   hash, field status = this instance, once it has published
/// ```
///
/// - Source: pomelo-status-plugin 0.0.4, lib/manager/redisStatusManager.js (key layout).
@Loop public final class RedisStatusStore: StatusStore {
    private nonisolated static let claimScript = script("claim", PackageResources.claim_lua)
    private nonisolated static let releaseScript = script("release", PackageResources.release_lua)
    private static let chunk = 500

    private let redis: any RedisPort
    private let prefix: String
    private var own = ServerID("")
    private var instance = InstanceID("")
    private var cluster = ""
    private var leaseKey = ""

    /// The prefix is pomelo's default unless told otherwise; clusters that share one Redis need different ones.
    public init(redis: any RedisPort, prefix: String = "POMELO:STATUS") {
        self.redis = redis
        self.prefix = prefix
    }

    public var needsMembership: Bool { true }
    public var isUp: Bool { redis.isUp }

    public func start(_ application: Application, _ membership: (any Membership)?) async throws {
        own = application.serverID
        instance = application.instance
        cluster = application.clusterName
        leaseKey = membership?.leaseKey(of: own) ?? ""
    }

    private nonisolated static func script(_ name: String, _ source: [UInt8]) -> RedisScript {
        RedisScript(name: "status.\(name)", source: String(decoding: source, as: UTF8.self))
    }

    /// The scripts, for servers in memory that need a twin of each.
    public nonisolated static var scripts: [RedisScript] { [claimScript, releaseScript] }

    // MARK: keys

    private func statusKey(_ uid: UserID) -> String { "\(prefix):\(uid)" }
    private func bindKey(_ uid: UserID) -> String { "{\(prefix):\(uid)}:bind" }
    private func uidsKey(_ server: ServerID) -> String { "pomelo:{\(cluster)/\(server)}:uids" }

    // MARK: status

    public func publish(online: [UserID], offline: [UserID]) async throws {
        var commands: [RedisCommand] = []
        if !online.isEmpty { commands.append(RedisCommand("SADD", [uidsKey(own)] + online.map(\.rawValue))) }
        commands += online.map { RedisCommand("SADD", [statusKey($0), own.rawValue]) }
        commands += offline.map { RedisCommand("SREM", [statusKey($0), own.rawValue]) }
        if !offline.isEmpty { commands.append(RedisCommand("SREM", [uidsKey(own)] + offline.map(\.rawValue))) }
        commands.append(RedisCommand("HSET", [leaseKey, "status", instance.rawValue]))
        for reply in try await redis.pipeline(commands) { _ = try reply.get() }
    }

    public func servers(of uids: [UserID]) async throws -> [[ServerID]] {
        try await redis.pipeline(uids.map { RedisCommand("SMEMBERS", [statusKey($0)]) }).map {
            (try $0.get().strings ?? []).map { ServerID($0) }.sorted()
        }
    }

    public func areOnline(_ uids: [UserID]) async throws -> [Bool] {
        try await redis.pipeline(uids.map { RedisCommand("EXISTS", [statusKey($0)]) }).map { try $0.get().int == 1 }
    }

    public func isIntact() async throws -> Bool {
        try await redis.send(RedisCommand("HGET", [leaseKey, "status"])).string == instance.rawValue
    }

    // MARK: bindings

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

    public func release(_ uids: [UserID]) async throws {
        for uid in uids {
            _ = try await redis.run(
                Self.releaseScript, keys: [bindKey(uid)], args: [.text(own.rawValue), .text(instance.rawValue)])
        }
    }

    // MARK: cleaning

    public func clean() async throws { try await cleanUp(own) {} }

    public func cleanUp(_ server: ServerID, proceed: @Loop () async throws -> Void) async throws {
        var cursor = "0"
        repeat {
            try await proceed()
            let page = try await redis.send(
                RedisCommand("SSCAN", [uidsKey(server), cursor, "COUNT", String(Self.chunk)])).array ?? []
            guard page.count == 2, let next = page[0].string else { break }
            cursor = next
            let uids = (page[1].strings ?? []).map { UserID($0) }
            for uid in uids {
                _ = try await redis.run(
                    Self.releaseScript, keys: [bindKey(uid)], args: [.text(server.rawValue), .text("*")])
            }
            let gone = uids.map { RedisCommand("SREM", [statusKey($0), server.rawValue]) }
            for reply in try await redis.pipeline(gone) { _ = try reply.get() }
        } while cursor != "0"
        _ = try await redis.send(RedisCommand("UNLINK", [uidsKey(server)]))
    }
}
