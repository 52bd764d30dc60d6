// SPDX-License-Identifier: MIT
public import PomeloCore
public import PomeloLoop
public import PomeloRedis
import PomeloWire

/// The published copy in Redis, under the keys of pomelo's plugin.
///
/// ```
/// <prefix>:<channel>:<server>            set of user ids                 (readable by pomelo-globalchannel-plugin)
/// pomelo:{<cluster>/<server>}:channels   set of channels the server has  (written before the keys it names)
/// pomelo:{<cluster>/<server>}:lease      hash, field seq                 (sequence of the last flush)
/// ```
///
/// - Source: pomelo-globalchannel-plugin 0.0.3, lib/manager/redisGlobalChannelManager.js (key layout).
@Loop public final class RedisChannelStore: ChannelStore {
    /// Members written or read by one command, so that no command holds Redis for long.
    private static let chunk = 512

    private let redis: any RedisPort
    private let prefix: String
    private var owner = StoreOwner()

    /// The prefix is pomelo's default unless told otherwise; clusters that share one Redis need different ones.
    public init(redis: any RedisPort, prefix: String = "POMELO:CHANNEL") {
        self.redis = redis
        self.prefix = prefix
    }

    /// True: entries are removed when their server's lease is over.
    public var needsMembership: Bool { true }

    /// Takes the server's identity and its lease key; sends no command.
    public func start(_ application: Application, _ membership: (any Membership)?) async throws {
        owner = StoreOwner(application, membership)
    }

    // MARK: keys

    private func membersKey(_ channel: ChannelName, _ server: ServerID) -> String { "\(prefix):\(channel):\(server)" }
    private func channelsKey(_ server: ServerID) -> String { owner.key("channels", of: server) }

    // MARK: writing

    /// Writes a batch and its sequence in one transaction.
    ///
    /// - Complexity: one round trip; no command has more than 512 members.
    /// - Throws: `RedisError`; `PomeloError` `.notRunning` when another instance of this server holds the lease.
    public func publish(_ batch: ChannelBatch) async throws -> PublishedBatch {
        // First of all what was there: the same transaction tells whether data was lost before it.
        var commands = [RedisCommand("HMGET", owner.leaseKey, "inst", "seq")]
        var counted: [(index: Int, channel: ChannelName)] = []
        for change in batch.changes {
            let key = membersKey(change.channel, owner.server)
            if change.replaces { commands.append(RedisCommand("UNLINK", key)) }
            if !change.added.isEmpty {
                commands.append(RedisCommand("SADD", channelsKey(owner.server), change.channel.rawValue))
                commands += Self.chunked("SADD", key, change.added)
            }
            commands += Self.chunked("SREM", key, change.removed)
            counted.append((commands.count, change.channel))
            commands.append(RedisCommand("SCARD", key))
            if change.count == 0 {
                // Together: a key that older data brought back would not be found again without its name.
                commands.append(RedisCommand("UNLINK", key))
                commands.append(RedisCommand("SREM", channelsKey(owner.server), change.channel.rawValue))
            }
        }
        commands.append(RedisCommand("HSET", owner.leaseKey, "seq", String(batch.sequence)))
        let replies = try await redis.transaction(commands).map { try $0.get() }
        guard replies.count == commands.count else { throw RedisError.protocolError("EXEC with other replies") }
        var published = PublishedBatch(counts: [:], previous: try sequence(replies[0]))
        for (index, channel) in counted { published.counts[channel] = replies[index].int }
        return published
    }

    /// The sequence of this instance in `inst, seq`.
    ///
    /// A hash without `inst` was made by a flush of ours after a loss.
    private func sequence(_ reply: RedisReply) throws -> UInt64? {
        guard let fields = reply.array, fields.count == 2 else { return nil }
        if let holder = fields[0].string, holder != owner.instance.rawValue {
            throw PomeloError(.notRunning, "another instance publishes as \(owner.server)")
        }
        return fields[1].string.flatMap { UInt64($0) }
    }

    /// Removes a channel's set at some servers, and its name from their lists.
    ///
    /// - Complexity: one round trip.
    /// - Throws: `RedisError`.
    public func destroy(_ channel: ChannelName, at servers: [ServerID]) async throws {
        let commands = servers.flatMap { server in
            [
                RedisCommand("UNLINK", [membersKey(channel, server)]),
                RedisCommand("SREM", [channelsKey(server), channel.rawValue]),
            ]
        }
        for reply in try await redis.pipeline(commands) { _ = try reply.get() }
    }

