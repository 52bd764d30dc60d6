// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloJSON
public import PomeloLoop

/// The sessions of this frontend.
///
/// - Source: pomelo 2.2.7, lib/common/service/sessionService.js; a user id is compared as text and never empty.
@Loop public final class SessionService {
    /// Raised for the application: after the observers, with the user id still readable.
    public enum Event {
        case bound(ClientSession)
        case unbound(ClientSession, UserID)
        case closed(ClientSession, SessionEnd)
    }

    /// Who may bind a user id that another session of this frontend has; across frontends a `BindAuthority` decides.
    public enum SingleSession: Sendable, Equatable {
        /// Anybody: a user has any number of sessions.
        case allow
        /// Nobody: the older session stays, and `bind` throws.
        case refuse
        /// The new one: the older session is told the reason and closed first.
        case kickOld(reason: String = "bound elsewhere")
    }

    private var sessions: [SessionID: ClientSession] = [:]
    private var byUser: [UserID: [ClientSession]] = [:]
    private var observers: [any SessionObserver] = []
    private var listeners: [@Loop (Event) -> Void] = []
    private var lastID: UInt64
    private let clock: any LoopClock
    /// Asked before every binding, when set.
    public var authority: (any BindAuthority)?
    /// What happens when a user binds a second session here.
    public var singleSession = SingleSession.allow
    /// Connections that were refused, since the start.
    public internal(set) var refused = 0

    /// Ids begin at a random number, so that no session of another start has one of them; 2^52 numbers are left to
    /// count in, and all can be written as a JavaScript number.
    init(_ clock: any LoopClock, _ random: RandomSource) {
        self.clock = clock
        lastID = random.next() >> 12
    }

    /// Sessions that are open.
    public var count: Int { sessions.count }
    /// Open sessions, in no particular order.
    public var all: some Collection<ClientSession> { sessions.values }
    /// Open sessions that are bound to a user, in no particular order.
    public var bound: some Collection<ClientSession> { byUser.values.joined() }
    /// Users with at least one session here.
    public var users: some Collection<UserID> { byUser.keys }

    /// An open session.
    public func get(_ id: SessionID) -> ClientSession? { sessions[id] }
    /// A user's open sessions here, oldest first.
    public func get(byUid uid: UserID) -> [ClientSession] { byUser[uid] ?? [] }

    /// Follows bindings; for the life of the service.
    public func addObserver(_ observer: any SessionObserver) { observers.append(observer) }
    /// Follows events; for the life of the service.
    public func on(_ listener: @escaping @Loop (Event) -> Void) { listeners.append(listener) }

    // MARK: life

    /// Lets go of whoever follows it, for they hold it: after the last event.
    func retire() {
        observers = []
        listeners = []
        authority = nil
    }

    func open(_ socket: any ClientSocket) -> ClientSession {
        lastID += 1
        let session = ClientSession(id: SessionID(lastID), socket: socket)
        sessions[session.id] = session
        return session
    }

    /// Ends a session: out of the maps, memberships ended, then its events; a second call is ignored.
    func close(_ session: ClientSession, _ reason: SessionEnd) {
        guard session.isOpen else { return }
        session.ending = reason
        sessions[session.id] = nil
        if let uid = session.uid {
            drop(session, of: uid)
            authority?.release(uid, for: session)
        }
        let waiting = session.closeListeners
        session.closeListeners = []
        for listener in waiting { listener(session, reason) }
        raise(.closed(session, reason))
    }

    // MARK: binding

