// SPDX-License-Identifier: MIT
public import PomeloCore
public import PomeloLoop
// Whoever writes a store needs it.
@_exported public import PomeloPublication

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
