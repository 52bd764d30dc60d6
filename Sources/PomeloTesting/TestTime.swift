// SPDX-License-Identifier: MIT
import PomeloLoop

/// How time passes while a test waits: a manual clock is moved, the system's is waited for.
@Loop final class TestTime {
    /// As long as nothing else has to happen first.
    private static let step = Duration.milliseconds(20)
    private static let turns = 40
    /// After a step: it sets off less than the test did.
    private static let turnsOfStep = 6
    /// How much longer a wait may take by the system's clock.
    private static let patience = Duration.seconds(20)

    let clock: any LoopClock
    private let manual: ManualClock?
    /// The manual clock is moved by the system's time.
    private(set) var followsSystem = false

    init(_ clock: any LoopClock) {
        self.clock = clock
        manual = clock as? ManualClock
    }

    /// Waits until `ready` has a value; nil at the deadline.
    ///
    /// Time is moved only when the loop has come to rest, and not while a worker thread has a job: how long that takes
    /// is the machine's affair.
    func wait<Value>(within limit: Duration, _ ready: () throws -> Value?) async rethrows -> Value? {
        let deadline = clock.deadline(after: limit)
        // A job that never ends must not hold up the test for ever.
        let end = SystemClock.shared.deadline(after: limit + Self.patience)
        var turns = Self.turns
        while true {
            for _ in 0..<turns {
                if let value = try ready() { return value }
                await Loop.yield()
            }
            turns = Self.turnsOfStep
            guard clock.now < deadline, SystemClock.shared.now < end else { return try ready() }
            if let manual, !followsSystem, offLoopJobs == 0 {
                manual.advance(to: min(deadline, manual.deadline(after: Self.step)))
            } else {
                await SystemClock.shared.sleep(for: .milliseconds(1))
            }
        }
    }

    /// Awaits a body that ends by itself, and lets time pass as far as it needs that.
    func pass<Value: Sendable, Failure: Error>(
        _ body: @escaping @Loop @Sendable () async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let end = FirstOutcome<Result<Value, Failure>>()
        Loop.spawn {
            do throws(Failure) { end.end(with: .success(try await body())) } catch { end.end(with: .failure(error)) }
        }
        while true {
            if let outcome = await wait(within: .seconds(60), { end.value }) { return try outcome.get() }
        }
    }

    /// Has the system's time move the manual clock, until `end`.
    func followSystem() {
        guard !followsSystem else { return }
        followsSystem = true
        follow(from: SystemClock.shared.now)
    }

    func end() { followsSystem = false }

    private func follow(from last: UInt64) {
        _ = SystemClock.shared.schedule(after: .milliseconds(1)) { [weak self] in
            guard let self, followsSystem, let manual else { return }
            let now = SystemClock.shared.now
            manual.advance(to: manual.now + (now - last))
            follow(from: now)
        }
    }
}

/// A server's view of the common clock; after a crash nothing fires any more.
@Loop final class ServerClock: LoopClock {
    private let clock: ManualClock
    /// How time passes while somebody waits.
    let time: TestTime
    var isDead = false
    var isPaused = false
    private var buried: [@Loop () -> Void] = []
    private var late: [LateTimer] = []

    init(_ clock: ManualClock, _ time: TestTime) {
        self.clock = clock
        self.time = time
    }

    var now: UInt64 { clock.now }
    var wallMilliseconds: Int64 { clock.wallMilliseconds }

    func schedule(at deadline: UInt64, _ action: @escaping @Loop () -> Void) -> TimerID {
        let timer = LateTimer(action)
        let id = clock.schedule(at: deadline) {
            // Kept: a waiter that was dropped unanswered would be reported as a fault of the program.
            if self.isDead { return self.buried.append(action) }
            if self.isPaused { self.late.append(timer) } else { action() }
        }
        timer.id = id
        return id
    }

    func cancel(_ timer: TimerID) {
        late.removeAll { $0.id == timer }
        clock.cancel(timer)
    }

    /// Fires in order what has become due meanwhile, when what was sent has arrived.
    func resume() {
        isPaused = false
        _ = clock.schedule(at: clock.now) {
            // One by one: each may cancel others.
            while !self.late.isEmpty, !self.isPaused { self.late.removeFirst().action() }
        }
    }
}

/// A timer of a server that may be paused when it is due.
@Loop private final class LateTimer {
    var id: TimerID?
    let action: @Loop () -> Void

    init(_ action: @escaping @Loop () -> Void) { self.action = action }
}
