// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloJSON
import PomeloLoop

/// Requests of one server type's clients, handled by servers of another.
///
/// ```
/// call   session u64 | uid text | settings data (JSON) | request id u64 | route text | body to the end
/// reply  body | outcome u8: 0 a reply, 1 the reply of a fault, 2 an error that says nothing to clients
/// ```
///
/// A request that left is not cancelled when its client leaves: what a client has said is done. Its deadline ends it at
/// both servers.
@Loop final class Forwarding {
    private enum Ending: UInt8 { case reply, fault, failed }

    private unowned let application: Application

    init(_ application: Application) {
        self.application = application
        application.procedures.preparing(.forward) { [unowned self] caller, payload in
            try self.prepare(caller, payload)
        }
    }

    // MARK: at the frontend

    /// Sends a request on, with the rest of its deadline and without a task; `answer` gets its one outcome.
    func relay(_ request: Request, _ answer: @escaping @Loop (Outcome) -> Void) {
        let lane: ForwardLane
        do { lane = try self.lane(of: request) } catch { return answer(.failure(error)) }
        lane.begin()
        application.transport.call(lane.server, .forward, payload(request, request.body), within: left(request)) {
            [application] outcome in
            // The transport is in the middle of its work.
            Loop.enqueueSynchronous {
                lane.end()
                answer(Result { try application.forwarding.read(outcome, request) })
            }
        }
    }

    /// Sends a request on within the filters of calls.
    ///
    /// - Throws: the peer's `Fault`, or `RPCError`; what a filter throws.
    func forward(_ request: Request) async throws -> Bytes {
        let lane = try lane(of: request)
        lane.begin()
        defer { lane.end() }
        let filters = application.rpc.filters
        if filters.isEmpty { return try await send(request, request.body, to: lane.server) }
        let call = RPCRequest(
            lane.server, request.route, request.body, for: request.session, isForwarded: true,
            began: application.clock.now, deadline: request.deadline)
        return try await filters.run(call) { call, _ in try await self.send(request, call.payload, to: call.server) }
    }

    private func lane(of request: Request) throws -> ForwardLane {
        let (type, router) = (request.route.serverType, application.router)
        guard let client = request.client else { throw SessionService.noSession(request.session.id) }
        return try router.lane(type, for: request.session, of: client)
    }

    private func send(_ request: Request, _ body: Bytes, to server: ServerID) async throws -> Bytes {
        let outcome: Result<Bytes, RPCError>
        do throws(RPCError) {
            outcome = .success(
                try await application.transport.call(
                    server, .forward, payload(request, body), within: left(request)))
        } catch {
            outcome = .failure(error)
        }
        return try read(outcome, request)
    }

    private func left(_ request: Request) -> Duration {
        .nanoseconds(Int64(clamping: request.deadline - min(request.deadline, application.clock.now)))
    }

    private func payload(_ request: Request, _ body: Bytes) -> Bytes {
        let (session, route) = (request.session, request.route.text)
        let uid = session.uid?.rawValue ?? ""
        let settings = session.encodedSettings
        var payload = PayloadWriter(
            capacity: 28 + uid.utf8.count + settings.count + route.utf8.count + body.count)
        payload.number(session.id.rawValue)
        payload.text(uid)
        payload.data(settings)
        payload.number(UInt64(request.id))
        payload.text(route)
        payload.rest(body)
        return payload.bytes
    }

    private func read(_ outcome: Result<Bytes, RPCError>, _ request: Request) throws -> Bytes {
        switch outcome {
        case .success(var reply):
            switch reply.popLast().flatMap(Ending.init) {
            case .reply: return reply
            case .fault: throw Fault(body: try JSON.parse(reply))
            case .failed, nil: throw RPCError.failed(code: 500, message: "\(request.route.text.forLog) failed there")
            }
        // The procedure itself never fails, so the code is the transport's, and none of the client's business.
        case .failure(.failed(_, let message)): throw RPCError.failed(code: 500, message: message)
        case .failure(let error): throw error
        }
    }

    // MARK: at the backend

    private func prepare(_ caller: RPCCaller, _ payload: Bytes) throws -> ProcedureTable.Work {
        // Held while the request is under way, also when the application was dropped.
        let application = self.application
        let dispatcher = application.dispatcher
        var reader = PayloadReader(payload)
        let id = SessionID(try reader.number())
        let uid = try reader.text()
        let settings = try reader.data()
        let requestID = try reader.number()
        let name = try reader.textBytes()
        let route = dispatcher.route(utf8: name.span) ?? Route(String(decoding: name, as: UTF8.self))
        let session = Session(
            id: id, frontend: caller.server, instance: caller.instance, uid: uid.isEmpty ? nil : UserID(uid),
            settings: settings.isEmpty ? .none : SettingsSnapshot(encoded: settings),
            keeper: application.backendSessionService)
        let body = try reader.rest()
        if let method = dispatcher.synchronousMethod(of: route) {
            return .synchronous {
                do {
                    return Self.ended(try method(body, session))
                } catch {
                    return application.forwarding.ended(route, error)
                }
            }
        }
        let request = Request(
            id: UInt32(clamping: requestID), route: route, body: body, session: session, deadline: caller.deadline)
        return .asynchronous {
            do {
                return Self.ended(try await dispatcher.handle(request))
            } catch {
                return application.forwarding.ended(route, error)
            }
        }
    }

    private static func ended(_ reply: consuming Bytes) -> Bytes {
        reply.append(Ending.reply.rawValue)
        return reply
    }

    private func ended(_ route: Route, _ error: any Error) -> Bytes {
        if let fault = error as? Fault { return fault.reply.encoded() + [Ending.fault.rawValue] }
        application.dispatcher.failed(route, error)
        return [Ending.failed.rawValue]
    }
}
