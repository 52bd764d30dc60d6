// SPDX-License-Identifier: MIT
public import PomeloCore
public import PomeloLoop

/// What changed in the owner's memory since the last flush, channel by channel.
public struct ChannelBatch: Sendable, Equatable {
    /// One channel's changes, and how many members it has with them.
    public struct Change: Sendable, Equatable {
        public var channel: ChannelName
        public var added: [UserID]
        public var removed: [UserID]
        public var count: Int

        public init(channel: ChannelName, added: [UserID], removed: [UserID], count: Int) {
            self.channel = channel
            self.added = added
            self.removed = removed
            self.count = count
        }
    }

    public var changes: [Change]
    /// Grows with every flush; the store keeps it with the data, so that a loss of data can be seen.
    public var sequence: UInt64

    public init(changes: [Change], sequence: UInt64) {
        self.changes = changes
        self.sequence = sequence
    }
}

/// Where the published copy of channel memberships lives.
///
/// The owner's memory is the truth. A store may lose data: it says so through `publishedSequence` and the counts.
@Loop public protocol ChannelStore: AnyObject {
    /// Whether entries live under a lease, and so need a cluster membership.
    var needsMembership: Bool { get }
    /// Prepares the store for this server.
    func start(_ application: Application, _ membership: (any Membership)?) async throws
    /// Publishes changes, all or nothing; returns the members per changed channel as the store counts them.
    func publish(_ batch: ChannelBatch) async throws -> [ChannelName: Int]
    /// Replaces the published members of a channel of this server.
    func replace(_ channel: ChannelName, with members: [UserID], sequence: UInt64) async throws
    /// The published members of a channel at a server; may be behind the owner.
    func members(of channel: ChannelName, at server: ServerID) async throws -> [UserID]
    /// The published counts of channels of this server.
    func counts(of channels: [ChannelName]) async throws -> [ChannelName: Int]
    /// The last sequence the store holds for this instance; nil when it holds nothing of it.
    func publishedSequence() async throws -> UInt64?
    /// Forgets a channel at servers that may be gone.
    func destroy(_ channel: ChannelName, at servers: [ServerID]) async throws
    /// Forgets everything of this server's former instances, when asked to clean on start-up.
    func clean() async throws
    /// Removes a gone server's entries channel by channel; `lost` is awaited before an entry is removed.
    func cleanUp(
        _ server: ServerID, proceed: @Loop () async throws -> Void,
        lost: @Loop (ChannelName, [UserID]) async -> Void
    ) async throws
}

/// A store in this process's memory, for one process or for tests that share it between applications.
@Loop public final class MemoryChannelStore: ChannelStore {
    private var entries: [ServerID: [ChannelName: Set<UserID>]] = [:]
    private var own = ServerID("")
    private var sequence: UInt64?

    public nonisolated init() {}

    public var needsMembership: Bool { false }

    public func start(_ application: Application, _ membership: (any Membership)?) {
        own = application.serverID
        entries[own] = nil
    }

    public func publish(_ batch: ChannelBatch) -> [ChannelName: Int] {
        var counts: [ChannelName: Int] = [:]
        for change in batch.changes {
            var members = entries[own]?[change.channel] ?? []
            members.subtract(change.removed)
            members.formUnion(change.added)
            entries[own, default: [:]][change.channel] = members.isEmpty ? nil : members
            counts[change.channel] = members.count
        }
        sequence = batch.sequence
        return counts
    }

    public func replace(_ channel: ChannelName, with members: [UserID], sequence: UInt64) {
        entries[own, default: [:]][channel] = members.isEmpty ? nil : Set(members)
        self.sequence = sequence
    }

    public func members(of channel: ChannelName, at server: ServerID) -> [UserID] {
        (entries[server]?[channel] ?? []).sorted()
    }

    public func counts(of channels: [ChannelName]) -> [ChannelName: Int] {
        Dictionary(uniqueKeysWithValues: channels.map { ($0, entries[own]?[$0]?.count ?? 0) })
    }

    public func publishedSequence() -> UInt64? { sequence }

    public func destroy(_ channel: ChannelName, at servers: [ServerID]) {
        for server in servers { entries[server]?[channel] = nil }
    }

    public func clean() { entries[own] = nil }

    public func cleanUp(
        _ server: ServerID, proceed: @Loop () async throws -> Void,
        lost: @Loop (ChannelName, [UserID]) async -> Void
    ) async throws {
        for (channel, members) in (entries[server] ?? [:]).sorted(by: { $0.key < $1.key }) {
            try await proceed()
            await lost(channel, members.sorted())
            entries[server]?[channel] = nil
        }
    }
}
