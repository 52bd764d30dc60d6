// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloCore
import PomeloLoop
import PomeloPublication
import PomeloRedis

/// How the sets of a server that is gone are removed.
///
/// By the server's list, in slices; by a walk over all keys when the list was lost (a Redis that is full may evict it).
extension RedisChannelStore {
    /// Removes this server's sets, also those that its list does not name.
    ///
    /// - Complexity: walks all keys of the database, about 1000 a round trip.
    /// - Throws: `RedisError`; `PomeloError` `.replaced` when another instance of this server has its id.
    public func clean() async throws {
        try await cleanUp(owner.server, instance: owner.instance, proceed: {}, lost: { _, _ in }, walks: true)
    }

    /// Removes a server's sets in slices of 50, each set after its members were told as lost.
    ///
    /// - Complexity: three round trips a slice, the look at the token among them.
    /// - Throws: `RedisError`; `PomeloError` `.replaced` when an instance other than this one has the server's id by
    ///   now: nothing of it is removed; what `proceed` throws. What is left is found again by the next call.
    public func cleanUp(
        _ server: ServerID, instance: InstanceID, proceed: @escaping @Loop () async throws -> Void,
        lost: @escaping @Loop (ChannelName, [UserID]) async -> Void
    ) async throws {
        let walks = try await !hasWholeIndex(server)
        try await cleanUp(server, instance: instance, proceed: proceed, lost: lost, walks: walks)
    }

    private func cleanUp(
        _ server: ServerID, instance: InstanceID, proceed: @escaping @Loop () async throws -> Void,
        lost: @escaping @Loop (ChannelName, [UserID]) async -> Void, walks: Bool
    ) async throws {
        let end: @Loop ([ChannelName]) async throws -> Void = { names in
            try await self.end(names, of: server, instance, lost)
        }
        try await redis.forEachPage(of: channelsKey(server)) { names in
            try await CleanUpSlices.run(names.map { ChannelName($0) }, proceed, end)
        }
        guard walks else { return }
        let (start, suffix) = membersAffixes(server)
        let pattern = RedisCommand.pattern(start) + "*" + RedisCommand.pattern(suffix)
        try await redis.forEachPage(matching: pattern) { keys in
            // Also for a page that has none of the server: a walk takes longer than a token lives.
            try await proceed()
            let names = keys.compactMap { $0.between(start, suffix) }
            try await CleanUpSlices.run(names.map { ChannelName($0) }, proceed, end)
        }
    }

    /// Whether the list of a server's channels names all there are, as the last flush counted them.
    ///
    /// A server that never counted has none; but of another one whose lease is lost too that is not known.
    private func hasWholeIndex(_ server: ServerID) async throws -> Bool {
        let isWhole = try await redis.isWhole(channelsKey(server), countedIn: leaseKey(server), "channels")
        return isWhole ?? (server == owner.server)
    }

    /// Tells of the members of some channels, and removes them.
    private func end(
        _ names: [ChannelName], of server: ServerID, _ instance: InstanceID,
        _ lost: @escaping @Loop (ChannelName, [UserID]) async -> Void
    ) async throws {
        let gone = try await members(of: names, at: server, instance)
        await withTaskGroup(of: Void.self) { group in
            for (name, uids) in zip(names, gone) where !uids.isEmpty {
                group.addTask { @Loop @Sendable in await lost(name, uids) }
            }
        }
        let keys = [leaseKey(server), channelsKey(server)] + names.map { membersKey($0, server) }
        let args = [instance.rawValue] + names.map(\.rawValue)
        _ = try accepted(try await redis.run(Self.removeScript, keys: keys, args: args.map { .text($0) }), server)
    }

    /// The members of several channels: a page of each together, and what is left of long ones after that.
    ///
    /// Looks at the mark behind each page, so that nobody is told as lost who is with a later instance.
    private func members(
        of names: [ChannelName], at server: ServerID, _ instance: InstanceID
    ) async throws -> [[UserID]] {
        var found = names.map { _ in Set<UserID>() }
        var open = names.indices.map { (index: $0, cursor: "0") }
        while !open.isEmpty {
            let pages = open.map { RedisCommand.page(of: membersKey(names[$0.index], server), at: $0.cursor) }
            let replies = try await redis.transaction(pages + [RedisCommand("HGET", leaseKey(server), "inst")])
            guard replies.count == open.count + 1 else { throw RedisError.protocolError("replies are missing") }
            if let mark = try replies[open.count].get().string, mark != instance.rawValue {
                throw PomeloError.replaced(server, by: InstanceID(mark))
            }
            for at in open.indices {
                let page = try replies[at].page()
                found[open[at].index].formUnion(page.texts.map { UserID($0) })
                open[at].cursor = page.next
            }
            open.removeAll { $0.cursor == "0" }
        }
        return found.map { $0.sorted() }
    }
}
