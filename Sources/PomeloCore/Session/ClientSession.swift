// SPDX-License-Identifier: MIT
public import PomeloJSON
public import PomeloLoop

/// A client's session at its frontend: the truth of which handlers see copies.
@Loop public final class ClientSession {
    /// Unique at this frontend, also over its starts.
    public let id: SessionID
    /// The client's connection.
    public let socket: any ClientSocket
    /// Set while bound.
    public internal(set) var uid: UserID?
    /// When it was bound, in milliseconds since 1970; nil while it is not.
    public internal(set) var boundAt: Int64?
    // These three lie in the last bytes of what is before them, for there are many sessions.
    var paused = false
    /// Guards the await between the claim of a user id and the local binding.
    public internal(set) var binding = false
    /// Requests that are not answered yet.
    var inFlight: Int32 = 0
    /// What the application keeps with the session.
    public private(set) var settings = JSONObject()
    /// The settings as copies see them; nil when none was made since they changed.
    private var shared: SettingsSnapshot?
    /// Where its requests go, one for each type of server that it has asked.
    var lanes: [ForwardLane] = []
    /// For types whose rule waits: the request last in line for it.
    var choosing: [ServerType: FirstOutcome<Void>] = [:]
    /// Set once, when it closes; each push asks for it, and what other modules cannot see is not looked at for overlap.
    var ending: SessionEnd?
    var bytesInFlight = 0
    var closeListeners: [@Loop (ClientSession, SessionEnd) -> Void] = []

    package init(id: SessionID, socket: any ClientSocket) {
        self.id = id
        self.socket = socket
    }

    /// Whether the session has not ended.
    public var isOpen: Bool { ending == nil }
    /// Why it has ended, or nil.
    public var end: SessionEnd? { ending }
    /// Where the client connects from.
    public var address: SocketAddress { socket.remoteAddress }

    /// A setting, or nil.
    public func get(_ key: String) -> JSON? { settings[key] }
    /// Changes a setting; copies made before keep what they have.
    public func set(_ key: String, _ value: JSON) {
        // First, so that the object is not copied for it.
        shared = nil
        settings[key] = value
    }
    /// Changes a setting, to a number, a truth value, a text or a name.
    @_disfavoredOverload
    public func set(_ key: String, _ value: some JSONValue) { set(key, value.json) }
    /// Removes a setting.
    public func remove(_ key: String) {
        shared = nil
        settings[key] = nil
    }

    var snapshot: SettingsSnapshot {
        if settings.isEmpty { return .none }
        if let shared { return shared }
        let snapshot = SettingsSnapshot(settings)
        shared = snapshot
        return snapshot
    }

    /// Sends a push, or gives it to its route's scheduler; false when the client cannot take it.
    @inline(__always)
    public func send(_ message: PushMessage) -> Bool {
        guard let scheduler = message.scheduler else { return socket.push(message) }
        return scheduler.schedule(message, to: self)
    }

    /// Calls back once when the session closes, or now if it has; the user id is still readable then.
    public func onClosed(_ listener: @escaping @Loop (ClientSession, SessionEnd) -> Void) {
        if let ending { return listener(self, ending) }
        closeListeners.append(listener)
    }
}

/// Follows bindings in the turn they change, before any event of the application is raised.
@Loop public protocol SessionObserver: AnyObject {
    /// A session got its user id.
    func bound(_ session: ClientSession, to uid: UserID)
    /// A session lost its user id, by `unbind` or because it closed; `last` when the user has no other session here.
    func unbound(_ session: ClientSession, from uid: UserID, last: Bool)
}

/// Decides cluster-wide who may hold a user id.
@Loop public protocol BindAuthority: AnyObject {
    /// Claims a user id for a session.
    ///
    /// - Throws: `PomeloError` `.binding` when another session holds it, `.redisUnavailable` when that is unknown.
    func claim(_ uid: UserID, for session: ClientSession) async throws
    /// Gives the claim back; takes effect in the background, and at the latest with this server's lease.
    func release(_ uid: UserID, for session: ClientSession)
}
