// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop

/// One channel's part at the frontend that owns the sockets: the truth about its members here.
///
/// Sessions lie in one array, so a push walks memory instead of looking users up.
@Loop final class OwnedChannel {
    /// Sessions served before their bytes leave and other work gets its turn: as many as leave in one turn.
    ///
    /// Their memory is still in the processor's cache when it is needed again.
    static let sliceLength = 256

    /// How a user is a member: with all sessions, or with some devices only.
    private struct Member {
        var whole = false
        var devices: Set<SessionID> = []
        var isEmpty: Bool { !whole && devices.isEmpty }
    }

    let name: ChannelName
    private var members: [UserID: Member] = [:]
    private var sessions: [ClientSession] = []
    private var positions: [SessionID: Int] = [:]
    private var pushes: [SlicedPush] = []

    init(_ name: ChannelName) { self.name = name }

    var isEmpty: Bool { members.isEmpty }
    var count: Int { members.count }
    var uids: some Collection<UserID> { members.keys }

    func contains(_ uid: UserID) -> Bool { members[uid] != nil }

    /// Makes a user a member with all sessions, present and future; false when it was one.
    func add(_ uid: UserID, _ userSessions: [ClientSession]) -> Bool {
        let isNew = members[uid] == nil
        members[uid, default: Member()].whole = true
        for session in userSessions { include(session) }
        return isNew
    }

    /// Makes one session a member; false when its user was one by other sessions already.
    func add(device session: ClientSession, of uid: UserID) -> Bool {
        let isNew = members[uid] == nil
        members[uid, default: Member()].devices.insert(session.id)
        include(session)
        return isNew
    }

    /// Ends a user's membership; false when there was none.
    func remove(_ uid: UserID, _ userSessions: [ClientSession]) -> Bool {
        guard members.removeValue(forKey: uid) != nil else { return false }
        for session in userSessions { exclude(session) }
        return true
    }

    /// Ends one session's membership by device; returns whether its user is no member any more.
    func remove(device session: ClientSession, of uid: UserID) -> Bool {
        guard var member = members[uid], member.devices.remove(session.id) != nil else { return false }
        if !member.whole { exclude(session) }
        members[uid] = member.isEmpty ? nil : member
        return member.isEmpty
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
        members[uid] = member.isEmpty ? nil : member
        return member.isEmpty
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
    func push(
        _ message: PushMessage, except: Set<UserID> = [], done: @escaping @Loop @Sendable (PushReport) -> Void
    ) {
        pushes.append(SlicedPush(message, sessions, except, done))
        if pushes.count == 1 { runSlice() }
    }

    private func runSlice() {
        guard let first = pushes.first else { return }
        if first.runSlice() { pushes.removeFirst() }
        if !pushes.isEmpty { EventLoop.shared.flushList.append(self) }
    }
}

extension OwnedChannel: Flushable {
    /// What the slice before has written is on its way: the next slice.
    func flushTurn() { runSlice() }
}

/// A push on its way through a snapshot of the sessions.
@Loop private final class SlicedPush {
    private let message: PushMessage
    private let sessions: [ClientSession]
    private let except: Set<UserID>
    private let done: @Loop @Sendable (PushReport) -> Void
    private var next = 0
    private var report = PushReport()

    init(
        _ message: PushMessage, _ sessions: [ClientSession], _ except: Set<UserID>,
        _ done: @escaping @Loop @Sendable (PushReport) -> Void
    ) {
        self.message = message
        self.sessions = sessions
        self.except = except
        self.done = done
    }

    /// Serves the next sessions; true when it was the last slice.
    func runSlice() -> Bool {
        let end = min(sessions.count, next + OwnedChannel.sliceLength)
        let slice = sessions[next..<end]
        next = end
        for session in slice where session.isOpen {
            if !except.isEmpty, let uid = session.uid, except.contains(uid) { continue }
            if session.send(message) { report.queued += 1 } else { report.slow += 1 }
        }
        guard next == sessions.count else { return false }
        done(report)
        return true
    }
}
