// SPDX-License-Identifier: MIT
import PomeloLoop

/// One awaited step of a start or a stop, which may neither take for ever nor outlive the order to stop for long.
///
/// The step runs in a task of its own. `stop` cancels that task and shortens the deadline. When the deadline passes the
/// wait is over with `.overdue`; the task goes on alone, cancelled, and what it does then is nobody's result any more.
@Loop final class BoundedStep {
    enum Outcome {
        case done
        case failed(any Error)
        case overdue
    }

    private let clock: any LoopClock
    private var outcome: Outcome?
    private var waiter: CheckedContinuation<Outcome, Never>?
    private var task: Task<Void, Never>?
    private var timer: TimerID?

    init(_ clock: any LoopClock) { self.clock = clock }

    func run(within deadline: Duration, _ body: @escaping @Loop @Sendable () async throws -> Void) async -> Outcome {
        limit(deadline)
        task = Loop.spawn {
            do {
                try await body()
                self.finish(.done)
            } catch {
                self.finish(.failed(error))
            }
        }
        return await withCheckedContinuation { waiter in
            if let outcome { waiter.resume(returning: outcome) } else { self.waiter = waiter }
        }
    }

    /// Asks the step to end, and waits no longer than `deadline` for it.
    func stop(within deadline: Duration) {
        guard outcome == nil else { return }
        task?.cancel()
        limit(deadline)
    }

    private func limit(_ deadline: Duration) {
        if let timer { clock.cancel(timer) }
        timer = clock.schedule(after: deadline) { [weak self] in
            self?.task?.cancel()
            self?.finish(.overdue)
        }
    }

    private func finish(_ outcome: Outcome) {
        guard self.outcome == nil else { return }
        self.outcome = outcome
        if let timer { clock.cancel(timer) }
        waiter?.resume(returning: outcome)
    }
}
