// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop

/// What the published copy lacks: members that differ, and channels to be written whole.
///
/// An add and a leave of the same member collapse, because what counts is the owner's memory at the time of writing.
@Loop struct ChannelBacklog {
    private var dirty: [ChannelName: Set<UserID>] = [:]
    /// In order of their first change; has names that are not dirty any more.
    private var order: [ChannelName] = []
    private var next = 0
    private var rewrites: Set<ChannelName> = []

    /// Channels with changes.
    var count: Int { dirty.count + rewrites.count }
    var isEmpty: Bool { dirty.isEmpty && rewrites.isEmpty }
    func contains(_ channel: ChannelName) -> Bool { dirty[channel] != nil || rewrites.contains(channel) }

    mutating func note(_ channel: ChannelName, _ uid: UserID) {
        if rewrites.contains(channel) { return }
        if dirty[channel] == nil { order.append(channel) }
        dirty[channel, default: []].insert(uid)
    }

    /// The whole channel is to be written, whatever the store has of it.
    mutating func rewrite(_ channel: ChannelName) {
        rewrites.insert(channel)
        dirty[channel] = nil
    }

    mutating func putBack(_ batch: ChannelBatch) {
        for change in batch.changes {
            if change.replaces { rewrite(change.channel) }
            for uid in change.added + change.removed { note(change.channel, uid) }
        }
    }

    /// Takes changes of about so many members, as the owner's memory has them now; never splits a whole channel.
    mutating func take(_ members: Int, _ channels: OwnedChannels) -> [ChannelBatch.Change] {
        var changes: [ChannelBatch.Change] = []
        var budget = members
        while budget > 0, let name = rewrites.popFirst() {
            let all = channels.members(name)
            changes.append(ChannelBatch.Change(channel: name, added: all, count: all.count, replaces: true))
            budget -= max(1, all.count)
        }
        while budget > 0, next < order.count {
            if let change = takeSome(order[next], &budget, channels) { changes.append(change) }
            if dirty[order[next]] == nil { next += 1 }
        }
        if next == order.count {
            order.removeAll(keepingCapacity: true)
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
