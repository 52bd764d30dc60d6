// SPDX-License-Identifier: MIT
import DequeModule
import PomeloLoop

/// Commands that wait until there is room for them among those sent.
@Loop final class WaitingBatch {
    let ticket: Int
    let commands: [RedisCommand]
    let load: CommandLoad
    let deadline: UInt64
    /// Nil when the caller has given up.
    fileprivate(set) var waiter: CheckedContinuation<PendingBatch.Outcome, Never>?

    init(
        _ ticket: Int, _ commands: [RedisCommand], _ load: CommandLoad, deadline: UInt64,
        _ waiter: CheckedContinuation<PendingBatch.Outcome, Never>
    ) {
        self.ticket = ticket
        self.commands = commands
        self.load = load
        self.deadline = deadline
        self.waiter = waiter
    }
}

/// Batches in the order they came, which is the order in which they are sent, and that of their deadlines.
@Loop struct WaitingLine {
    private var batches: Deque<WaitingBatch> = []
    /// What all of them are.
    private(set) var load = CommandLoad(count: 0, bytes: 0)

    nonisolated init() {}

    var isEmpty: Bool { batches.isEmpty }
    var first: WaitingBatch? { batches.first }
    /// The deadline of the one that has waited for longest.
    var nextDeadline: UInt64? { batches.first?.deadline }

    mutating func append(_ batch: WaitingBatch) {
        batches.append(batch)
        load = load + batch.load
    }

    mutating func removeFirst() -> WaitingBatch {
        let batch = batches.removeFirst()
        load = load - batch.load
        return batch
    }

    /// Fails those that have waited for too long.
    mutating func expire(now: UInt64, _ error: RedisError) {
        while let first, first.deadline <= now { Self.fail(removeFirst(), error) }
    }

    /// Fails the one whose caller has been cancelled.
    mutating func fail(_ ticket: Int, _ error: RedisError) {
        guard let index = batches.firstIndex(where: { $0.ticket == ticket }) else { return }
        let batch = batches.remove(at: index)
        load = load - batch.load
        Self.fail(batch, error)
    }

    /// Fails all: none of them was sent.
    mutating func failAll(_ error: RedisError) {
        let all = batches
        self = WaitingLine()
        for batch in all { Self.fail(batch, error) }
    }

    private static func fail(_ batch: WaitingBatch, _ error: RedisError) {
        batch.waiter?.resume(returning: .failure(error))
        batch.waiter = nil
    }
}
