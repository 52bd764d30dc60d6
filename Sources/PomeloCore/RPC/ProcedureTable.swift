// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloLoop

/// Who calls a procedure, and how long it may take.
@Loop public struct RPCCaller {
    /// The authenticated peer.
    public let server: ServerID
    /// The start of the peer, authenticated too.
    public let instance: InstanceID
    /// Monotonic nanoseconds of the callee's clock.
    public let deadline: UInt64

    /// A caller that the transport has authenticated.
    public init(server: ServerID, instance: InstanceID, deadline: UInt64) {
        self.server = server
        self.instance = instance
        self.deadline = deadline
    }
}

/// The procedures a server answers, by name (`namespace/name`).
///
/// A name may be called as `name@instance`: then only that start of the server answers, and another one refuses with
/// `PomeloError` `.replaced`. Procedures that act on a session, a binding or a membership can only be called so: they
/// are registered as `addressed`.
@Loop public final class ProcedureTable {
    /// Applied in arrival order, in the turn the call arrived.
    public typealias Immediate = @Loop (RPCCaller, Bytes) throws -> Bytes
    /// Begun in arrival order, soon, and cancelled alone.
    public typealias Suspending = @Loop @Sendable (RPCCaller, Bytes) async throws -> Bytes

    /// Begins in the turn the call arrived and replies later, exactly once.
    public typealias Replying = @Loop (RPCCaller, Bytes, @escaping Reply) throws -> Void
    /// Takes the one outcome of a call.
    public typealias Reply = @Loop @Sendable (Result<Bytes, RPCError>) -> Void

    /// What is left to do of a call that was read, when its turn has come.
    enum Work {
        case synchronous(@Loop () throws -> Bytes)
        case asynchronous(@Loop @Sendable () async throws -> Bytes)
    }
    /// Reads a call in the turn it arrived, and does nothing else.
    typealias Preparing = @Loop (RPCCaller, Bytes) throws -> Work

    private enum Body {
        case immediate(Immediate)
        case replying(Replying)
        case preparing(Preparing)
    }

    private struct Procedure {
        let body: Body
        let isAddressed: Bool
    }

    private var procedures: [Text: Procedure] = [:]
    private let instance: InstanceID
    private let clock: (any LoopClock)?

    /// A table without procedures, where every call fails with code 404; the clock is that of the callers' deadlines.
    public init(instance: InstanceID = "", clock: (any LoopClock)? = nil) {
        self.instance = instance
        self.clock = clock
    }

    static func name(_ name: String, at instance: InstanceID) -> String { name + "@" + instance.rawValue }

    /// Registers a procedure that answers at once.
    public func immediate(_ name: String, addressed: Bool = false, _ body: @escaping Immediate) {
        procedures[Text(name)] = Procedure(body: .immediate(body), isAddressed: addressed)
    }

    /// Registers a procedure that begins at once and calls back with its reply.
    public func replying(_ name: String, addressed: Bool = false, _ body: @escaping Replying) {
        procedures[Text(name)] = Procedure(body: .replying(body), isAddressed: addressed)
    }

    /// Registers a procedure that may await.
    public func suspending(_ name: String, addressed: Bool = false, _ body: @escaping Suspending) {
        preparing(name, addressed: addressed) { caller, payload in
            .asynchronous { try await body(caller, payload) }
        }
    }

    /// Registers a procedure that is begun in arrival order with those that may await, and need not.
    func preparing(_ name: String, addressed: Bool = false, _ body: @escaping Preparing) {
        procedures[Text(name)] = Procedure(body: .preparing(body), isAddressed: addressed)
    }

    /// Whether a procedure of this name is served.
    public func serves(_ name: String) -> Bool { procedures[Text(name)] != nil }

    /// Runs a procedure; `reply` is called exactly once, in this call for an immediate one.
    ///
    /// The transport answers at the caller's deadline by itself when a suspending procedure has not. One whose turn
    /// comes when its deadline has passed, or after it was cancelled, is not begun: `RPCError.late`.
    ///
    /// - Returns: a suspending procedure in the queue, to be cancelled when nobody waits for the reply any more.
    @discardableResult
    public func run(
        _ name: String, _ caller: RPCCaller, _ payload: Bytes,
        reply: @escaping Reply
    ) -> QueuedBody? {
        if let procedure = procedures[Text(name)], !procedure.isAddressed {
            return run(procedure.body, caller, payload, reply)
        }
        guard let at = name.utf8.lastIndex(of: UInt8(ascii: "@")),
            let procedure = procedures[Text(String(name[..<at]))]
        else {
            reply(.failure(.failed(code: 404, message: "no such procedure: \(name)")))
            return nil
        }
        guard InstanceID(String(name[name.utf8.index(after: at)...])) == instance else {
            let replaced = PomeloError(.replaced, "the server has been started anew")
            reply(.failure(Self.rpcError(replaced)))
            return nil
        }
        return run(procedure.body, caller, payload, reply)
    }

    private func run(
        _ body: Body, _ caller: RPCCaller, _ payload: Bytes, _ reply: @escaping Reply
    ) -> QueuedBody? {
        switch body {
        case .immediate(let body):
            reply(Result(catching: { try body(caller, payload) }).mapError(Self.rpcError))
        case .replying(let body):
            do { try body(caller, payload, reply) } catch { reply(.failure(Self.rpcError(error))) }
        case .preparing(let body):
            do {
                return enqueue(try body(caller, payload), until: caller.deadline, reply)
            } catch {
                reply(.failure(Self.rpcError(error)))
            }
        }
        return nil
    }

    private func enqueue(_ work: Work, until deadline: UInt64, _ reply: @escaping Reply) -> QueuedBody {
        let queued = QueuedBody()
        let isLate: @Loop () -> Bool = { [clock] in queued.isCancelled || deadline <= clock?.now ?? 0 }
        switch work {
        case .synchronous(let body):
            Loop.enqueueSynchronous {
                if isLate() { return reply(.failure(.late)) }
                reply(Result(catching: { try body() }).mapError(Self.rpcError))
            }
        case .asynchronous(let body):
            Loop.enqueue(queued) {
                if isLate() { return reply(.failure(.late)) }
                do {
                    reply(.success(try await body()))
                } catch {
                    reply(.failure(Self.rpcError(error)))
                }
            }
        }
        return queued
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
