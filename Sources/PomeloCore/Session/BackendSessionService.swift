// SPDX-License-Identifier: MIT
public import PomeloLoop
public import PomeloWire

/// Sessions of any server's clients: found and acted on at the frontend that holds them, the own one without a call.
///
/// Every method throws `PomeloError` `.unknownServer` for a server that is not in the view, `.notAFrontend` for one
/// without clients, and `.unreachable` when the frontend does not answer within `Limits.sessionCall`.
///
/// - Source: pomelo 2.2.7, lib/common/service/backendSessionService.js.
@Loop public final class BackendSessionService {
    private unowned let application: Application

    init(_ application: Application) { self.application = application }

    // MARK: finding

    /// A copy of one session, or nil when the frontend has none of that id.
    public func get(_ frontend: ServerID, _ id: SessionID) async throws -> Session? {
        if let own = try own(frontend) { return own.get(id).map(application.sessionCopy) }
        var payload = PayloadWriter()
        payload.number(id.rawValue)
        return try await fetch(frontend, "session.get", payload).first
    }

    /// Copies of a user's sessions at one frontend, oldest first.
    public func get(_ frontend: ServerID, byUid uid: UserID) async throws -> [Session] {
        if let own = try own(frontend) { return own.get(byUid: uid).map(application.sessionCopy) }
        var payload = PayloadWriter()
        payload.text(uid.rawValue)
        return try await fetch(frontend, "session.getByUid", payload)
    }

    // MARK: acting

    /// Closes a session after telling its client why; false when it has closed already.
    ///
    /// - Throws: also `PomeloError` `.encoding` for a reason that no package holds; then nothing is closed.
    @discardableResult
    public func kick(_ frontend: ServerID, _ id: SessionID, reason: String = "kick") async throws -> Bool {
        try check(reason)
        if let own = try own(frontend) { return own.kick(id, reason: reason) }
        var payload = PayloadWriter()
        payload.number(id.rawValue)
        payload.text(reason)
        return try await call(frontend, "session.kick", payload).first == 1
    }

    /// Closes a user's sessions at one frontend after telling the clients why; returns how many there were.
    ///
    /// - Throws: also `PomeloError` `.encoding` for a reason that no package holds; then nothing is closed.
    @discardableResult
    public func kick(_ frontend: ServerID, byUid uid: UserID, reason: String = "kick") async throws -> Int {
        try check(reason)
        if let own = try own(frontend) { return own.kick(uid, reason: reason) }
        var payload = PayloadWriter()
        payload.text(uid.rawValue)
        payload.text(reason)
        var reply = PayloadReader(try await call(frontend, "session.kickByUid", payload))
        return try reply.count()
    }

    /// Binds a session to a user.
    ///
    /// - Throws: also as `SessionService.bind`.
    public func bind(_ frontend: ServerID, _ id: SessionID, _ uid: UserID) async throws {
        if let own = try own(frontend) { return try await own.bind(id, uid) }
        _ = try await call(frontend, "session.bind", named(id, uid))
    }

    /// Takes a session's user away.
    ///
    /// - Throws: also as `SessionService.unbind`.
    public func unbind(_ frontend: ServerID, _ id: SessionID, _ uid: UserID) async throws {
        if let own = try own(frontend) { return try own.unbind(id, uid) }
        _ = try await call(frontend, "session.unbind", named(id, uid))
    }

    /// Merges settings into a session, and removes others from it; the last writer of a key wins.
    ///
    /// - Throws: also `PomeloError` `.noSession`.
    public func push(
        _ frontend: ServerID, _ id: SessionID, _ settings: JSONObject, removing removed: [String] = []
    ) async throws {
        if let own = try own(frontend) { return try own.push(id, settings, removing: removed) }
        var payload = PayloadWriter()
        payload.number(id.rawValue)
        payload.texts(removed)
        payload.rest(JSON.object(settings).encoded())
        _ = try await call(frontend, "session.push", payload)
    }

    // MARK: transport

    /// The sessions of this server when it is the one that is meant.
    private func own(_ frontend: ServerID) throws -> SessionService? {
        let isOwn = frontend == application.serverID
        guard let record = isOwn ? application.record : application.servers[frontend]?.record else {
            throw PomeloError(.unknownServer, "\(frontend) is not in the cluster")
        }
        guard record.isFrontend else { throw PomeloError(.notAFrontend, "\(frontend) has no clients") }
        return isOwn ? application.sessionService : nil
    }

    private func check(_ reason: String) throws {
        do {
            _ = try Packet.kick(reason: reason)
        } catch {
            throw PomeloError(.encoding, "cannot frame a reason of \(reason.utf8.count) bytes: \(error)", cause: error)
        }
    }

    private func named(_ id: SessionID, _ uid: UserID) -> PayloadWriter {
        var payload = PayloadWriter()
        payload.number(id.rawValue)
        payload.text(uid.rawValue)
        return payload
    }

    private func call(_ frontend: ServerID, _ name: String, _ payload: PayloadWriter) async throws -> Bytes {
        do {
            return try await application.rpc.system(
                frontend, name, payload.bytes, within: application.limits.sessionCall)
        } catch .failed(_, let message) {
            throw PomeloError.told(message, otherwise: .noSession)
        } catch {
            throw PomeloError(.unreachable, "\(frontend) did not answer \(name)", cause: error)
        }
    }

    private func fetch(_ frontend: ServerID, _ name: String, _ payload: PayloadWriter) async throws -> [Session] {
        var reader = PayloadReader(try await call(frontend, name, payload))
        return try (0..<reader.count()).map { _ in
            let id = SessionID(try reader.number())
            let uid = try reader.text()
            return Session(
                id: id, frontend: frontend, uid: uid.isEmpty ? nil : UserID(uid),
                settings: try JSON.parse(try reader.data()).object ?? JSONObject(), keeper: self)
        }
    }
}