    private static func chunked(_ name: String, _ key: String, _ members: [UserID]) -> [RedisCommand] {
        stride(from: 0, to: members.count, by: chunk).map { start in
            let part = members[start..<min(start + chunk, members.count)].map(\.rawValue)
            return RedisCommand(name, [key] + part)
        }
    }

    // MARK: reading

    /// Reads the set of a channel at a server, in pages.
    ///
    /// - Throws: `RedisError`.
    public func members(of channel: ChannelName, at server: ServerID) async throws -> [UserID] {
        try await scan(membersKey(channel, server)).map { UserID($0) }
    }

    /// Reads the list of this server's channels, in pages; it may name some that are empty.
    ///
    /// - Throws: `RedisError`.
    public func channels() async throws -> [ChannelName] {
        try await scan(channelsKey(owner.server)).map { ChannelName($0) }
    }

    /// Counts the sets of some channels at this server.
    ///
    /// - Complexity: one round trip.
    /// - Throws: `RedisError`.
    public func counts(of channels: [ChannelName]) async throws -> [ChannelName: Int] {
        let replies = try await redis.pipeline(channels.map { RedisCommand("SCARD", [membersKey($0, owner.server)]) })
        var counts: [ChannelName: Int] = [:]
        for (channel, reply) in zip(channels, replies) { counts[channel] = Int(try reply.get().int ?? 0) }
        return counts
    }

    /// The sequence in the lease's hash.
    ///
    /// - Throws: `RedisError`; `PomeloError` `.notRunning` when another instance of this server holds the lease.
    public func publishedSequence() async throws -> UInt64? {
        try sequence(try await redis.send(RedisCommand("HMGET", owner.leaseKey, "inst", "seq")))
    }

    /// Reads a set in pages: one SMEMBERS of 100 000 members would stall the loop for 20 ms.
    private func scan(_ key: String) async throws -> [String] {
        var members: Set<Text> = []
        var cursor = "0"
        repeat {
            let page = try await redis.send(RedisCommand("SSCAN", [key, cursor, "COUNT", "1000"])).array ?? []
            guard page.count == 2, let next = page[0].string else { break }
            cursor = next
            members.formUnion((page[1].strings ?? []).map { Text($0) })
        } while cursor != "0"
        return members.sorted().map(\.string)
    }

    // MARK: cleaning

    /// Removes this server's sets, also those that its list does not name.
    ///
    /// - Complexity: walks all keys of the database, about 1000 a round trip.
    /// - Throws: `RedisError`.
    public func clean() async throws {
        let pattern = Self.escaped(prefix) + ":*:" + Self.escaped(owner.server.rawValue)
        var cursor = "0"
        repeat {
            let page =
                try await redis.send(
                    RedisCommand("SCAN", [cursor, "MATCH", pattern, "COUNT", "1000"])
                ).array ?? []
            guard page.count == 2, let next = page[0].string else { break }
            cursor = next
            let keys = page[1].strings ?? []
            if !keys.isEmpty { _ = try await redis.send(RedisCommand("UNLINK", keys)) }
        } while cursor != "0"
        _ = try await redis.send(RedisCommand("UNLINK", channelsKey(owner.server)))
    }

    /// A name as a pattern that matches only itself.
    static func escaped(_ text: String) -> String {
        // By scalars: a star and a mark after it are one character, which is no star.
        text.unicodeScalars.reduce(into: "") { result, scalar in
            if "*?[]\\^".unicodeScalars.contains(scalar) { result.append("\\") }
            result.unicodeScalars.append(scalar)
        }
    }

    /// Removes a server's sets one by one, each after its members were told as lost.
    ///
    /// - Throws: `RedisError`, and what `proceed` throws; what is left is found again by the next call.
    public func cleanUp(
        _ server: ServerID, instance: InstanceID, proceed: @escaping @Loop () async throws -> Void,
        lost: @Loop (ChannelName, [UserID]) async -> Void
    ) async throws {
        for name in try await scan(channelsKey(server)) {
            try await proceed()
            let channel = ChannelName(name)
            let gone = try await members(of: channel, at: server)
            if !gone.isEmpty { await lost(channel, gone) }
            let replies = try await redis.pipeline([
                RedisCommand("UNLINK", [membersKey(channel, server)]),
                RedisCommand("SREM", [channelsKey(server), name]),
            ])
            for reply in replies { _ = try reply.get() }
        }
    }
}
