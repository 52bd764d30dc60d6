// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop

/// Which membership ended: told once, whoever tells it.
struct Ending: Hashable, Sendable {
    let server: ServerID
    let instance: InstanceID
    /// The membership's number at its frontend; nil for all that a server had when it was gone.
    var number: UInt64?
    /// Lists may have the user, and that it came was told nobody: who let it in failed half way.
    var isUntold = false

    /// Whether what is told by `self` was told with `other` already.
    func isCovered(by other: Ending) -> Bool {
        isAtPlace(of: other) && (number == other.number || other.number == nil && !isUntold)
    }

    /// Whether both were at one start of a server.
    func isAtPlace(of other: Ending) -> Bool { server == other.server && instance == other.instance }
}

/// How far a frontend was with what it told its clients when a judgement began.
struct Fence: Hashable, Sendable {
    let instance: InstanceID
    let tick: UInt64

    /// Of a server without channels, which tells nobody.
    static let nobody = Fence(instance: InstanceID(""), tick: 0)
}

/// What this frontend has told its clients last of who came to a channel and who is gone from it.
///
/// A word that somebody is gone counts only while no newer word about the user has passed: it names the tick at which
/// its judgement began. One who has come is told gone once until the next coming; where comings are not told, each
/// ending once, and so that of a membership whose own coming was not told though lists may have it, or which was lost
/// with another server than the one before.
struct PresenceLog {
    private struct Entry {
        var tick: UInt64
        /// Nil when the last word was that the user came.
        var ending: Ending?
        /// A coming was told once, so the next one will be told too.
        var tellsComings: Bool
        /// The last membership here when the user came.
        var number: UInt64

        func isFollowed(by new: Ending, began: UInt64) -> Bool {
            guard let ending else { return tick <= began }
            if new.isCovered(by: ending) { return false }
            return !tellsComings || new.isUntold || new.number == nil && !new.isAtPlace(of: ending)
        }
    }

    private struct Key: Hashable {
        let channel: ChannelName
        let uid: UserID
    }

    /// Users in channels that something is remembered of; the longest unmentioned are forgotten first.
    static let limit = 65_536

    /// The latest word's number.
    private(set) var tick: UInt64 = 0
    /// Words up to this one may be forgotten.
    private var floor: UInt64 = 0
    private var last: [Key: Entry] = [:]
    private var order: [(tick: UInt64, key: Key)] = []
    private var oldest = 0

    /// Whether a judgement that began then can still be checked.
    func reaches(_ tick: UInt64) -> Bool { tick >= floor }

    /// Notes that a user came when `number` was the last membership here.
    ///
    /// Returns whether the word before was that it is gone.
    @discardableResult mutating func noteComing(_ channel: ChannelName, _ uid: UserID, _ number: UInt64) -> Bool {
        let followsGone = isGone(channel, uid)
        note(Key(channel: channel, uid: uid), nil, number)
        return followsGone
    }

    /// Whether the last word about a user is that it came, with this membership here or a later one.
    func hasToldComing(_ channel: ChannelName, _ uid: UserID, _ number: UInt64) -> Bool {
        last[Key(channel: channel, uid: uid)].map { $0.ending == nil && $0.number >= number } ?? false
    }

    /// Notes that a user is gone, judged at `began`; false when that is old, or told already.
    mutating func gone(_ channel: ChannelName, _ uid: UserID, _ ending: Ending, began: UInt64) -> Bool {
        let key = Key(channel: channel, uid: uid)
        if let entry = last[key], !entry.isFollowed(by: ending, began: began) { return false }
        note(key, ending, 0)
        return true
    }

    /// Words about some channels, or all, may have been missed: who was told gone may have come since.
    mutating func hasGap(in channels: Set<ChannelName>?) {
        for (key, entry) in last where entry.ending != nil && entry.tellsComings {
            if channels?.contains(key.channel) ?? true { last[key]?.tellsComings = false }
        }
    }

    /// Whether a word that a user has come has passed since a judgement began.
    func hasCome(_ channel: ChannelName, _ uid: UserID, since began: UInt64) -> Bool {
        last[Key(channel: channel, uid: uid)].map { $0.ending == nil && $0.tick > began } ?? false
    }

    /// Whether the last word about a user is that it is gone.
    func isGone(_ channel: ChannelName, _ uid: UserID) -> Bool {
        last[Key(channel: channel, uid: uid)]?.ending != nil
    }

    /// Users told gone with a start of a server, and not back since; at most so many.
    func gone(with server: ServerID, _ instance: InstanceID, limit: Int) -> [(channel: ChannelName, uid: UserID)] {
        let all = last.lazy.filter { $0.value.ending?.server == server && $0.value.ending?.instance == instance }
        return all.prefix(limit).map { ($0.key.channel, $0.key.uid) }
    }

    private mutating func note(_ key: Key, _ ending: Ending?, _ number: UInt64) {
        tick += 1
        let tellsComings = ending == nil || last[key]?.tellsComings ?? false
        last[key] = Entry(tick: tick, ending: ending, tellsComings: tellsComings, number: number)
        order.append((tick, key))
        while last.count > Self.limit || order.count - oldest > 2 * Self.limit { forgetOldest() }
    }

    private mutating func forgetOldest() {
        let (tick, key) = order[oldest]
        oldest += 1
        if last[key]?.tick == tick {
            last[key] = nil
            floor = tick
        }
        if oldest > Self.limit {
            order.removeFirst(oldest)
            oldest = 0
        }
    }
}
