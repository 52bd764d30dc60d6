// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloJSON
public import PomeloLoop

/// What a handler sees of its client's session: a copy, made per request; the truth stays at the frontend.
///
/// `set` and `remove` change the copy; `push` and `pushAll` write it back, the last writer of a key wins, and the next
/// request sees it. `bind`, `unbind` and `kick` act on the session itself, wherever the handler runs; all of these
/// throw `PomeloError` `.replaced` when its frontend has been started anew, but `kick`, for which it has closed.
///
/// - Source: pomelo 2.2.7, lib/common/service/sessionService.js and backendSessionService.js; `remove` is new.
@Loop public final class Session {
    /// The session's id at its frontend.
    public let id: SessionID
    /// The server that holds the connection.
    public let frontend: ServerID
    /// The start of that server: a later one has none of its sessions.
    public let instance: InstanceID
    /// The user when the copy was made, then as `bind` and `unbind` of this copy left it.
    public private(set) var uid: UserID?
    /// All settings of the copy.
    public var settings: JSONObject { changed ?? snapshot.object }
    private let snapshot: SettingsSnapshot
    /// The settings since this copy was changed.
    private var changed: JSONObject?
    private var removed: Set<Text> = []
    private let keeper: BackendSessionService

    init(
        id: SessionID, frontend: ServerID, instance: InstanceID, uid: UserID?, settings: SettingsSnapshot,
        keeper: BackendSessionService
    ) {
        self.id = id
        self.frontend = frontend
        self.instance = instance
        self.uid = uid
        snapshot = settings
        self.keeper = keeper
    }

    /// A setting of the copy.
    public func get(_ key: String) -> JSON? { settings[key] }

    /// Changes the copy.
    public func set(_ key: String, _ value: JSON) {
        change { $0[key] = value }
        removed.remove(Text(key))
    }

    /// Changes the copy, to a number, a truth value, a text or a name.
    @_disfavoredOverload
    public func set(_ key: String, _ value: some JSONValue) { set(key, value.json) }

    /// Removes a setting from the copy; `push` of its key and `pushAll` remove it at the frontend.
    public func remove(_ key: String) {
        change { $0[key] = nil }
        removed.insert(Text(key))
    }

    private func change(_ body: (inout JSONObject) -> Void) {
        var object = settings
        // So that the object is not copied for each change.
        changed = nil
        body(&object)
        changed = object
    }

    /// The settings as they travel: JSON, or nothing when there are none.
    var encodedSettings: Bytes { changed.map { SettingsSnapshot($0).bytes } ?? snapshot.bytes }

    /// Binds the session to a user.
    ///
    /// - Throws: as `SessionService.bind`; `PomeloError` `.unreachable` when the frontend does not answer.
    public func bind(_ uid: UserID) async throws {
        try await keeper.bind(frontend, id, uid, instance: instance)
        self.uid = uid
    }

    /// Takes the session's user away.
    ///
    /// - Throws: as `SessionService.unbind`; `PomeloError` `.unreachable` when the frontend does not answer.
    public func unbind() async throws {
        guard let uid else { throw PomeloError(.binding, "session \(id) is not bound") }
        try await keeper.unbind(frontend, id, uid, instance: instance)
        self.uid = nil
    }

    /// Writes one setting back to the frontend; one that the copy does not have is removed there.
    ///
    /// - Throws: `PomeloError` `.noSession`, or `.unreachable` when the frontend does not answer.
    public func push(_ key: String) async throws {
        if let value = settings[key] {
            try await keeper.push(frontend, id, [key: value], instance: instance)
        } else {
            try await keeper.push(frontend, id, [:], removing: [key], instance: instance)
        }
    }

    /// Writes all settings back to the frontend, and removes there what was removed from the copy.
    ///
    /// - Throws: `PomeloError` `.noSession`, or `.unreachable` when the frontend does not answer.
    public func pushAll() async throws {
        try await keeper.push(frontend, id, settings, removing: removed.sorted().map(\.string), instance: instance)
    }

    /// Closes the session after telling the client why; one that has closed already is ignored.
    ///
    /// - Throws: as `BackendSessionService.kick`.
    public func kick(_ reason: String = "kick") async throws {
        try await keeper.kick(frontend, id, reason: reason, instance: instance)
    }
}
