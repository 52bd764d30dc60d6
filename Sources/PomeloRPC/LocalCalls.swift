// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop

/// Calls of a server to itself: no connection, the same bounds and outcomes.
@Loop final class LocalCalls: CallHolder {
    private let table: ConnectionTable
    private var calls: [UInt32: PendingCall] = [:]
    /// Of procedures that may await; cancelled when nobody waits for them any more.
    private var queued: [UInt32: QueuedBody] = [:]
    /// Procedures that have not returned; more than `calls` after cancellations and deadlines.
    private var running = 0
    private var lastID: UInt32 = 0
    private lazy var sweep = DeadlineSweep(table.clock) { [unowned self] now in endOverdue(now) }

    init(_ table: ConnectionTable) { self.table = table }

    var inFlight: Int { calls.count }

    func submit(_ call: PendingCall) {
        guard call.deadline > table.clock.now else { return call.fail(.notSent("the deadline has passed")) }
        guard running < table.options.maxInFlightPerPeer else {
            table.counters.overloaded += 1
            return call.fail(.notSent("overloaded: \(running) calls are being run"))
        }
        running += 1
        let caller = RPCCaller(
            server: table.context.own.id, instance: table.context.own.instance, deadline: call.deadline)
        let payload = call.payload
        call.payload = []
        let body = table.context.procedures.run(call.procedure, caller, payload) { outcome in
            self.running -= 1
            if outcome.isLate {
                self.table.counters.late += 1
                return self.end(call, .failure(.notSent("its time was over before it began")))
            }
            self.end(call, outcome.crossing(limit: self.table.options.maxFrameBytes))
        }
        if call.outcome == nil { hold(call, body) }
    }

    private func hold(_ call: PendingCall, _ body: QueuedBody?) {
        repeat { lastID &+= 1 } while calls[lastID] != nil
        call.id = lastID
        call.holder = self
        calls[lastID] = call
        queued[lastID] = body
        sweep.note(call.deadline)
    }

    private func end(_ call: PendingCall, _ outcome: Result<Bytes, RPCError>) {
        call.complete(outcome)
        guard let id = call.id, calls.removeValue(forKey: id) != nil else { return }
        queued.removeValue(forKey: id)?.cancel()
        table.settled()
    }

    func callerGaveUp(_ call: PendingCall) { end(call, .failure(.maybeExecuted("the caller was cancelled"))) }

    private func endOverdue(_ now: UInt64) -> UInt64? {
        for id in calls.filter({ $0.value.deadline <= now }).keys.sorted() {
            if let call = calls[id] { end(call, .failure(.maybeExecuted("no answer within the deadline"))) }
        }
        return calls.values.map(\.deadline).min()
    }

    func stop(_ reason: String) {
        for id in calls.keys.sorted() {
            if let call = calls[id] { end(call, .failure(.maybeExecuted(reason))) }
        }
        sweep.stop()
    }
}
