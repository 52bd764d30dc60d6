// SPDX-License-Identifier: MIT
public import PomeloCore
public import PomeloLoop

/// What changed in the owner's memory since the last flush, channel by channel.
public struct ChannelBatch: Sendable, Equatable {
    /// One channel's changes, and how many members it has with them.
    public struct Change: Sendable, Equatable {
        /// The channel that changed.
        public var channel: ChannelName
        /// Members now that may not have been at the last flush.
        public var added: [UserID]
        /// No members now, but maybe at the last flush.
        public var removed: [UserID]
        /// Negative while further changes of the channel follow in the next batch.
        public var count: Int
        /// What the store has of the channel goes first: `added` are all members.
        public var replaces: Bool

        /// A channel's part of a batch.
        public init(
            channel: ChannelName, added: [UserID], removed: [UserID] = [], count: Int, replaces: Bool = false
        ) {
            self.channel = channel
            self.added = added
            self.removed = removed
            self.count = count
            self.replaces = replaces
        }
    }

    /// One entry per channel, or more when a long one is split.
    public var changes: [Change]
    /// Grows with every flush; the store keeps it with the data, so that a loss of data can be seen.
    public var sequence: UInt64

    /// Changes with the sequence of their flush.
    public init(changes: [Change], sequence: UInt64) {
        self.changes = changes
        self.sequence = sequence
    }
}

/// What a store says about a flush.
public struct PublishedBatch: Sendable, Equatable {
    /// The members of each changed channel of this server, as the store counts them.
    public var counts: [ChannelName: Int]
    /// The sequence the store held for this instance just before; nil when it held nothing of it.
    public var previous: UInt64?

    /// A store's answer, made by the store.
    public init(counts: [ChannelName: Int], previous: UInt64?) {
        self.counts = counts
        self.previous = previous
    }
}

/// Where the published copy of channel memberships lives.
///
/// It says through the sequences and the counts when it has lost data. Its writing calls come one at a time.
@Loop public protocol ChannelStore: PublishedStore {
    /// Publishes changes and the sequence, all or nothing, and says which sequence was there before.
    ///
    /// Throws when another instance of the server has its id.
    func publish(_ batch: ChannelBatch) async throws -> PublishedBatch
    /// The published members of a channel at a server; may be behind the owner.
    func members(of channel: ChannelName, at server: ServerID) async throws -> [UserID]
    /// The channels published for this server.
    func channels() async throws -> [ChannelName]
    /// The published counts of channels of this server.
    func counts(of channels: [ChannelName]) async throws -> [ChannelName: Int]
    /// Forgets a channel at servers that may be gone.
    func destroy(_ channel: ChannelName, at servers: [ServerID]) async throws
    /// Removes what a gone instance has published, or one before it, and nothing of a later one: then it throws.
    ///
    /// At most 50 channels go between two calls of `proceed`. `lost` takes the members of a channel over before its
    /// entries are removed; it is called for several channels at once, and does not wait for those who hear of it.
    func cleanUp(
        _ server: ServerID, instance: InstanceID, proceed: @escaping @Loop () async throws -> Void,
        lost: @escaping @Loop (ChannelName, [UserID]) async -> Void
    ) async throws
}

/// A store in this process's memory, for one process or for tests of several servers in one.
@Loop public final class MemoryChannelStore: ChannelStore {
    /// The entries; shared by the stores of several applications.
    @Loop public final class Entries {
        fileprivate var members: [ServerID: [ChannelName: Set<UserID>]] = [:]
        fileprivate var sequences: [ServerID: (instance: InstanceID, sequence: UInt64)] = [:]
        /// Who has each server id: outlives every loss, as the membership that it stands for puts it right.
        fileprivate var owners: [ServerID: InstanceID] = [:]

        /// Entries of nobody.
        public nonisolated init() {}

        /// Loses everything, as an emptied Redis does.
        public func removeAll() { restore(Entries()) }

        /// The entries as they are now.
        public func copy() -> Entries {
            let copy = Entries()
            copy.restore(self)
            return copy
        }

        /// Goes back to what they were, as a replica that was behind does.
        public func restore(_ old: Entries) {
            members = old.members
            sequences = old.sequences
        }
    }

    private let entries: Entries
    private var owner = StoreOwner()

    /// Works on entries of its own, or on some that it shares with other stores.
    public nonisolated init(_ entries: Entries = Entries()) { self.entries = entries }

    /// Takes the server's identity: what its former instances write from now on is refused.
    public func start(_ application: Application, _ membership: (any Membership)?) async throws {
        owner = StoreOwner(application, membership)
        entries.owners[owner.server] = owner.instance
    }

    private func check(_ server: ServerID, _ instance: InstanceID) throws {
        if let other = entries.owners[server], other != instance { throw PomeloError.replaced(server, by: other) }
    }

    /// Applies the changes to the entries, at once.
    ///
    /// - Throws: `PomeloError` `.notRunning` when another instance of this server has started.
    public func publish(_ batch: ChannelBatch) throws -> PublishedBatch {
        try check(owner.server, owner.instance)
        var published = PublishedBatch(counts: [:], previous: publishedSequence())
        for change in batch.changes {
            var members = change.replaces ? [] : entries.members[owner.server]?[change.channel] ?? []
            members.subtract(change.removed)
            members.formUnion(change.added)
            entries.members[owner.server, default: [:]][change.channel] = members.isEmpty ? nil : members
            published.counts[change.channel] = members.count
        }
        entries.sequences[owner.server] = (owner.instance, batch.sequence)
        return published
    }

    /// The entries of a channel at a server, sorted.
    public func members(of channel: ChannelName, at server: ServerID) -> [UserID] {
        (entries.members[server]?[channel] ?? []).sorted()
    }

    /// The channels that have entries of this server, sorted.
    public func channels() -> [ChannelName] { (entries.members[owner.server] ?? [:]).keys.sorted() }

    /// How many entries of this server each channel has.
    public func counts(of channels: [ChannelName]) -> [ChannelName: Int] {
        Dictionary(channels.map { ($0, entries.members[owner.server]?[$0]?.count ?? 0) }) { first, _ in first }
    }

    /// The sequence of the last `publish`; nil when it was another instance's.
    public func publishedSequence() -> UInt64? {
        entries.sequences[owner.server].flatMap { $0.instance == owner.instance ? $0.sequence : nil }
    }

    /// Removes the entries of a channel at some servers.
    public func destroy(_ channel: ChannelName, at servers: [ServerID]) {
        for server in servers { entries.members[server]?[channel] = nil }
    }

    /// Removes all entries of this server.
    public func clean() async throws { entries.members[owner.server] = nil }

    /// Removes a server's entries in order of the channels' names.
    ///
    /// - Throws: `PomeloError` `.notRunning` when an instance other than this one has started; what `proceed` throws.
    ///   The channels not yet told about stay.
    public func cleanUp(
        _ server: ServerID, instance: InstanceID, proceed: @escaping @Loop () async throws -> Void,
        lost: @escaping @Loop (ChannelName, [UserID]) async -> Void
    ) async throws {
        try await CleanUpSlices.run((entries.members[server] ?? [:]).keys.sorted(), proceed) { channels in
            for channel in channels {
                try self.check(server, instance)
                await lost(channel, (self.entries.members[server]?[channel] ?? []).sorted())
                try self.check(server, instance)
                self.entries.members[server]?[channel] = nil
            }
        }
    }
}
