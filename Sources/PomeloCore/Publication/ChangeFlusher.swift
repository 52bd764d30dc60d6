// SPDX-License-Identifier: MIT
package import Logging
package import PomeloLoop

/// What differs between this process's memory and a store.
///
/// It is no log of operations: what is written is looked up in the memory when its turn comes. So an outage cannot
/// overflow it, many changes of one thing are one, and nothing is replayed. It keeps a bound of its own.
@Loop package protocol PendingChanges: AnyObject {
    /// What it is, for logs.
    var name: String { get }
    /// Whether the store differs, and something can be written now.
    var hasChanges: Bool { get }
    /// Whether this process may write to the store now.
    var mayWrite: Bool { get }
    /// Writes some of what differs; what could not be written differs still.
    ///
    /// - Throws: what the store throws.
    func write() async throws
}

/// Writes changes behind: gathered for a while, one call at a time, again after a failure, once more at the stop.
///
/// - Guarantee: there is one writing call at a time, so an older state is never written over a newer one.
@Loop package final class ChangeFlusher {
    /// When it writes.
    package struct Pace: Sendable {
        /// Changes are gathered for so long; zero: for the rest of the turn.
        package var gathering = Duration.zero
        /// The pause after a failure, ± 10 %.
        package var retryAfter = Duration.milliseconds(500)

        /// At once, and half a second after a failure.
        package init(gathering: Duration = .zero) { self.gathering = gathering }
    }

    private enum State {
        case idle
        case gathering(TimerID)
        case writing(Task<Void, Never>)
        /// After a failure.
        case pausing(TimerID)
    }

    /// They own this; a task that writes holds them.
    private unowned let changes: any PendingChanges
    private let pace: Pace
    private let clock: any LoopClock
    private let random: RandomSource
    /// A store that is away is told of twice a minute.
    private let failures: LimitedLog
    private var state = State.idle
    private var isStopped = false
    private var waiters: [CheckedContinuation<Bool, Never>] = []

    /// Writes nothing before `kick`.
    package init(
        _ changes: any PendingChanges, _ pace: Pace = Pace(), clock: any LoopClock, random: RandomSource, log: Logger
    ) {
        self.changes = changes
        self.pace = pace
        self.clock = clock
        self.random = random
        failures = LimitedLog(
            log, clock, "\(changes.name): not written to the store", lines: 1, per: .seconds(30))
    }

    /// Something may differ: it is written soon, or after the pause that is under way.
    package func kick() {
        guard case .idle = state, !isStopped, changes.mayWrite, changes.hasChanges else { return }
        if pace.gathering > .zero { state = .gathering(wait(pace.gathering)) } else { begin() }
    }

    /// Suspends until everything noted before is written, which is not put off to gather more; false when the store
    /// failed meanwhile.
    package func flushed() async -> Bool {
        await withCheckedContinuation { waiter in
            kick()
            if case .gathering(let timer) = state {
                clock.cancel(timer)
                begin()
            }
            if case .idle = state { waiter.resume(returning: !changes.hasChanges) } else { waiters.append(waiter) }
        }
    }

    /// Writes what is left, once, also when it has just failed, and nothing further.
    ///
    /// - Throws: what the store throws.
    package func stop() async throws {
        isStopped = true
        switch state {
        case .idle: break
        case .gathering(let timer), .pausing(let timer): clock.cancel(timer)
        case .writing(let task): await task.value
        }
        state = .idle
        try await write(changes)
    }

    private func wait(_ pause: Duration) -> TimerID {
        clock.schedule(after: random.jittered(pause)) { [weak self] in self?.begin() }
    }

    private func begin() {
        let task = Loop.spawn { [changes] in
            do {
                try await self.write(changes)
                self.state = .idle
            } catch {
                self.failed(error)
            }
        }
        state = .writing(task)
    }

    private func failed(_ error: any Error) {
        failures.write(["error": "\(error)"])
        state = isStopped ? .idle : .pausing(wait(pace.retryAfter))
    }

    /// Writes until nothing differs or the store fails.
    private func write(_ changes: any PendingChanges) async throws {
        do {
            while changes.hasChanges {
                guard changes.mayWrite else { return wake(false) }
                try await changes.write()
            }
            wake(true)
        } catch {
            wake(false)
            throw error
        }
    }

    private func wake(_ success: Bool) {
        let ready = waiters
        waiters = []
        for waiter in ready { waiter.resume(returning: success) }
    }
}
