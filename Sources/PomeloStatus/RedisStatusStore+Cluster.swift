// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloPublication
import PomeloRedis

/// The same in Redis Cluster, where what a server has of a user is in another slot than the server's index and mark.
///
/// What one script does at once on one server goes in steps here:
///
/// ```
/// publish, claim   look at the mark, write the index     what the user has     look at the mark, write the sequence
/// release          what the user has                     look at the mark, remove from the index
/// clean-up         see who holds   look at the mark      what was seen         look at the mark, remove from the index
/// ```
///
/// So the index names what is there at every moment, and a step that came too late, because another instance has the
/// server by then, is found by the last look: a binding is given back, and of a status the new instance hears, by its
/// revocations, that it is to be published anew. A binding names its instance: none is removed that was not seen
/// before a look at the mark said whose it may be.
extension RedisStatusStore {
    // MARK: looks at the mark

    /// Writes users into this server's index, if the mark is ours.
    private func enter(_ uids: [UserID]) async throws { _ = try await publishUnderMark(uids, sequence: nil) }

    /// Looks at the mark once more; an instance that has the server by then is told to publish these users anew.
    private func enterAgain(after uids: [UserID]) async throws {
        do {
            try await enter([])
        } catch let error as PomeloError where error.code == .replaced {
            try await revoke(uids, from: own)
            throw error
        }
    }

    /// The instance that has a server's id; nil when nobody has said.
    private func mark(of server: ServerID) async throws(RedisError) -> InstanceID? {
        let fields = try await redis.send(RedisCommand("HMGET", leaseKey(server), "inst", "status")).array ?? []
        if let instance = fields.first?.string { return InstanceID(instance) }
        guard let text = fields.last?.string, let slash = text.utf8.lastIndex(of: UInt8(ascii: "/")) else { return nil }
        return InstanceID(String(text[..<slash]))
    }

    // MARK: what the scripts do at once elsewhere

    func publishInSteps(online: [UserID], offline: [UserID], sequence: UInt64) async throws -> PublishedStatus {
        try await enter(online)
        let commands =
            online.map { RedisCommand("SADD", statusKey($0), own.rawValue) }
            + offline.map { RedisCommand("SREM", statusKey($0), own.rawValue) }
        do {
            // A key of another kind hinders no other user, but the sequence is not written then.
            for reply in try await redis.pipelineInParts(commands) { _ = try reply.get() }
            return try await publishUnderMark([], sequence: sequence)
        } catch let failure {
            // Some of it may have been written.
            try await enterAgain(after: online + offline)
            throw failure
        }
    }

    func claimInSteps(_ uid: UserID, _ holder: Holder, gone: String?) async throws -> Claim {
        try await enter([uid])
        let claim = try await claim(uid, holder, gone: gone, under: [])
        guard claim == .granted else { return claim }
        do {
            try await enter([])
        } catch let error as PomeloError where error.code == .replaced {
            _ = try await unbind([(uid, holder.instance)], from: own)
            throw error
        }
        return claim
    }

    func releaseInSteps(_ uids: [UserID]) async throws {
        let others = try await unbind(uids.map { ($0, owner.instance) }, from: own)
        // Under our mark also an earlier instance's, which a Redis of yesterday brought back: nobody else would remove
        // it. What was seen before a look that finds our mark is not a later one's.
        if !others.isEmpty, try await mark(of: own) == owner.instance {
            _ = try await unbind(others, from: own)
        }
        try await releaseUnderMark(uids, bindings: [])
    }

    func removeInSteps(_ uids: [UserID], of server: ServerID, _ instance: InstanceID) async throws {
        if uids.isEmpty { return try await removeUnderMark([], of: server, instance, keys: []) }
        try await remove(uids, of: server) { mark, holder in
            if let mark, mark != instance { throw PomeloError.replaced(server, by: mark) }
            // Under its mark all of the server is this instance's or an earlier one's; without a mark nobody knows.
            return mark != nil || holder == instance
        }
        do {
            try await removeUnderMark(uids, of: server, instance, keys: [])
        } catch let error as PomeloError where error.code == .replaced {
            try await revoke(uids, from: server)
            throw error
        }
    }

