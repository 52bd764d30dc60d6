// SPDX-License-Identifier: MIT
public import PomeloLoop
public import PomeloWire

/// Who calls a procedure, and how long it may take.
@Loop public struct RPCCaller {
    /// The authenticated peer.
    public let server: ServerID
    /// Monotonic nanoseconds of the callee's clock.
    public let deadline: UInt64

    /// A caller that the transport has authenticated.
    public init(server: ServerID, deadline: UInt64) {
        self.server = server
        self.deadline = deadline
    }
}

/// The procedures a server answers, by name (`namespace/name`).
@Loop public final class ProcedureTable {
    /// Applied in arrival order, in the turn the call arrived.
    public typealias Immediate = @Loop (RPCCaller, Bytes) throws -> Bytes
    /// Started in arrival order as a task of its own.
    public typealias Suspending = @Loop @Sendable (RPCCaller, Bytes) async throws -> Bytes

    /// Begins in the turn the call arrived and replies later, exactly once.
    public typealias Replying = @Loop (RPCCaller, Bytes, @escaping Reply) throws -> Void
    /// Takes the one outcome of a call.
    public typealias Reply = @Loop @Sendable (Result<Bytes, RPCError>) -> Void

    private enum Procedure {
        case immediate(Immediate)
        case replying(Replying)
        case suspending(Suspending)
    }

    private var procedures: [Text: Procedure] = [:]

    /// A table without procedures, where every call fails with code 404.
    public init() {}

    /// Registers a procedure that answers at once.
    public func immediate(_ name: String, _ body: @escaping Immediate) { procedures[Text(name)] = .immediate(body) }

    /// Registers a procedure that begins at once and calls back with its reply.
    public func replying(_ name: String, _ body: @escaping Replying) { procedures[Text(name)] = .replying(body) }

    /// Registers a procedure that may await.
    public func suspending(_ name: String, _ body: @escaping Suspending) { procedures[Text(name)] = .suspending(body) }

    /// Whether a procedure of this name is served.
    public func serves(_ name: String) -> Bool { procedures[Text(name)] != nil }

    /// Runs a procedure; `reply` is called exactly once, in this call for an immediate one.
    ///
    /// The transport answers at the caller's deadline by itself when a suspending procedure has not.
    ///
    /// - Returns: the task of a suspending procedure, to be cancelled when nobody waits for the reply any more.
    @discardableResult
    public func run(
        _ name: String, _ caller: RPCCaller, _ payload: Bytes,
        reply: @escaping Reply
    ) -> Task<Void, Never>? {
        switch procedures[Text(name)] {
        case .immediate(let body):
            reply(Result(catching: { try body(caller, payload) }).mapError(Self.rpcError))
        case .replying(let body):
            do { try body(caller, payload, reply) } catch { reply(.failure(Self.rpcError(error))) }
        case .suspending(let body):
            return Loop.spawn {
                do {
                    reply(.success(try await body(caller, payload)))
                } catch {
                    reply(.failure(Self.rpcError(error)))
                }
            }
        case nil:
            reply(.failure(.failed(code: 404, message: "no such procedure: \(name)")))
        }
        return nil
    }

    /// What of an error crosses the wire: a fault's code and message, else only that it failed.
    private static func rpcError(_ error: any Error) -> RPCError {
        switch error {
        case let error as RPCError: error
        case let fault as Fault: .failed(code: fault.code, message: fault.message ?? "")
        case let error as PomeloError: .failed(code: 500, message: error.telling)
        default: .failed(code: 500, message: "\(error)")
        }
    }
}
