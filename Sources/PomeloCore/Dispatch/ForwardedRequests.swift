// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloJSON
import PomeloLoop

/// Requests of other frontends' clients, handled here; `Forwarding` sends them.
@Loop final class ForwardedRequests {
    private let dispatcher: Dispatcher
    private let sessions: BackendSessionService

    init(_ dispatcher: Dispatcher, _ sessions: BackendSessionService) {
        self.dispatcher = dispatcher
        self.sessions = sessions
    }

    func register(in procedures: ProcedureTable) {
        procedures.preparing(.forward) { [unowned self] caller, payload in try prepare(caller, payload) }
    }

    private func prepare(_ caller: RPCCaller, _ payload: Bytes) throws -> ProcedureTable.Work {
        let request = try read(payload, caller)
        let route = request.route
        if let method = dispatcher.synchronousMethod(of: route) {
            return .synchronous {
                do {
                    return Self.ended(try method(request.body, request.session))
                } catch {
                    return self.ended(route, error)
                }
            }
        }
        return .asynchronous {
            do {
                return Self.ended(try await self.dispatcher.handle(request))
            } catch {
                return self.ended(route, error)
            }
        }
    }

    private func read(_ payload: Bytes, _ caller: RPCCaller) throws -> Request {
        var reader = PayloadReader(payload)
        let id = SessionID(try reader.number())
        let uid = try reader.text()
        let settings = try reader.data()
        let requestID = try reader.number()
        let name = try reader.textBytes()
        let route = dispatcher.route(utf8: name.span) ?? Route(String(decoding: name, as: UTF8.self))
        let session = Session(
            id: id, frontend: caller.server, instance: caller.instance, uid: uid.isEmpty ? nil : UserID(uid),
            settings: settings.isEmpty ? .none : SettingsSnapshot(encoded: settings), keeper: sessions)
        return Request(
            id: UInt32(clamping: requestID), route: route, body: try reader.rest(), session: session,
            deadline: caller.deadline)
    }

    private static func ended(_ reply: consuming Bytes) -> Bytes {
        reply.append(Forwarding.Ending.reply.rawValue)
        return reply
    }

    private func ended(_ route: Route, _ error: any Error) -> Bytes {
        if let fault = Fault(error) { return fault.reply.encoded() + [Forwarding.Ending.fault.rawValue] }
        dispatcher.failed(route, error)
        return [Forwarding.Ending.failed.rawValue]
    }
}