    /// Removes status and, of those that were seen before the look at the mark, the bindings that are to go.
    private func remove(
        _ uids: [UserID], of server: ServerID,
        _ goes: @Loop (_ mark: InstanceID?, _ holder: InstanceID) throws -> Bool
    ) async throws {
        let held = try await redis.pipelineInParts(uids.map { RedisCommand("HMGET", bindKey($0), "sid", "inst") })
        let mark = try await mark(of: server)
        let seen = try zip(uids, held).compactMap { uid, reply -> (UserID, InstanceID)? in
            let fields = try reply.get().array ?? []
            let holder = InstanceID(fields.last?.string ?? "")
            guard try goes(mark, holder), fields.first?.string == server.rawValue else { return nil }
            return (uid, holder)
        }
        let steps =
            seen.map { unbinding($0, of: server, $1) }
            + uids.map { .command(RedisCommand("SREM", statusKey($0), server.rawValue)) }
        for reply in try await redis.execute(steps) { _ = try reply.get() }
    }

    // MARK: a node that went back in time

    /// The users that any key has for this server, whether its index names them or not.
    ///
    /// Those of another server are named in its index, and it hears of those that were not: it may have come to be
    /// while the node was away, and has cleaned up without them. They are removed when nobody has its id.
    func walk() async throws -> Set<UserID> {
        var users: Set<UserID> = []
        try await redis.forEachPage(matching: keyPattern) { keys in
            let found = try await self.entries(of: keys)
            for (server, uids) in found.sorted(by: { $0.key < $1.key }) {
                if server == self.own {
                    users.formUnion(uids)
                } else if try await !self.name(uids, at: server) {
                    // Whoever takes the id in the meantime publishes all it has.
                    try await self.remove(uids, of: server) { mark, _ in mark == nil }
                }
            }
        }
        return users
    }

    private func name(_ uids: [UserID], at server: ServerID) async throws -> Bool {
        try await redis.run(
            Self.nameScript, keys: [leaseKey(server), uidsKey(server), revokedKey(server)],
            args: [.number(Self.revokedMilliseconds)] + uids.map { .text($0.rawValue) }
        ).int == 1
    }

    /// Which users the status and bindings among some keys name, of which servers.
    private func entries(of keys: [String]) async throws -> [ServerID: [UserID]] {
        let asked = keys.compactMap { key -> (uid: UserID, question: RedisCommand)? in
            if let uid = statusUser(key) { return (uid, RedisCommand("SMEMBERS", [key])) }
            return bindingUser(key).map { ($0, RedisCommand("HMGET", key, "sid")) }
        }
        var found: [ServerID: Set<UserID>] = [:]
        for ((uid, _), reply) in zip(asked, try await redis.pipelineInParts(asked.map(\.question))) {
            // A key of another kind is none of ours.
            for server in (reply.array ?? []).compactMap(\.string) { found[ServerID(server), default: []].insert(uid) }
        }
        return found.mapValues { $0.sorted() }
    }

    /// Removes bindings that instances of a server hold; returns those that another instance of it holds.
    private func unbind(
        _ held: [(UserID, InstanceID)], from server: ServerID
    ) async throws -> [(UserID, InstanceID)] {
        let replies = try await redis.execute(held.map { unbinding($0, of: server, $1) })
        return try zip(held, replies).compactMap { held, reply in
            guard let other = try reply.get().string, !other.isEmpty else { return nil }
            return (held.0, InstanceID(other))
        }
    }

    private func unbinding(_ uid: UserID, of server: ServerID, _ instance: InstanceID) -> RedisStep {
        .script(
            Self.unbindScript, keys: [bindKey(uid)], args: [.text(server.rawValue), .text(instance.rawValue)])
    }
}
