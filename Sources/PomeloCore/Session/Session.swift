// SPDX-License-Identifier: MIT
public import PomeloLoop
public import PomeloWire

/// What a handler sees of its client's session: a copy, made per request; the truth stays at the frontend.
///
/// `set` changes the copy; `push` and `pushAll` write it back, the last writer of a key wins. `bind`, `unbind` and
/// `kick` act on the session itself, wherever the handler runs.
@Loop public final class Session {
    /// The session's id at its frontend.
    public let id: SessionID
    /// The server that holds the connection.
    public let frontend: ServerID
    /// The user when the copy was made, then as `bind` and `unbind` of this copy left it.
    public private(set) var uid: UserID?
    /// All settings of the copy.
    public private(set) var settings: JSONObject
    private let keeper: any SessionKeeper

    init(id: SessionID, frontend: ServerID, uid: UserID?, settings: JSONObject, keeper: any SessionKeeper) {
        self.id = id
        self.frontend = frontend
        self.uid = uid
        self.settings = settings
        self.keeper = keeper
    }

    /// A setting of the copy.
    public func get(_ key: String) -> JSON? { settings[key] }
    /// Changes the copy.
    public func set(_ key: String, _ value: JSON) { settings[key] = value }

    /// Binds the session to a user.
    ///
    /// - Throws: as `SessionService.bind`; `PomeloError` `.unreachable` when the frontend does not answer.
    public func bind(_ uid: UserID) async throws {
        try await keeper.bind(self, uid)
        self.uid = uid
    }

    /// Takes the session's user away.
    ///
    /// - Throws: as `SessionService.unbind`; `PomeloError` `.unreachable` when the frontend does not answer.
    public func unbind() async throws {
        guard let uid else { throw PomeloError(.binding, "session \(id) is not bound") }
        try await keeper.unbind(self, uid)
        self.uid = nil
    }

    /// Writes one setting back to the frontend.
    public func push(_ key: String) async throws {
        try await keeper.push(self, [key: settings[key] ?? .null])
    }

    /// Writes all settings back to the frontend.
    public func pushAll() async throws { try await keeper.push(self, settings) }

    /// Closes the session after telling the client why; one that has closed already is ignored.
    public func kick(_ reason: String = "kick") async throws { try await keeper.kick(self, reason) }
}

/// Carries a session copy's actions to where the session lives.
@Loop protocol SessionKeeper: AnyObject {
    func bind(_ session: Session, _ uid: UserID) async throws
    func unbind(_ session: Session, _ uid: UserID) async throws
    func push(_ session: Session, _ settings: JSONObject) async throws
    func kick(_ session: Session, _ reason: String) async throws
}
