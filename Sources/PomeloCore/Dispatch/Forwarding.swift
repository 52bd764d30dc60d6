// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloJSON
import PomeloLoop

/// Requests of this frontend's clients, handled by servers of another type: `ForwardedRequests` there.
///
/// ```
/// call   session u64 | uid text | settings data (JSON) | request id u64 | route text | body to the end
/// reply  body | outcome u8: 0 a reply, 1 the reply of a fault, 2 an error that says nothing to clients
/// ```
///
/// A request that left is not cancelled when its client leaves: what a client has said is done. Its deadline ends it at
/// both servers.
@Loop final class Forwarding {
    /// The last byte of a reply.
    enum Ending: UInt8 { case reply, fault, failed }

    private let context: ServiceContext
    private let router: Router
    private let transport: any RPCTransport

    init(_ context: ServiceContext, _ router: Router, _ transport: any RPCTransport) {
        self.context = context
        self.router = router
        self.transport = transport
    }

    /// Whether a request for servers of a type may be sent on without a task.
    func needsNoTask(_ type: ServerType) -> Bool { context.rpc.filters.isEmpty && !router.waits(type) }

    /// Sends a request on, with the rest of its deadline and without a task; `answer` gets its one outcome.
    func relay(_ request: Request, _ answer: @escaping @Loop (Outcome) -> Void) {
        let lane: ForwardLane
        do { lane = try router.lane(of: request, try client(of: request)) } catch { return answer(.failure(error)) }
        lane.begin()
        transport.call(lane.server, .forward, payload(request, request.body), within: left(request)) { outcome in
            // The transport is in the middle of its work.
            Loop.enqueueSynchronous {
                lane.end()
                answer(self.read(outcome, request, of: lane.server))
            }
        }
    }

    /// Sends a request on within the filters of calls.
    ///
    /// - Throws: the peer's `Fault`, or `RPCError`; what a filter throws.
    func forward(_ request: Request) async throws -> Bytes {
        let client = try client(of: request)
        let lane =
            router.waits(request.route.serverType)
            ? try await router.laneWaiting(of: request, client, within: left(request))
            : try router.lane(of: request, client)
        // REENTRANCY: while a rule chose, the request may have been answered at its deadline.
        _ = try self.client(of: request)
        lane.begin()
        defer { lane.end() }
        let filters = context.rpc.filters
        if filters.isEmpty { return try await send(request, request.body, to: lane.server) }
        let call = RPCRequest(
            lane.server, request.route, request.body, for: request.session, isForwarded: true,
            began: context.clock.now, deadline: request.deadline)
        return try await filters.run(call) { call, _ in try await self.send(request, call.payload, to: call.server) }
    }

    private func client(of request: Request) throws -> ClientSession {
        guard let client = request.client else { throw SessionService.noSession(request.session.id) }
        return client
    }

    private func send(_ request: Request, _ body: Bytes, to server: ServerID) async throws -> Bytes {
        let outcome: Result<Bytes, RPCError>
        do throws(RPCError) {
            outcome = .success(
                try await transport.call(
                    server, .forward, payload(request, body), within: left(request)))
        } catch {
            outcome = .failure(error)
        }
        return try read(outcome, request, of: server).get()
    }

    private func left(_ request: Request) -> Duration { context.clock.left(until: request.deadline) }

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

    private func read(_ outcome: Result<Bytes, RPCError>, _ request: Request, of server: ServerID) -> Outcome {
        switch outcome {
        case .success(var reply):
            switch reply.popLast().flatMap(Ending.init) {
            case .reply: return .success(reply)
            case .fault: return .failure(Self.fault(in: reply))
            case .failed, nil:
                let message = "\(request.route.text.forLog) failed at \(server), whose log says why"
                return .failure(RPCError.failed(code: 500, message: message))
            }
        // The procedure itself never fails, so the code is the transport's, and none of the client's business.
        case .failure(.failed(_, let message)):
            return .failure(RPCError.failed(code: 500, message: "\(message) (at \(server))"))
        case .failure(let error): return .failure(error)
        }
    }

    private static func fault(in reply: Bytes) -> any Error {
        do { return Fault(body: try JSON.parse(reply)) } catch { return error }
    }
}