    /// Binds a session to a user; binding it again to the same user changes nothing.
    ///
    /// - Guarantee: with `kickOld` the older sessions' `closed` events come before this one is bound; they are closed
    ///   also when the authority refuses afterwards.
    /// - Throws: `PomeloError` `.noSession`; `.binding` when it is bound to another user or the id is empty, when
    ///   `singleSession` or the authority refuses; what else the authority throws.
    public func bind(_ id: SessionID, _ uid: UserID) async throws {
        guard let session = sessions[id] else { throw Self.noSession(id) }
        if session.uid == uid { return }
        guard !uid.rawValue.isEmpty else { throw PomeloError(.binding, "a user id must not be empty") }
        if let bound = session.uid {
            throw PomeloError(.binding, "session \(id) is bound to \(bound)")
        }
        guard !session.binding else { throw PomeloError(.binding, "session \(id) is being bound") }
        try makeRoom(for: session, uid)
        if let authority { try await claim(uid, for: session, authority) }
        session.uid = uid
        session.boundAt = clock.wallMilliseconds
        byUser[uid, default: []].append(session)
        for observer in observers { observer.bound(session, to: uid) }
        raise(.bound(session))
    }

    private func claim(_ uid: UserID, for session: ClientSession, _ authority: any BindAuthority) async throws {
        session.binding = true
        defer { session.binding = false }
        // REENTRANCY: `binding` keeps other binds of this session out; whether it closed, or another one was bound to
        // the same user meanwhile, is looked at again.
        try await authority.claim(uid, for: session)
        do {
            try makeRoom(for: session, uid)
        } catch {
            authority.release(uid, for: session)
            throw error
        }
    }

    /// Applies `singleSession`; listeners of kicked sessions may close the new one too.
    private func makeRoom(for session: ClientSession, _ uid: UserID) throws {
        switch singleSession {
        case .allow: break
        case .refuse where get(byUid: uid).isEmpty: break
        case .refuse: throw PomeloError(.binding, "\(uid.rawValue.forLog) has a session here already")
        case .kickOld(let reason): kick(uid, reason: reason)
        }
        guard session.isOpen else { throw Self.noSession(session.id) }
    }

    /// Takes a session's user away.
    ///
    /// - Throws: `PomeloError` `.noSession`, or `.binding` when it is not bound to this user.
    public func unbind(_ id: SessionID, _ uid: UserID) throws {
        guard let session = sessions[id] else { throw Self.noSession(id) }
        guard session.uid == uid else {
            throw PomeloError(.binding, "session \(id) is not bound to \(uid.rawValue.forLog)")
        }
        drop(session, of: uid)
        session.uid = nil
        session.boundAt = nil
        authority?.release(uid, for: session)
        raise(.unbound(session, uid))
    }

    private func drop(_ session: ClientSession, of uid: UserID) {
        let rest = (byUser[uid] ?? []).filter { $0 !== session }
        byUser[uid] = rest.isEmpty ? nil : rest
        for observer in observers { observer.unbound(session, from: uid, last: rest.isEmpty) }
    }

    // MARK: settings and kicks

    /// Merges settings into a session, and removes others from it.
    ///
    /// - Throws: `PomeloError` `.noSession`.
    public func push(_ id: SessionID, _ settings: JSONObject, removing removed: [String] = []) throws {
        guard let session = sessions[id] else { throw Self.noSession(id) }
        for (key, value) in settings { session.set(key, value) }
        for key in removed { session.remove(key) }
    }

    /// Closes a user's sessions here after telling the client why; returns how many there were.
    ///
    /// A reason that no package holds is logged, and the client not told.
    @discardableResult
    public func kick(_ uid: UserID, reason: String = "kick") -> Int {
        let sessions = get(byUid: uid)
        for session in sessions { kick(session, reason) }
        return sessions.count
    }

    /// Closes one session; false when there is none.
    @discardableResult
    public func kick(_ id: SessionID, reason: String = "kick") -> Bool {
        guard let session = sessions[id] else { return false }
        kick(session, reason)
        return true
    }

    private func kick(_ session: ClientSession, _ reason: String) {
        close(session, .kicked(reason))
        session.socket.close(kick: reason)
    }

    private func raise(_ event: Event) {
        for listener in listeners { listener(event) }
    }

    static func noSession(_ id: SessionID) -> PomeloError {
        PomeloError(.noSession, "there is no session \(id)")
    }
}
