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
@Loop final class Forwarding {
    private enum Outcome: UInt8 { case reply, fault, failed }

    static let procedure = "sys/forward"
    private unowned let application: Application

    init(_ application: Application) {
        self.application = application
        application.procedures.suspending(Self.procedure) { [unowned self] caller, payload in
            try await self.serve(caller, payload)
        }
    }

    /// Sends a request on, with the rest of its deadline.
    ///
    /// - Throws: the peer's `Fault`, or `RPCError`; what a filter throws.
    func forward(_ request: Request) async throws -> Bytes {
        let server = try application.router.pick(request.route.serverType, for: request.session)
        let filters = application.rpc.filters
        if filters.isEmpty { return try await send(request, request.body, to: server) }
        let call = RPCRequest(
            server, request.route, request.body, for: request.session, isForwarded: true, began: application.clock.now,
            deadline: request.deadline)
        return try await filters.run(call) { call, _ in try await self.send(request, call.payload, to: call.server) }
    }

    private func send(_ request: Request, _ body: Bytes, to server: ServerID) async throws -> Bytes {
        var payload = PayloadWriter()
        payload.number(request.session.id.rawValue)
        payload.text(request.session.uid?.rawValue ?? "")
        payload.data(request.session.settings.isEmpty ? [] : JSON.object(request.session.settings).encoded())
        payload.number(UInt64(request.id))
        payload.text(request.route.text)
        payload.rest(body)
        let left = request.deadline - min(request.deadline, application.clock.now)
        var reply = try await call(server, payload.bytes, within: .nanoseconds(Int64(clamping: left)))
        switch reply.popLast().flatMap(Outcome.init) {
        case .reply: return reply
        case .fault: throw Fault(body: try JSON.parse(reply))
        case .failed, nil: throw RPCError.failed(code: 500, message: "\(request.route.text.forLog) failed on \(server)")
        }
    }

    private func call(_ server: ServerID, _ payload: Bytes, within left: Duration) async throws -> Bytes {
        do {
            return try await application.transport.call(server, Self.procedure, payload, within: left)
        } catch .failed(_, let message) {
            // The procedure itself never fails, so the code is the transport's, and none of the client's business.
            throw RPCError.failed(code: 500, message: message)
        }
    }

    private func serve(_ caller: RPCCaller, _ payload: Bytes) async throws -> Bytes {
        // Held while the request is under way, also when the application was dropped.
        let application = self.application
        var reader = PayloadReader(payload)
        let id = SessionID(try reader.number())
        let uid = try reader.text()
        let settings = try reader.data()
        let requestID = try reader.number()
        let route = Route(try reader.text())
        let session = Session(
            id: id, frontend: caller.server, instance: caller.instance, uid: uid.isEmpty ? nil : UserID(uid),
            settings: settings.isEmpty ? JSONObject() : try JSON.parse(settings).object ?? JSONObject(),
            keeper: application.backendSessionService)
        let request = Request(
            id: UInt32(clamping: requestID), route: route, body: try reader.rest(), session: session,
            deadline: caller.deadline)
        do {
            return try await application.dispatcher.handle(request) + [Outcome.reply.rawValue]
        } catch let fault as Fault {
            return fault.reply.encoded() + [Outcome.fault.rawValue]
        } catch {
            application.dispatcher.failed(route, error)
            return [Outcome.failed.rawValue]
        }
    }
}
