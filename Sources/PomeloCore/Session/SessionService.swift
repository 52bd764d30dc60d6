// SPDX-License-Identifier: MIT
public import PomeloLoop
public import PomeloWire

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

    private var sessions: [SessionID: ClientSession] = [:]
    private var byUser: [UserID: [ClientSession]] = [:]
    private var observers: [any SessionObserver] = []
    private var listeners: [@Loop (Event) -> Void] = []
    private var lastID: UInt64 = 0
    /// Asked before every binding, when set.
    public var authority: (any BindAuthority)?

    init() {}

    /// Sessions that are open.
    public var count: Int { sessions.count }
    /// Open sessions, in no particular order.
    public var all: some Collection<ClientSession> { sessions.values }
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

    func open(_ socket: any ClientSocket) -> ClientSession {
        lastID += 1
        let session = ClientSession(id: SessionID(lastID), socket: socket)
        sessions[session.id] = session
        return session
    }

    /// Ends a session: out of the maps, memberships ended, then its events; a second call is ignored.
    func close(_ session: ClientSession, _ reason: SessionEnd) {
        guard session.end == nil else { return }
        session.end = reason
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
    /// - Throws: `PomeloError` `.noSession`; `.binding` when it is bound to another user or the id is empty or the
    ///   authority refuses; what else the authority throws.
    public func bind(_ id: SessionID, _ uid: UserID) async throws {
        guard let session = sessions[id] else { throw Self.noSession(id) }
        if session.uid == uid { return }
        guard !uid.rawValue.isEmpty else { throw PomeloError(.binding, "a user id must not be empty") }
        if let bound = session.uid {
            throw PomeloError(.binding, "session \(id) is bound to \(bound)")
        }
        guard !session.binding else { throw PomeloError(.binding, "session \(id) is being bound") }
        if let authority {
            session.binding = true
            defer { session.binding = false }
            // REENTRANCY: `binding` keeps other binds out; the session may close meanwhile, looked at below.
            try await authority.claim(uid, for: session)
            guard session.isOpen else {
                authority.release(uid, for: session)
                throw Self.noSession(id)
            }
        }
        session.uid = uid
        byUser[uid, default: []].append(session)
        for observer in observers { observer.bound(session, to: uid) }
        raise(.bound(session))
    }

    /// Takes a session's user away.
    ///
    /// - Throws: `PomeloError` `.noSession`, or `.binding` when it is not bound to this user.
    public func unbind(_ id: SessionID, _ uid: UserID) throws {
        guard let session = sessions[id] else { throw Self.noSession(id) }
        guard session.uid == uid else {
            throw PomeloError(.binding, "session \(id) is not bound to \(uid)")
        }
        drop(session, of: uid)
        session.uid = nil
        authority?.release(uid, for: session)
        raise(.unbound(session, uid))
    }

    private func drop(_ session: ClientSession, of uid: UserID) {
        let rest = (byUser[uid] ?? []).filter { $0 !== session }
        byUser[uid] = rest.isEmpty ? nil : rest
        for observer in observers { observer.unbound(session, from: uid, last: rest.isEmpty) }
    }

    // MARK: settings and kicks

    /// Merges settings into a session.
    ///
    /// - Throws: `PomeloError` `.noSession`.
    public func push(_ id: SessionID, _ settings: JSONObject) throws {
        guard let session = sessions[id] else { throw Self.noSession(id) }
        for (key, value) in settings { session.settings[key] = value }
    }

    /// Closes a user's sessions here after telling the client why; returns how many there were.
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
