// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop

/// One channel's part at the frontend that owns the sockets: the truth about its members here.
///
/// Sessions lie in one array, so a push walks memory instead of looking users up.
@Loop final class OwnedChannel {
    /// How a user is a member: with all sessions, or with some devices only.
    private struct Member {
        /// Of this membership; another one of the same user has another.
        let number: UInt64
        var whole = false
        var devices: Set<SessionID> = []
        var isEmpty: Bool { !whole && devices.isEmpty }
    }

    let name: ChannelName
    private var members: [UserID: Member] = [:]
    /// The last membership that a list may have shown to somebody.
    private var listed: UInt64 = 0
    private var roll = MemberRoll()
    private var sessions: [ClientSession] = []
    private var positions: [SessionID: Int] = [:]
    /// Pushes of this channel, one after the other.
    private let queue = DeliveryQueue()

    init(_ name: ChannelName) { self.name = name }

    var isEmpty: Bool { members.isEmpty }
    var count: Int { members.count }
    var uids: some Collection<UserID> { members.keys }
    /// Pushes that were refused because too much waited already.
    var refused: Int { queue.refused }

    func contains(_ uid: UserID) -> Bool { members[uid] != nil }
    /// The number of a user's membership.
    func number(of uid: UserID) -> UInt64? { members[uid]?.number }
    /// Whether somebody may have seen this membership in a list.
    func isListed(_ number: UInt64) -> Bool { number <= listed }
    /// Members in the order they came, behind a number.
    func page(after number: UInt64, length: Int) -> (uids: [UserID], next: UInt64?) {
        listed = roll.last
        return roll.page(after: number, length: length)
    }

    /// Makes a user a member with all sessions, present and future; false when it was one.
    func add(_ uid: UserID, _ userSessions: [ClientSession], number: UInt64) -> Bool {
        let isNew = enroll(uid, number)
        members[uid]?.whole = true
        for session in userSessions { include(session) }
        return isNew
    }

    /// Makes one session a member; false when its user was one by other sessions already.
    func add(device session: ClientSession, of uid: UserID, number: UInt64) -> Bool {
        let isNew = enroll(uid, number)
        members[uid]?.devices.insert(session.id)
        include(session)
        return isNew
    }

    /// Ends a user's membership; false when there was none.
    func remove(_ uid: UserID, _ userSessions: [ClientSession]) -> Bool {
        guard let member = members[uid] else { return false }
        strike(uid, member)
        for session in userSessions { exclude(session) }
        return true
    }

    /// Ends one session's membership by device; returns whether its user is no member any more.
    func remove(device session: ClientSession, of uid: UserID) -> Bool {
        guard var member = members[uid], member.devices.remove(session.id) != nil else { return false }
        if !member.whole { exclude(session) }
        return keep(uid, member)
    }

    /// A member's further session came.
    func sessionCame(_ session: ClientSession, of uid: UserID) {
        if members[uid]?.whole == true { include(session) }
    }

    /// A member's session went; memberships by it end.
    func sessionWent(_ session: ClientSession, of uid: UserID) -> Bool {
        exclude(session)
        guard var member = members[uid] else { return false }
        member.devices.remove(session.id)
        return keep(uid, member)
    }

    private func enroll(_ uid: UserID, _ number: UInt64) -> Bool {
        guard members[uid] == nil else { return false }
        members[uid] = Member(number: number)
        roll.add(uid, number: number)
        return true
    }

    /// Keeps what is left of a membership; true when nothing is.
    private func keep(_ uid: UserID, _ member: Member) -> Bool {
        if member.isEmpty { strike(uid, member) } else { members[uid] = member }
        return member.isEmpty
    }

    private func strike(_ uid: UserID, _ member: Member) {
        members[uid] = nil
        roll.remove(number: member.number)
    }

    private func include(_ session: ClientSession) {
        guard positions[session.id] == nil else { return }
        positions[session.id] = sessions.count
        sessions.append(session)
    }

    private func exclude(_ session: ClientSession) {
        guard let position = positions.removeValue(forKey: session.id) else { return }
        let last = sessions.removeLast()
        if position < sessions.count {
            sessions[position] = last
            positions[last.id] = position
        }
    }

    // MARK: push

    /// Enqueues a message for every member session; long lists go in slices, one push of a channel after the other.
    ///
    /// - Throws: `PomeloError` `.overloaded` when too much waits already.
    func push(
        _ message: PushMessage, except: Set<UserID> = [], done: @escaping @Loop @Sendable (PushReport) -> Void
    ) throws(PomeloError) {
        guard !except.isEmpty else { return try queue.push(message, to: sessions, done: done) }
        try queue.push(message, to: sessions, where: { $0.uid.map { !except.contains($0) } ?? true }, done: done)
    }
}
