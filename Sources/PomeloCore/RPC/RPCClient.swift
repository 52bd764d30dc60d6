// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloJSON
public import PomeloLoop

/// Calls to other servers, typed or by name, routed or addressed.
@Loop public final class RPCClient {
    private let router: Router
    private let clock: any LoopClock
    private let transport: any RPCTransport
    /// How long a call may take when its caller does not say.
    public var defaultDeadline = Duration.seconds(5)
    let filters: RPCFilterChain

    init(_ router: Router, _ clock: any LoopClock, _ transport: any RPCTransport) {
        self.router = router
        self.clock = clock
        self.transport = transport
        filters = RPCFilterChain(clock)
    }

    /// Calls a typed procedure on one server; what answers `Nothing` needs no name for it.
    ///
    /// - Throws: `RPCError`, or `PomeloError` `.encoding` when the query or the reply does not fit its type; what a
    ///   filter throws.
    @discardableResult
    public func call<Query, Reply>(
        _ remote: Remote<Query, Reply>, _ query: Query, to server: ServerID, within deadline: Duration? = nil
    ) async throws -> Reply {
        try await call(remote, try encode(query, remote.route.text), server, nil, deadline)
    }

    private func call<Query, Reply>(
        _ remote: Remote<Query, Reply>, _ payload: Bytes, _ server: ServerID, _ session: Session?,
        _ deadline: Duration?
    ) async throws -> Reply {
        let reply = try await send(server, remote.route, payload, session, deadline ?? defaultDeadline)
        do {
            return try JSONCoder.decode(Reply.self, from: reply)
        } catch {
            throw PomeloError(.encoding, "the reply of \(remote.route) is not a \(Reply.self): \(error)", cause: error)
        }
    }

    /// Calls a typed procedure on the server that the route's type is routed to for this session.
    ///
    /// - Throws: as `call(_:_:to:within:)`; `RPCError.notSent` when no server of the type is up.
    @discardableResult
    public func call<Query, Reply>(
        _ remote: Remote<Query, Reply>, _ query: Query, for session: Session, within deadline: Duration? = nil
    ) async throws -> Reply {
        let payload = try encode(query, remote.route.text)
        let end = clock.deadline(after: deadline ?? defaultDeadline)
        let server = try await router.pick(
            remote.route, payload, for: session, within: deadline ?? defaultDeadline)
        return try await call(remote, payload, server, session, clock.left(until: end))
    }

    /// Calls a typed procedure on the server that a key chooses: where the sessions are that are routed by a setting
    /// with this value (`Application.route(_:by:)`), or by this user.
    ///
    /// For calls without a session: of a cron, a remote, an admin module. The key is a text, a number or a boolean, or
    /// an id.
    ///
    /// - Throws: as `call(_:_:to:within:)`; `RPCError.notSent` when no server of the type is up.
    @discardableResult
    public func call<Query, Reply>(
        _ remote: Remote<Query, Reply>, _ query: Query, by key: some JSONValue,
        within deadline: Duration? = nil
    ) async throws -> Reply {
        let server = try router.pick(remote.route.serverType, by: key)
        return try await call(remote, query, to: server, within: deadline)
    }

    /// Calls a typed procedure on every server of the route's type, at the same time; one outcome for each.
    ///
    /// Servers that do not answer are among them: their outcome says so. None when no server of the type is up.
    ///
    /// - Source: pomelo 2.2.7, `app.rpc.….toServer("*", …)`, which tells of one error alone.
    public func callAll<Query, Reply>(
        _ remote: Remote<Query, Reply>, _ query: Query, within deadline: Duration? = nil
    ) async throws -> [ServerID: Result<Reply, any Error>] {
        let payload = try encode(query, remote.route.text)
        let calls = router.all(remote.route.serverType).map { server in
            let end = FirstOutcome<Result<Reply, any Error>>()
            let task = Loop.spawn {
                do {
                    end.end(with: .success(try await self.call(remote, payload, server.id, nil, deadline)))
                } catch {
                    end.end(with: .failure(error))
                }
            }
            return (id: server.id, task: task, end: end)
        }
        let tasks = calls.map(\.task)
        return await withTaskCancellationHandler {
            var outcomes: [ServerID: Result<Reply, any Error>] = [:]
            for call in calls { outcomes[call.id] = await call.end.wait() }
            return outcomes
        } onCancel: {
            for task in tasks { task.cancel() }
        }
    }

    /// Calls a procedure by name with a JSON argument; the escape hatch beside typed calls.
    ///
    /// - Source: pomelo 2.2.7, `app.rpcInvoke`.
    @discardableResult
    public func invoke(
        _ server: ServerID, _ route: String, _ argument: JSON, within deadline: Duration? = nil
    ) async throws -> JSON {
        try JSON.parse(try await send(server, Route(route), argument.encoded(), nil, deadline ?? defaultDeadline))
    }

    private func send(
        _ server: ServerID, _ route: Route, _ payload: Bytes, _ session: Session?, _ deadline: Duration
    ) async throws -> Bytes {
        let remote = Procedure(remote: route.text)
        if filters.isEmpty { return try await system(server, remote, payload, within: deadline) }
        let request = RPCRequest(
            server, route, payload, for: session, began: clock.now, deadline: clock.deadline(after: deadline))
        return try await filters.run(request) { request, left in
            try await self.system(request.server, remote, request.payload, within: left)
        }
    }

    /// Calls a procedure of the framework, or of a service, with a payload of its own form.
    ///
    /// - Throws: also `.failed` of the text `replaced: …`, which `PomeloError(wire:)` reads, when another start of the
    ///   server answers than the procedure is for.
    public func system(
        _ server: ServerID, _ procedure: Procedure, _ payload: Bytes, within deadline: Duration? = nil
    ) async throws(RPCError) -> Bytes {
        do throws(RPCError) {
            return try await transport.call(server, procedure, payload, within: deadline ?? defaultDeadline)
        } catch .unimplemented {
            // What came back is a number, where the procedure has one.
            throw .unimplemented("\(router.inWords(server)) has no \(procedure.inWords)")
        } catch .failed(let code, let message) where procedure.number == 0 {
            throw .failed(code: code, message: "\(message) (at \(server))")
        }
    }

    private func encode(_ query: some Body, _ route: String) throws -> Bytes {
        do {
            return try JSONCoder.encode(query)
        } catch {
            throw PomeloError(.encoding, "cannot encode the argument of \(route): \(error)", cause: error)
        }
    }
}
