// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop

/// The users of one frontend that are in channels of this process, and how the end of their sessions is heard of.
///
/// The own frontend's sessions are observed. Another one is asked about each user; it answers who has no session, and
/// tells later when a last session has ended. Each `join` asks anew under a greater number, and an answer counts only
/// while its number is the latest: a late word about an old session cannot end a new membership.
@Loop final class WatchedMembers {
    private struct Entry {
        var channels: Set<ChannelName> = []
        var generation: UInt64 = 0
    }

    /// The start of the frontend that was in the view; nil while it was in none.
    var instance: InstanceID?
    /// A user has no session there; asked for each channel it is in.
    private let ended: @Loop (UserID, ChannelName) -> Void
    private let notifier: WatchNotifier?
    private var users: [UserID: Entry] = [:]

    /// Without a notifier for the own frontend.
    init(_ notifier: WatchNotifier?, ended: @escaping @Loop (UserID, ChannelName) -> Void) {
        self.notifier = notifier
        self.ended = ended
        notifier?.delivered = { [weak self] asked, reply in self?.answered(asked, reply) }
        notifier?.gaveUp = { [weak self] in self?.endAll() }
    }

    var isEmpty: Bool { users.isEmpty }

    func join(_ uid: UserID, _ channel: ChannelName, generation: UInt64) {
        users[uid, default: Entry()].channels.insert(channel)
        users[uid]?.generation = generation
        notifier?.send(uid, generation)
    }

    func leave(_ uid: UserID, _ channel: ChannelName) {
        users[uid]?.channels.remove(channel)
        if users[uid]?.channels.isEmpty == true { users[uid] = nil }
    }

    /// Asks about a user again.
    func ask(_ uid: UserID) {
        if let entry = users[uid] { notifier?.send(uid, entry.generation) }
    }

    /// Asks about all users again, whose frontend may have forgotten that it was asked.
    func askAll() {
        for uid in users.keys { ask(uid) }
    }

    /// A user's last session there has ended; `generation` is that of the question, nil when it is certain.
    func end(_ uid: UserID, generation: UInt64? = nil) {
        guard let entry = users[uid], generation ?? entry.generation == entry.generation else { return }
        for channel in entry.channels { ended(uid, channel) }
    }

    /// The frontend is gone.
    func endAll() {
        for uid in Array(users.keys) { end(uid) }
    }

    func stop() { notifier?.stop() }

    private func answered(_ asked: [UserID: UInt64], _ reply: Bytes) {
        var reader = PayloadReader(reply)
        do {
            for uid in try reader.texts().map({ UserID($0) }) { end(uid, generation: asked[uid] ?? 0) }
        } catch {
            // Not an answer: the next sweep asks again.
        }
    }
}
