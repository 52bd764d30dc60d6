// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop

/// What the published copy lacks: members that differ, and channels to be written whole.
///
/// An add and a leave of the same member collapse, because what counts is the owner's memory at the time of writing.
/// Marks are bounded by what is in that memory: those who came and went while nothing could be written are found again
/// by writing the channel whole, and channels that came and went by comparing all of them.
@Loop struct ChannelBacklog {
    /// Marks of one channel beyond its members.
    static let spareMarks = 1024
    /// Changed channels beyond those that are there.
    static let spareChannels = 10_000

    private var dirty: [ChannelName: Set<UserID>] = [:]
    /// Each name once, in order of its first change; may have names that are not dirty any more.
    private var order: [ChannelName] = []
    private var next = 0
    private var ordered: Set<ChannelName> = []
    private var rewrites: Set<ChannelName> = []
    /// There were too many changed channels: what there is, and what the store has, is to be compared.
    private(set) var comparesAll = false

    /// Channels with changes.
    var count: Int { dirty.count + rewrites.count }
    var isEmpty: Bool { dirty.isEmpty && rewrites.isEmpty && !comparesAll }
    func contains(_ channel: ChannelName) -> Bool { dirty[channel] != nil || rewrites.contains(channel) }
    /// Names and members that are remembered, in all.
    var marks: Int { order.count + rewrites.count + dirty.values.reduce(0) { $0 + $1.count } }

    mutating func note(_ channel: ChannelName, _ uid: UserID, _ channels: OwnedChannels) {
        if rewrites.contains(channel) || comparesAll { return }
        mark(channel, uid)
        bound(channel, channels)
    }

    private mutating func mark(_ channel: ChannelName, _ uid: UserID) {
        if ordered.insert(channel).inserted { order.append(channel) }
        dirty[channel, default: []].insert(uid)
    }

    private mutating func bound(_ channel: ChannelName, _ channels: OwnedChannels) {
        if dirty[channel]?.count ?? 0 > channels.count(channel) + Self.spareMarks { rewrite(channel) }
        if count > channels.nameCount + Self.spareChannels {
            self = ChannelBacklog()
            comparesAll = true
        }
    }

    /// The whole channel is to be written, whatever the store has of it.
    mutating func rewrite(_ channel: ChannelName) {
        if comparesAll { return }
        rewrites.insert(channel)
        dirty[channel] = nil
    }

    /// All channels that are here or in the store are to be written.
    mutating func compared(_ names: some Sequence<ChannelName>) {
        comparesAll = false
        for name in names { rewrite(name) }
    }

    mutating func putBack(_ batch: ChannelBatch, _ channels: OwnedChannels) {
        for change in batch.changes {
            if change.replaces { rewrite(change.channel) }
            for uid in change.added + change.removed { note(change.channel, uid, channels) }
        }
    }

    /// Takes changes of at most so many members, as the owner's memory has them now.
    mutating func take(_ members: Int, _ channels: OwnedChannels) -> [ChannelBatch.Change] {
        var changes: [ChannelBatch.Change] = []
        var budget = members
        while budget > 0, let name = rewrites.popFirst() {
            let all = channels.members(name)
            let part = Array(all.prefix(budget))
            // What does not fit is added by the next batches.
            for uid in all.dropFirst(part.count) { mark(name, uid) }
            let count = part.count == all.count ? all.count : -1
            changes.append(ChannelBatch.Change(channel: name, added: part, count: count, replaces: true))
            budget -= max(1, part.count)
        }
        while budget > 0, next < order.count {
            let name = order[next]
            if let change = takeSome(name, &budget, channels) { changes.append(change) }
            guard dirty[name] == nil else { break }
            ordered.remove(name)
            next += 1
        }
        if next > order.count / 2 {
            order.removeFirst(next)
            next = 0
        }
        return changes
    }

    private mutating func takeSome(
        _ name: ChannelName, _ budget: inout Int, _ channels: OwnedChannels
    ) -> ChannelBatch.Change? {
        guard var pending = dirty.removeValue(forKey: name) else { return nil }
        var change = ChannelBatch.Change(channel: name, added: [], count: -1)
        while budget > 0, let uid = pending.popFirst() {
            if channels.contains(name, uid) { change.added.append(uid) } else { change.removed.append(uid) }
            budget -= 1
        }
        // A channel split over two batches has its true count only with the last of them.
        if pending.isEmpty { change.count = channels.count(name) } else { dirty[name] = pending }
        return change
    }
}
