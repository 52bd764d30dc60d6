// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloCore
public import PomeloLoop
public import PomeloPublication
public import PomeloRedis

/// The published copy in Redis, under the keys of pomelo's plugin.
///
/// ```
/// <prefix>:<channel>:<server>            set of user ids                 (readable by pomelo-globalchannel-plugin)
/// <prefix>:{<cluster>/<server>}:<channel>   the same in Redis Cluster: in one slot with what follows
/// pomelo:{<cluster>/<server>}:channels   set of channels the server has  (written with the keys it names)
/// pomelo:{<cluster>/<server>}:lease      hash, seq = <instance>/<sequence of the last flush>, channels = how many
/// ```
///
/// The lease's hash marks whose instance all of it is: scripts write and remove nothing under another mark.
///
/// - Source: pomelo-globalchannel-plugin 0.0.3, lib/manager/redisGlobalChannelManager.js (key layout).
@Loop public final class RedisChannelStore: ChannelStore {
    private nonisolated static let publishScript = script("publish", PackageResources.publish_lua)
    nonisolated static let removeScript = script("remove", PackageResources.remove_lua)

    let redis: any RedisPort
    let prefix: String
    private(set) var owner = StoreOwner()

    /// The prefix is pomelo's default unless told otherwise; clusters that share one Redis need different ones.
    public init(redis: any RedisPort, prefix: String = "POMELO:CHANNEL") {
        self.redis = redis
        self.prefix = prefix
    }

    /// True: entries are removed when their server's lease is over.
    public var needsMembership: Bool { true }

    /// Takes the server's identity and its cluster; sends no command.
    public func start(_ owner: StoreOwner) async throws {
        self.owner = owner
    }

    private nonisolated static func script(_ name: String, _ source: [UInt8]) -> RedisScript {
        RedisScript(name: "channel.\(name)", source: String(decoding: source, as: UTF8.self))
    }

    /// The scripts, for servers in memory that need a twin of each.
    public nonisolated static var scripts: [RedisScript] { [publishScript, removeScript] }

    // MARK: keys

    func membersKey(_ channel: ChannelName, _ server: ServerID) -> String {
        let (start, end) = membersAffixes(server)
        return "\(start)\(channel)\(end)"
    }
    /// What stands around the name of a channel: in a cluster the server comes first, in braces, so that all that a
    /// server has is in one slot, whatever a channel is called.
    func membersAffixes(_ server: ServerID) -> (start: String, end: String) {
        redis.isCluster ? ("\(prefix):{\(owner.cluster)/\(server)}:", "") : ("\(prefix):", ":\(server)")
    }
    func channelsKey(_ server: ServerID) -> String { owner.key("channels", of: server) }
    func leaseKey(_ server: ServerID) -> String { owner.leaseKey(of: server) }

    // MARK: writing

    /// Writes a batch and its sequence at once, all or nothing.
    ///
    /// - Complexity: one round trip.
    /// - Throws: `RedisError`; `PomeloError` `.replaced` when another instance of this server has its id: nothing is
    ///   written then.
    public func publish(_ batch: ChannelBatch) async throws -> PublishedBatch {
        var keys = [leaseKey(owner.server), channelsKey(owner.server)]
        var args: [RedisArgument] = [.text(owner.instance.rawValue), .text(String(batch.sequence))]
        for change in batch.changes {
            keys.append(membersKey(change.channel, owner.server))
            args += [
                .text(change.channel.rawValue), change.replaces ? 1 : 0, change.count == 0 ? 1 : 0,
                .number(change.added.count), .number(change.removed.count),
            ]
            args += change.added.map { .text($0.rawValue) }
            args += change.removed.map { .text($0.rawValue) }
        }
        let reply = try await redis.run(Self.publishScript, keys: keys, args: args)
        let fields = try accepted(reply, owner.server)
        guard fields.count == batch.changes.count + 1 else {
            throw RedisError.protocolError("channel.publish answered \(reply)")
        }
        var published = PublishedBatch(counts: [:], previous: sequence(fields.first?.string))
        for (change, count) in zip(batch.changes, fields.dropFirst()) { published.counts[change.channel] = count.int }
        return published
    }

    /// What a script answered that looked at the mark first.
    func accepted(_ reply: RedisReply, _ server: ServerID) throws -> ArraySlice<RedisReply> {
        guard let fields = reply.array, let first = fields.first?.int else {
            throw RedisError.protocolError("a script of channels answered \(reply)")
        }
        if first == 0 { throw PomeloError.replaced(server, by: InstanceID(fields.last?.string ?? "")) }
        return fields.dropFirst()
    }

    /// The sequence in `<instance>/<sequence>`; nil when it is another instance's.
    private func sequence(_ text: String?) -> UInt64? {
        guard let text, text.hasPrefix("\(owner.instance)/") else { return nil }
        return UInt64(text.dropFirst(owner.instance.rawValue.count + 1))
    }

    /// Removes a channel's set at some servers, and its name from their lists.
    ///
    /// - Complexity: one round trip for 500 servers.
    /// - Throws: `RedisError`.
    public func destroy(_ channel: ChannelName, at servers: [ServerID]) async throws {
        let commands = servers.flatMap { server in
            [
                RedisCommand("UNLINK", [membersKey(channel, server)]),
                RedisCommand("SREM", [channelsKey(server), channel.rawValue]),
            ]
        }
        for reply in try await redis.pipelineInParts(commands) { _ = try reply.get() }
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
    /// - Complexity: one round trip for 1000 channels.
    /// - Throws: `RedisError`.
    public func counts(of channels: [ChannelName]) async throws -> [ChannelName: Int] {
        let replies = try await redis.pipelineInParts(
            channels.map { RedisCommand("SCARD", [membersKey($0, owner.server)]) })
        var counts: [ChannelName: Int] = [:]
        for (channel, reply) in zip(channels, replies) { counts[channel] = Int(try reply.get().int ?? 0) }
        return counts
    }

    /// The run id of Redis.
    public var run: String { redis.runID }

    /// The sequence in the lease's hash.
    ///
    /// - Throws: `RedisError`; `PomeloError` `.replaced` when another instance of this server has its id.
    public func publishedSequence() async throws -> UInt64? {
        let fields = try await redis.send(RedisCommand("HMGET", leaseKey(owner.server), "inst", "seq")).array ?? []
        if let holder = fields.first?.string, holder != owner.instance.rawValue {
            throw PomeloError.replaced(owner.server, by: InstanceID(holder))
        }
        return sequence(fields.last?.string)
    }

    private func scan(_ key: String) async throws -> [String] {
        var members: Set<Text> = []
        try await redis.forEachPage(of: key) { members.formUnion($0.map { Text($0) }) }
        return members.sorted().map(\.string)
    }
}
