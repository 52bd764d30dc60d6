// SPDX-License-Identifier: MIT

/// The channels of this process that differ from their store.
///
/// A mark per changed member, and beyond a bound "all of the channel", or "all": bounded by what is there, however many
/// come and go while nothing can be written.
struct ChannelChanges {
    /// One channel's.
    struct Change {
        /// What the store has of the channel goes first.
        var replaces = false
        var members: Set<ChannelMember> = []
    }

    /// Marks of one channel beyond its members.
    private static let spareMarks = 1024
    /// Changed channels beyond those that are there.
    private static let spareChannels = 10_000

    private var changes: [ChannelName: Change] = [:]
    /// There were too many: every channel that is here or in the store is to be written.
    private(set) var comparesAll = false

    var isEmpty: Bool { changes.isEmpty && !comparesAll }

    /// A membership has changed, in a channel of so many members, one of so many channels.
    mutating func note(_ name: ChannelName, _ member: ChannelMember, members: Int, channels: Int) {
        mark(name, channels: channels) { change in
            if !change.replaces { change.members.insert(member) }
            if change.members.count > members + Self.spareMarks { change = Change(replaces: true) }
        }
    }

    /// A channel was made, one of so many; or what the store has of it goes first.
    mutating func note(_ name: ChannelName, replaces: Bool = false, channels: Int) {
        mark(name, channels: channels) { if replaces { $0 = Change(replaces: true) } }
    }

    private mutating func mark(_ name: ChannelName, channels: Int, _ edit: (inout Change) -> Void) {
        guard !comparesAll else { return }
        edit(&changes[name, default: Change()])
        guard changes.count > Self.spareChannels + channels else { return }
        changes = [:]
        comparesAll = true
    }

    /// All channels are known: each is to be written whole.
    mutating func compared(_ names: some Sequence<ChannelName>) {
        comparesAll = false
        for name in names { changes[name] = Change(replaces: true) }
    }

    mutating func take() -> (name: ChannelName, change: Change)? {
        guard let (name, change) = changes.first else { return nil }
        changes[name] = nil
        return (name, change)
    }

    /// It could not be written; what was marked meanwhile stays marked.
    mutating func putBack(_ change: Change, of name: ChannelName) {
        let later = changes[name] ?? Change()
        let replaces = change.replaces || later.replaces
        changes[name] = Change(replaces: replaces, members: change.members.union(later.members))
    }
}
