// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop

/// Holds a pending call; told when the caller's task is cancelled.
@Loop protocol CallHolder: AnyObject {
    func callerGaveUp(_ call: PendingCall)
}

/// One call from its start to its only outcome.
@Loop final class PendingCall {
    let procedure: Procedure
    /// Monotonic nanoseconds.
    let deadline: UInt64
    /// Emptied once it is on its way.
    var payload: Bytes
    /// The pieces of a long reply that have arrived.
    var partialReply: Bytes = []
    /// Its number on its connection, once sent.
    var id: UInt32?
    // Until the outcome. Not weak: references to what a weak one points at are counted the slow way, here those to
    // connections.
    var holder: (any CallHolder)?
    private(set) var outcome: Result<Bytes, RPCError>?
    private var reply: ProcedureTable.Reply?

    init(_ procedure: Procedure, _ payload: Bytes, deadline: UInt64, reply: ProcedureTable.Reply? = nil) {
        self.procedure = procedure
        self.payload = payload
        self.deadline = deadline
        self.reply = reply
    }

    /// The first outcome counts; later ones, such as a reply after the deadline, are ignored.
    func complete(_ outcome: Result<Bytes, RPCError>) {
        guard self.outcome == nil else { return }
        self.outcome = outcome
        holder = nil
        reply?(outcome)
        reply = nil
    }

    func fail(_ error: RPCError) { complete(.failure(error)) }

    /// Called once, by the task that made the call; not with a `reply`.
    func result() async throws(RPCError) -> Bytes {
        if let outcome { return try outcome.get() }
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation {
                (continuation: CheckedContinuation<Result<Bytes, RPCError>, Never>) in
                if let ended = self.outcome {
                    continuation.resume(returning: ended)
                } else {
                    reply = { continuation.resume(returning: $0) }
                }
            }
        } onCancel: {
            Loop.spawn { self.giveUp() }
        }
        return try outcome.get()
    }

    private func giveUp() {
        guard outcome == nil else { return }
        holder?.callerGaveUp(self)
    }
}
