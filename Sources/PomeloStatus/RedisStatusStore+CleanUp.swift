// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloCore
import PomeloLoop
import PomeloPublication
import PomeloRedis

/// How status and bindings of a server that is gone are removed.
///
/// By the server's index, in slices; by a walk over all keys when the index was lost (a Redis that is full may evict
/// it).
extension RedisStatusStore {
    /// Removes everything that is published for this server's id.
    ///
    /// - Throws: as `cleanUp`.
    public func clean() async throws { try await cleanUp(own, instance: owner.instance) {} }

    /// Removes a server's bindings and status in slices of 50.
    ///
    /// - Complexity: two round trips a slice, taken together; in a cluster the second is four.
    /// - Throws: `RedisError`; `PomeloError` `.replaced` when an instance other than this one has the server's id by
    ///   now: nothing of it is removed; what `proceed` throws. What is left is found again by the next call.
    public func cleanUp(
        _ server: ServerID, instance: InstanceID, proceed: @escaping @Loop () async throws -> Void
    ) async throws {
        let walks = try await !hasWholeIndex(server)
        let remove: @Loop ([String]) async throws -> Void = { try await self.remove($0, of: server, instance) }
        try await redis.forEachPage(of: uidsKey(server), count: Self.chunk) { uids in
            try await CleanUpSlices.run(uids, proceed, remove)
        }
        try await proceed()
        // Revocations go in any case.
        try await remove([])
        guard walks else { return }
        try await redis.forEachPage(matching: keyPattern) { keys in
            // Also for a page that has none of the server: a walk takes longer than a token lives.
            try await proceed()
            try await CleanUpSlices.run(try await self.users(of: keys, at: server), proceed, remove)
        }
    }

    private func remove(_ uids: [String], of server: ServerID, _ instance: InstanceID) async throws {
        let uids = uids.map { UserID($0) }
        if redis.isCluster { return try await removeInSteps(uids, of: server, instance) }
        let keys = uids.flatMap { [bindKey($0), statusKey($0)] }
        try await removeUnderMark(uids, of: server, instance, keys: keys)
    }

    /// Removes `keys`, two of each user, and the users from the index.
    func removeUnderMark(
        _ uids: [UserID], of server: ServerID, _ instance: InstanceID, keys users: [String]
    ) async throws {
        let keys = [leaseKey(server), revokedKey(server), uidsKey(server)] + users
        let args = [server.rawValue, instance.rawValue] + uids.map(\.rawValue)
        _ = try accepted(try await redis.run(Self.removeScript, keys: keys, args: args.map { .text($0) }), server)
    }

    /// Whether the index names all users there are, as the last publication counted them.
    ///
    /// A server that never counted has none; but of another one whose lease is lost too that is not known.
    private func hasWholeIndex(_ server: ServerID) async throws -> Bool {
        try await redis.isWhole(uidsKey(server), countedIn: leaseKey(server), "users") ?? (server == own)
    }

    /// The users whose status or binding, among some keys, is of a server.
    private func users(of keys: [String], at server: ServerID) async throws -> [String] {
        let asked = keys.compactMap { key -> (uid: UserID, question: RedisCommand)? in
            if let uid = statusUser(key) { return (uid, RedisCommand("SISMEMBER", key, server.rawValue)) }
            return bindingUser(key).map { ($0, RedisCommand("HGET", key, "sid")) }
        }
        let replies = try await redis.pipelineInParts(asked.map(\.question))
        let found = zip(asked, replies).filter { asked, reply in
            // A key of another kind is none of ours.
            asked.question.name == "HGET" ? reply.string == server.rawValue : reply.int == 1
        }
        return Set(found.map(\.0.uid)).sorted().map(\.rawValue)
    }

    /// Matches every status and every binding, and maybe more.
    var keyPattern: String { "*" + RedisCommand.pattern(prefix) + ":*" }
    /// Whose status a key is; nil when it is none.
    func statusUser(_ key: String) -> UserID? { key.between("\(prefix):", "").map { UserID($0) } }
    /// Whose binding a key is; nil when it is none.
    func bindingUser(_ key: String) -> UserID? { key.between("{\(prefix):", "}:bind").map { UserID($0) } }
}
