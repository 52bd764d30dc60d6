// SPDX-License-Identifier: MIT
import DequeModule
import PomeloLoop

/// Commands that wait until there is room for them among those sent.
@Loop final class WaitingBatch {
    let commands: [RedisCommand]
    let load: CommandLoad
    let deadline: UInt64
    /// The caller, who is told that he waits and then comes; nobody is sent before, nor overtaken.
    private var waiter: RedisWaiter?
    var isAttached: Bool { waiter != nil }
    private var failure: RedisError?

    init(_ commands: [RedisCommand], _ load: CommandLoad, deadline: UInt64) {
        self.commands = commands
        self.load = load
        self.deadline = deadline
    }

    deinit { if waiter != nil { preconditionFailure("a caller of commands was left waiting") } }

    /// The caller is there.
    func attach(_ waiter: RedisWaiter) {
        if let failure { waiter.fail(failure) } else { self.waiter = waiter }
    }

    /// The caller, who waits for replies from now on.
    func detach() -> RedisWaiter? {
        defer { waiter = nil }
        return waiter
    }

    fileprivate func fail(_ error: RedisError) {
        failure = error
        detach()?.fail(error)
    }
}

/// Batches in the order they came, which is the order in which they are sent, and that of their deadlines.
@Loop final class WaitingLine {
    private var batches: Deque<WaitingBatch> = []
    /// What all of them are.
    private(set) var load = CommandLoad(count: 0, bytes: 0)

    nonisolated init() {}

    var isEmpty: Bool { load.count == 0 }
    var first: WaitingBatch? { batches.first }
    /// The deadline of the one that has waited for longest.
    var nextDeadline: UInt64? { batches.first?.deadline }

    func append(_ batch: WaitingBatch) {
        batches.append(batch)
        load = load + batch.load
    }

    func removeFirst() -> WaitingBatch {
        let batch = batches.removeFirst()
        load = load - batch.load
        return batch
    }

    /// Fails those that have waited for too long.
    func expire(now: UInt64, _ error: RedisError) {
        while let first, first.deadline <= now { removeFirst().fail(error) }
    }

    /// Fails the one whose caller has been cancelled.
    func fail(_ batch: WaitingBatch, _ error: RedisError) {
        guard let index = batches.firstIndex(where: { $0 === batch }) else { return }
        batches.remove(at: index)
        load = load - batch.load
        batch.fail(error)
    }

    /// Fails all: none of them was sent.
    func failAll(_ error: RedisError) {
        let all = batches
        batches = []
        load = CommandLoad(count: 0, bytes: 0)
        for batch in all { batch.fail(error) }
    }
}
