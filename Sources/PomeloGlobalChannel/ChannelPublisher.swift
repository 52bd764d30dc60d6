// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloPublication

/// The published memberships of this server's channels: what differs, and how it is written and compared.
@Loop final class ChannelPublisher: PublishedState {
    /// Members written in one transaction.
    private static let batchMembers = 512
    /// Channels whose counts are compared each second.
    private static let sweepChannels = 200
    /// Of so many comparisons in a row one is made while nobody here is in a channel.
    private static let emptySweeps = 5

    let name = "channel membership"
    private let channels: OwnedChannels
    private let store: any ChannelStore
    private var backlog = ChannelBacklog()
    /// The sequence that last wrote each channel with members.
    private var written: [ChannelName: UInt64] = [:]
    private var sweepCursor: [ChannelName] = []
    private var sweepsLeftOut = 0

    init(_ channels: OwnedChannels, _ store: any ChannelStore) {
        self.channels = channels
        self.store = store
    }

    /// Channels with changes that are not published.
    var count: Int { backlog.comparesAll ? max(1, channels.nameCount) : backlog.count }
    var marks: Int { backlog.marks }
    var hasChanges: Bool { !backlog.isEmpty }
    var isBehind: Bool { hasChanges }

    /// A membership differs from the published copy.
    func note(_ channel: ChannelName, _ uid: UserID) { backlog.note(channel, uid, channels) }

    func publish(_ sequence: UInt64, written confirm: @Loop (UInt64?) -> Void) async throws {
        if backlog.comparesAll {
            backlog.compared(Set(try await store.channels()).union(channels.names))
        }
        let batch = ChannelBatch(changes: backlog.take(Self.batchMembers, channels), sequence: sequence)
        for change in batch.changes { written[change.channel] = channels[change.channel] == nil ? nil : sequence }
        do {
            let published = try await store.publish(batch)
            confirm(published.previous)
            for change in batch.changes where change.count >= 0 {
                // Another count means that the copy was changed or lost by others.
                let isWhole = published.counts[change.channel].map { $0 == change.count } ?? true
                if !isWhole { backlog.rewrite(change.channel) }
            }
        } catch {
            backlog.putBack(batch, channels)
            throw error
        }
    }

    var storeRun: String { store.run }
    func publishedSequence() async throws -> UInt64? { try await store.publishedSequence() }

    /// Every channel is written again that was written after the sequence the store still holds, or that older data
    /// has brought back.
    func lost(since held: UInt64?) async throws {
        for name in try await store.channels() where channels[name] == nil { backlog.rewrite(name) }
        for (channel, sequence) in written where sequence > held ?? 0 { backlog.rewrite(channel) }
        sweepCursor = []
    }

    /// Compares counts; each round begins with what the store has and nobody here is in.
    func sweep() async throws {
        if sweepCursor.isEmpty {
            sweepsLeftOut = channels.nameCount == 0 ? (sweepsLeftOut + 1) % Self.emptySweeps : 0
            guard sweepsLeftOut == 0 else { return }
            for name in try await store.channels() where channels[name] == nil { backlog.rewrite(name) }
            sweepCursor = channels.names
        }
        let names = sweepCursor.suffix(Self.sweepChannels).filter { !backlog.contains($0) }
        sweepCursor.removeLast(min(Self.sweepChannels, sweepCursor.count))
        let before = names.map { channels.count($0) }
        let counts = names.isEmpty ? [:] : try await store.counts(of: names)
        // REENTRANCY: what changed during the await is in the backlog, or was, and is compared by its flush.
        for (name, count) in zip(names, before) where channels.count(name) == count && counts[name] != count {
            backlog.rewrite(name)
        }
    }
}
