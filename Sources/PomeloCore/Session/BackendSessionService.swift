// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloJSON
public import PomeloLoop
import PomeloWire

/// Sessions of any server's clients: found and acted on at the frontend that holds them, the own one without a call.
///
/// Every method throws `PomeloError` `.unknownServer` for a server that is not in the view, `.notAFrontend` for one
/// without clients, and `.unreachable` when the frontend does not answer within `Limits.sessionCall`. Each call names
/// the start of the frontend that it is meant for, the one in the view when none is given; another one has none of its
/// sessions: `.replaced` is thrown, or nothing found.
///
/// - Source: pomelo 2.2.7, lib/common/service/backendSessionService.js.
@Loop public final class BackendSessionService {
    /// One start of a frontend.
    private enum Place {
        case here(SessionService)
        case there(ServerID, InstanceID)
    }

    private let context: ServiceContext

    init(_ context: ServiceContext) { self.context = context }

    /// A copy of one of this server's own sessions, as handlers, filters and listeners get it.
    func copy(of session: ClientSession) -> Session {
        Session(
            id: session.id, frontend: context.serverID, instance: context.instance, uid: session.uid,
            settings: session.snapshot, keeper: self)
    }

    // MARK: finding

    /// A copy of one session, or nil when the frontend has none of that id.
    public func get(_ frontend: ServerID, _ id: SessionID, instance: InstanceID? = nil) async throws -> Session? {
        var payload = PayloadWriter()
        payload.number(id.rawValue)
        return try await unlessReplaced(nil) {
            switch try place(frontend, instance) {
            case .here(let own): own.get(id).map(copy)
            case .there(let frontend, let instance):
                try await fetch(frontend, instance, .sessionGet, payload).first
            }
        }
    }

    /// Copies of a user's sessions at one frontend, oldest first.
    public func get(
        _ frontend: ServerID, byUid uid: UserID, instance: InstanceID? = nil
    ) async throws -> [Session] {
        var payload = PayloadWriter()
        payload.text(uid.rawValue)
        return try await unlessReplaced([]) {
            switch try place(frontend, instance) {
            case .here(let own): own.get(byUid: uid).map(copy)
            case .there(let frontend, let instance):
                try await fetch(frontend, instance, .sessionGetByUid, payload)
            }
        }
    }

    // MARK: acting

    /// Closes a session after telling its client why; false when it has closed already.
    ///
    /// - Throws: also `PomeloError` `.encoding` for a reason that no package holds; then nothing is closed.
    @discardableResult
    public func kick(
        _ frontend: ServerID, _ id: SessionID, reason: String = "kick", instance: InstanceID? = nil
    ) async throws -> Bool {
        try check(reason)
        var payload = PayloadWriter()
        payload.number(id.rawValue)
        payload.text(reason)
        return try await unlessReplaced(false) {
            switch try place(frontend, instance) {
            case .here(let own): own.kick(id, reason: reason)
            case .there(let frontend, let instance):
                try await call(frontend, instance, .sessionKick, payload).first == 1
            }
        }
    }

    /// Closes a user's sessions at one frontend after telling the clients why; returns how many there were.
    ///
    /// - Throws: also `PomeloError` `.encoding` for a reason that no package holds; then nothing is closed.
    @discardableResult
    public func kick(
        _ frontend: ServerID, byUid uid: UserID, reason: String = "kick", instance: InstanceID? = nil
    ) async throws -> Int {
        try check(reason)
        var payload = PayloadWriter()
        payload.text(uid.rawValue)
        payload.text(reason)
        return try await unlessReplaced(0) {
            switch try place(frontend, instance) {
            case .here(let own): return own.kick(uid, reason: reason)
            case .there(let frontend, let instance):
                var reply = PayloadReader(try await call(frontend, instance, .sessionKickByUid, payload))
                return try reply.count()
            }
        }
    }

    /// Binds a session to a user.
    ///
    /// - Throws: also as `SessionService.bind`.
    public func bind(
        _ frontend: ServerID, _ id: SessionID, _ uid: UserID, instance: InstanceID? = nil
    ) async throws {
        switch try place(frontend, instance) {
        case .here(let own): try await own.bind(id, uid)
        case .there(let frontend, let instance):
            _ = try await call(frontend, instance, .sessionBind, named(id, uid))
        }
    }

    /// Takes a session's user away.
    ///
    /// - Throws: also as `SessionService.unbind`.
    public func unbind(
        _ frontend: ServerID, _ id: SessionID, _ uid: UserID, instance: InstanceID? = nil
    ) async throws {
        switch try place(frontend, instance) {
        case .here(let own): try own.unbind(id, uid)
        case .there(let frontend, let instance):
            _ = try await call(frontend, instance, .sessionUnbind, named(id, uid))
        }
    }

    /// Merges settings into a session, and removes others from it; the last writer of a key wins.
    ///
    /// - Throws: also `PomeloError` `.noSession`.
    public func push(
        _ frontend: ServerID, _ id: SessionID, _ settings: JSONObject, removing removed: [String] = [],
        instance: InstanceID? = nil
    ) async throws {
        switch try place(frontend, instance) {
        case .here(let own): try own.push(id, settings, removing: removed)
        case .there(let frontend, let instance):
            var payload = PayloadWriter()
            payload.number(id.rawValue)
            payload.texts(removed)
            payload.rest(JSON.object(settings).encoded())
            _ = try await call(frontend, instance, .sessionPush, payload)
        }
    }

    // MARK: transport

    private func place(_ frontend: ServerID, _ instance: InstanceID?) throws -> Place {
        let known = frontend == context.serverID ? nil : context.servers[frontend]
        guard known != nil || frontend == context.serverID else {
            throw PomeloError(.unknownServer, "\(frontend) is not in the cluster")
        }
        guard known?.record.isFrontend ?? context.isFrontend else {
            throw PomeloError(.notAFrontend, "\(frontend) has no clients")
        }
        if let known { return .there(frontend, instance ?? known.instance) }
        guard instance ?? context.instance == context.instance else {
            throw PomeloError(.replaced, "\(frontend) has been started anew")
        }
        return .here(context.sessions)
    }

    /// What has ended with its server is not there.
    private func unlessReplaced<Value>(_ none: Value, _ body: @Loop () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch let error as PomeloError where error.code == .replaced {
            return none
        }
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

    private func call(
        _ frontend: ServerID, _ instance: InstanceID, _ procedure: Procedure, _ payload: PayloadWriter
    ) async throws -> Bytes {
        do {
            return try await context.rpc.system(
                frontend, procedure.at(instance), payload.bytes, within: context.limits.sessionCall)
        } catch .failed(_, let message) {
            throw PomeloError(wire: message, otherwise: .noSession, at: "\(frontend)")
        } catch {
            throw PomeloError(.unreachable, "\(frontend) did not answer \(procedure)", cause: error)
        }
    }

    private func fetch(
        _ frontend: ServerID, _ instance: InstanceID, _ procedure: Procedure, _ payload: PayloadWriter
    ) async throws -> [Session] {
        var reader = PayloadReader(try await call(frontend, instance, procedure, payload))
        let sessions = try reader.list { reader throws(PomeloError) in
            (SessionID(try reader.number()), try reader.text(), try reader.data())
        }
        return try sessions.map { id, uid, settings in
            Session(
                id: id, frontend: frontend, instance: instance, uid: uid.isEmpty ? nil : UserID(uid),
                settings: SettingsSnapshot(try JSON.parse(settings).object ?? JSONObject()), keeper: self)
        }
    }
}
