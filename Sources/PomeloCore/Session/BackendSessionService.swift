// SPDX-License-Identifier: MIT
public import PomeloLoop
import PomeloWire

/// Sessions of other servers' clients: found and acted on at the frontend that holds them.
///
/// - Source: pomelo 2.2.7, lib/common/service/backendSessionService.js.
@Loop public final class BackendSessionService: SessionKeeper {
    private unowned let application: Application

    init(_ application: Application) { self.application = application }

    /// A copy of one session, or nil when the frontend has none of that id.
    ///
    /// - Throws: `PomeloError` `.unreachable` when the frontend does not answer.
    public func get(_ frontend: ServerID, _ id: SessionID) async throws -> Session? {
        var payload = PayloadWriter()
        payload.number(id.rawValue)
        return try await fetch(frontend, "session.get", payload).first
    }

    /// Copies of a user's sessions at one frontend.
    ///
    /// - Throws: `PomeloError` `.unreachable` when the frontend does not answer.
    public func get(_ frontend: ServerID, byUid uid: UserID) async throws -> [Session] {
        var payload = PayloadWriter()
        payload.text(uid.rawValue)
        return try await fetch(frontend, "session.getByUid", payload)
    }

    /// Closes a session at its frontend; false when it has closed already.
    @discardableResult
    public func kick(_ frontend: ServerID, _ id: SessionID, reason: String = "kick") async throws -> Bool {
        var payload = PayloadWriter()
        payload.number(id.rawValue)
        payload.text(reason)
        return try await call(frontend, "session.kick", payload).first == 1
    }

    /// Closes a user's sessions at one frontend.
    public func kick(_ frontend: ServerID, byUid uid: UserID, reason: String = "kick") async throws {
        var payload = PayloadWriter()
        payload.text(uid.rawValue)
        payload.text(reason)
        _ = try await call(frontend, "session.kickByUid", payload)
    }

    // MARK: SessionKeeper

    func bind(_ session: Session, _ uid: UserID) async throws {
        if session.frontend == application.serverID {
            return try await application.sessionService.bind(session.id, uid)
        }
        _ = try await call(session.frontend, "session.bind", named(session.id, uid))
    }

    func unbind(_ session: Session, _ uid: UserID) async throws {
        if session.frontend == application.serverID {
            return try application.sessionService.unbind(session.id, uid)
        }
        _ = try await call(session.frontend, "session.unbind", named(session.id, uid))
    }

    func push(_ session: Session, _ settings: JSONObject) async throws {
        if session.frontend == application.serverID {
            return try application.sessionService.push(session.id, settings)
        }
        var payload = PayloadWriter()
        payload.number(session.id.rawValue)
        payload.rest(JSON.object(settings).encoded())
        _ = try await call(session.frontend, "session.push", payload)
    }

    func kick(_ session: Session, _ reason: String) async throws {
        try await kick(session.frontend, session.id, reason: reason)
    }

    // MARK: transport

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

/// What a frontend answers to `BackendSessionService`.
@Loop struct SessionProcedures {
    let sessions: SessionService

    func register(in table: ProcedureTable) {
        table.suspending("sys/session.bind") { _, payload in
            var reader = PayloadReader(payload)
            let id = SessionID(try reader.number())
            try await sessions.bind(id, UserID(try reader.text()))
            return []
        }
        table.immediate("sys/session.unbind") { _, payload in
            var reader = PayloadReader(payload)
            let id = SessionID(try reader.number())
            try sessions.unbind(id, UserID(try reader.text()))
            return []
        }
        table.immediate("sys/session.push") { _, payload in
            var reader = PayloadReader(payload)
            let id = SessionID(try reader.number())
            try sessions.push(id, try JSON.parse(try reader.rest()).object ?? JSONObject())
            return []
        }
        table.immediate("sys/session.kick") { _, payload in
            var reader = PayloadReader(payload)
            let id = SessionID(try reader.number())
            return [sessions.kick(id, reason: try reader.text()) ? 1 : 0]
        }
        table.immediate("sys/session.kickByUid") { _, payload in
            var reader = PayloadReader(payload)
            let uid = UserID(try reader.text())
            sessions.kick(uid, reason: try reader.text())
            return []
        }
        table.immediate("sys/session.get") { _, payload in
            var reader = PayloadReader(payload)
            return export([sessions.get(SessionID(try reader.number()))].compactMap { $0 })
        }
        table.immediate("sys/session.getByUid") { _, payload in
            var reader = PayloadReader(payload)
            return export(sessions.get(byUid: UserID(try reader.text())))
        }
    }

    private func export(_ sessions: [ClientSession]) -> Bytes {
        var payload = PayloadWriter()
        payload.count(sessions.count)
        for session in sessions {
            payload.number(session.id.rawValue)
            payload.text(session.uid?.rawValue ?? "")
            payload.data(JSON.object(session.settings).encoded())
        }
        return payload.bytes
    }
}
