// SPDX-License-Identifier: MIT
public import PomeloCore
public import PomeloLoop
public import PomeloPublication

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
    public func start(_ owner: StoreOwner) async throws {
        self.owner = owner
        entries.owners[owner.server] = owner.instance
    }

    private func check(_ server: ServerID, _ instance: InstanceID) throws {
        if let other = entries.owners[server], other != instance { throw PomeloError.replaced(server, by: other) }
    }

    /// Applies the changes to the entries, at once.
    ///
    /// - Throws: `PomeloError` `.replaced` when another instance of this server has started.
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
    /// - Throws: `PomeloError` `.replaced` when an instance other than this one has started; what `proceed` throws.
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
