// SPDX-License-Identifier: MIT
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
    /// - Complexity: two round trips a slice, taken together.
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
        let pattern = "*" + RedisCommand.pattern(prefix) + ":*"
        try await redis.forEachPage(matching: pattern) { keys in
            // Also for a page that has none of the server: a walk takes longer than a token lives.
            try await proceed()
            try await CleanUpSlices.run(try await self.users(of: keys, at: server), proceed, remove)
        }
    }

    private func remove(_ uids: [String], of server: ServerID, _ instance: InstanceID) async throws {
        let keys =
            [leaseKey(server), revokedKey(server), uidsKey(server)]
            + uids.flatMap { [bindKey(UserID($0)), statusKey(UserID($0))] }
        let args = [server.rawValue, instance.rawValue] + uids
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
        let asked = keys.compactMap { key -> (uid: String, question: RedisCommand)? in
            if let uid = Self.inside(key, "\(prefix):", "") {
                return (uid, RedisCommand("SISMEMBER", key, server.rawValue))
            }
            guard let uid = Self.inside(key, "{\(prefix):", "}:bind") else { return nil }
            return (uid, RedisCommand("HGET", key, "sid"))
        }
        let replies = try await redis.pipelineInParts(asked.map(\.question))
        let found = zip(asked, replies).filter { asked, reply in
            // A key of another kind is none of ours.
            asked.question.name == "HGET" ? reply.string == server.rawValue : reply.int == 1
        }
        return Set(found.map(\.0.uid)).sorted()
    }

    /// What stands between two texts, byte by byte; nil when the key does not begin and end so.
    private static func inside(_ key: String, _ start: String, _ end: String) -> String? {
        let (bytes, start, end) = (Array(key.utf8), Array(start.utf8), Array(end.utf8))
        guard bytes.count >= start.count + end.count, bytes.starts(with: start),
            bytes.suffix(end.count).elementsEqual(end)
        else { return nil }
        return String(decoding: bytes.dropFirst(start.count).dropLast(end.count), as: UTF8.self)
    }
}
