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

/// The procedures a server answers.
///
/// A call may name the start of the server that it is for (`Procedure.at`): another one refuses with `PomeloError`
/// `.replaced`. Procedures that act on a session, a binding or a membership can only be called so: they are registered
/// as `addressed`.
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

    private enum Key: Hashable {
        case number(UInt16)
        case name(Text)

        init(_ procedure: Procedure) {
            self = procedure.number == 0 ? .name(procedure.name) : .number(procedure.number)
        }
    }

    private enum Body {
        case immediate(Immediate)
        case replying(Replying)
        case preparing(Preparing)
    }

    private struct Entry {
        let procedure: Procedure
        let body: Body
        let isAddressed: Bool
    }

    private var entries: [Key: Entry] = [:]
    private let instance: InstanceID
    private let clock: (any LoopClock)?

    /// A table without procedures, where calls fail as `unimplemented`; the clock is that of the callers' deadlines.
    public init(instance: InstanceID = "", clock: (any LoopClock)? = nil) {
        self.instance = instance
        self.clock = clock
    }

    /// Registers a procedure that answers at once.
    public func immediate(_ procedure: Procedure, addressed: Bool = false, _ body: @escaping Immediate) {
        register(procedure, addressed, .immediate(body))
    }

    /// Registers a procedure that begins at once and calls back with its reply.
    public func replying(_ procedure: Procedure, addressed: Bool = false, _ body: @escaping Replying) {
        register(procedure, addressed, .replying(body))
    }

    /// Registers a procedure that may await.
    public func suspending(_ procedure: Procedure, addressed: Bool = false, _ body: @escaping Suspending) {
        preparing(procedure, addressed: addressed) { caller, payload in
            .asynchronous { try await body(caller, payload) }
        }
    }

    /// Registers a procedure that is begun in arrival order with those that may await, and need not.
    func preparing(_ procedure: Procedure, addressed: Bool = false, _ body: @escaping Preparing) {
        register(procedure, addressed, .preparing(body))
    }

    private func register(_ procedure: Procedure, _ isAddressed: Bool, _ body: Body) {
        let key = Key(procedure)
        if let other = entries[key]?.procedure {
            precondition(other.name == procedure.name, "\(other) and \(procedure) have one number")
        }
        entries[key] = Entry(procedure: procedure, body: body, isAddressed: isAddressed)
    }

    /// Whether a procedure is served.
    public func serves(_ procedure: Procedure) -> Bool { entries[Key(procedure)] != nil }

    /// The procedures that are served, sorted by number, then by name.
    package var served: [Procedure] {
        entries.values.map(\.procedure).sorted { ($0.number, $0.name) < ($1.number, $1.name) }
    }

    /// Serves nothing more: procedures hold the services that they belong to.
    func retire() { entries = [:] }

    /// Runs a procedure; `reply` is called exactly once, in this call for an immediate one.
    ///
    /// The transport answers at the caller's deadline by itself when a suspending procedure has not. One whose turn
    /// comes when its deadline has passed, or after it was cancelled, is not begun: `RPCError.late`.
    ///
    /// - Returns: a suspending procedure in the queue, to be cancelled when nobody waits for the reply any more.
    @discardableResult
    public func run(
        _ procedure: Procedure, _ caller: RPCCaller, _ payload: Bytes, reply: @escaping Reply
    ) -> QueuedBody? {
        guard let entry = entries[Key(procedure)] else {
            reply(.failure(.unimplemented("\(procedure)")))
            return nil
        }
        if let meant = procedure.instance {
            guard meant == instance else {
                reply(.failure(Self.rpcError(PomeloError(.replaced, "the server has been started anew"))))
                return nil
            }
        } else if entry.isAddressed {
            reply(.failure(.failed(code: 400, message: "\(entry.procedure) is for one start of a server")))
            return nil
        }
        return run(entry.body, caller, payload, reply)
    }

    private func run(
        _ body: Body, _ caller: RPCCaller, _ payload: Bytes, _ reply: @escaping Reply
    ) -> QueuedBody? {
        switch body {
        case .immediate(let body):
            do { reply(.success(try body(caller, payload))) } catch { reply(.failure(Self.rpcError(error))) }
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
                do { reply(.success(try body())) } catch { reply(.failure(Self.rpcError(error))) }
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
        case let error as RPCError: error.ofFurtherCall
        case let fault as Fault: .fault(code: fault.code, message: fault.message ?? "")
        case let error as PomeloError: .failed(code: 500, message: error.wireText)
        default: .failed(code: 500, message: "\(error)")
        }
    }
}
