// SPDX-License-Identifier: MIT

/// Time as an application sees it: monotonic, wall, and timers; one per application, so tests can own it.
@Loop public protocol LoopClock: AnyObject {
    /// Monotonic time in nanoseconds, from an arbitrary origin.
    var now: UInt64 { get }
    /// Unix time in milliseconds; may step.
    var wallMilliseconds: Int64 { get }
    /// Runs `action` once, not before `deadline` (monotonic nanoseconds); equal deadlines fire in call order.
    func schedule(at deadline: UInt64, _ action: @escaping @Loop () -> Void) -> TimerID
    /// Runs `action` once, between two instants: when another timer wakes the loop meanwhile, else at `latest`.
    ///
    /// For what is done again and again and may be done sooner: one wake serves many.
    func schedule(from earliest: UInt64, to latest: UInt64, _ action: @escaping @Loop () -> Void) -> TimerID
    /// Forgets a timer; one that has fired is ignored.
    func cancel(_ timer: TimerID)
}

extension LoopClock {
    /// At `latest`: for clocks whose wakes cost nothing.
    public func schedule(
        from earliest: UInt64, to latest: UInt64, _ action: @escaping @Loop () -> Void
    ) -> TimerID {
        schedule(at: latest, action)
    }

    /// Runs `action` once, after `delay`.
    public func schedule(after delay: Duration, _ action: @escaping @Loop () -> Void) -> TimerID {
        schedule(at: deadline(after: delay), action)
    }

    /// The monotonic instant `delay` from now, in nanoseconds; saturates.
    public func deadline(after delay: Duration) -> UInt64 { deadline(after: delay, from: now) }

    /// The monotonic instant `delay` after another, in nanoseconds; saturates.
    public func deadline(after delay: Duration, from start: UInt64) -> UInt64 {
        let (sum, overflow) = start.addingReportingOverflow(delay.clampedNanoseconds)
        return overflow ? .max : sum
    }

    /// The time left until a monotonic instant; zero when it has passed.
    package func left(until deadline: UInt64) -> Duration {
        .nanoseconds(Int64(clamping: deadline - min(deadline, now)))
    }

    /// The time that has passed since a monotonic instant; zero when it is still to come.
    package func elapsed(since start: UInt64) -> Duration {
        let now = now
        return .nanoseconds(Int64(clamping: now - min(start, now)))
    }

    /// Suspends for `delay` without leaving the loop; returns early when the task is cancelled.
    ///
    /// A cancelled task does not sleep at all, so a loop with a sleep in it has to look for that.
    public func sleep(for delay: Duration) async {
        if Task.isCancelled { return }
        let end = FirstOutcome<Void>()
        let timer = schedule(after: delay) { end.end() }
        await withTaskCancellationHandler {
            await end.wait()
        } onCancel: {
            Loop.spawn { end.end() }
        }
        cancel(timer)
    }
}

extension LoopClock {
    /// Awaits `body`, but not longer than `limit`; nil when the time was up: then its task is cancelled, and what it
    /// still returns is dropped.
    public func within<T: Sendable>(
        _ limit: Duration, _ body: @escaping @Loop @Sendable () async throws -> T
    ) async throws -> T? {
        let end = FirstOutcome<Result<T?, any Error>>()
        let task = Loop.spawn {
            do { end.end(with: .success(try await body())) } catch { end.end(with: .failure(error)) }
        }
        let timer = schedule(after: limit) {
            end.end(with: .success(nil))
            task.cancel()
        }
        let result = await end.wait()
        cancel(timer)
        return try result.get()
    }
}

extension Duration {
    /// Whole nanoseconds, negative durations as 0, too long ones saturated.
    public var clampedNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        if seconds < 0 || attoseconds < 0 { return 0 }
        let (high, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max : high &+ UInt64(attoseconds) / 1_000_000_000
    }

    /// Whole milliseconds, rounded up, negative durations as 0.
    public var clampedMilliseconds: Int64 {
        let (whole, rest) = clampedNanoseconds.quotientAndRemainder(dividingBy: 1_000_000)
        return Int64(whole) + (rest == 0 ? 0 : 1)
    }
}

/// The process's own time: `uv_hrtime` and one uv timer under a heap.
///
/// The uv timer is set once in a turn, before the poll: what is scheduled and cancelled in between costs no more than
/// its place in the heap, and the loop does not wake for a timer that was cancelled.
@Loop public final class SystemClock: LoopClock {
    /// The one instance: the loop has one timer.
    public static let shared = SystemClock()
    private var heap = TimerHeap()
    /// Timers that may fire before they are due; those that have fired, or were cancelled, until the next look.
    private var early: [(from: UInt64, timer: TimerID)] = []
    /// What the uv timer is set to; nil when it is not.
    private var armed: UInt64?

    private init() {}

    /// `uv_hrtime`, in nanoseconds.
    public var now: UInt64 { EventLoop.shared.monotonicNanoseconds }
    /// The system's real-time clock, in milliseconds since 1970.
    public var wallMilliseconds: Int64 { EventLoop.shared.wallMilliseconds }
    /// Timers that have not fired yet.
    public var pendingTimers: Int { heap.count }

    /// Puts a timer into the heap.
    public func schedule(at deadline: UInt64, _ action: @escaping @Loop () -> Void) -> TimerID {
        heap.insert(at: deadline, action)
    }

    /// Puts a timer into the heap that may fire together with any that fires after `earliest`.
    public func schedule(
        from earliest: UInt64, to latest: UInt64, _ action: @escaping @Loop () -> Void
    ) -> TimerID {
        let timer = heap.insert(at: latest, action)
        early.append((earliest, timer))
        return timer
    }

    /// Takes a timer out of the heap; one that has fired is ignored.
    public func cancel(_ timer: TimerID) { heap.remove(timer) }

    /// Called by the driver after a poll that began at `instant`: what was due then has been waited for.
    func fire(until instant: UInt64) {
        armed = nil
        while let action = heap.popDue(instant) { action() }
        fireEarly(instant)
    }

    /// The loop is awake: what may be done now need not wake it again.
    private func fireEarly(_ instant: UInt64) {
        let timers = early
        early = []
        for (from, timer) in timers {
            if from > instant {
                if heap.holds(timer) { early.append((from, timer)) }
            } else if let action = heap.pop(timer) {
                action()
            }
        }
    }

    /// Called by the driver before it polls: the poll ends when the earliest timer is due.
    func arm() {
        let earliest = heap.earliest
        if armed == earliest { return }
        armed = earliest
        EventLoop.shared.armTimer(at: earliest)
    }
}

/// Time that moves only when told to, for tests and simulation.
@Loop public final class ManualClock: LoopClock {
    /// Monotonic nanoseconds, from one second on; only `advance` moves it.
    public private(set) var now: UInt64 = 1_000_000_000
    private var wallOffset: Int64
    private var heap = TimerHeap()

    /// Starts at the given Unix time.
    public nonisolated init(wallMilliseconds: Int64 = 1_700_000_000_000) {
        wallOffset = wallMilliseconds - 1000
    }

    /// Moves with `now`, and by `stepWall`.
    public var wallMilliseconds: Int64 { wallOffset + Int64(now / 1_000_000) }
    /// The earliest deadline that is still to come.
    public var nextDeadline: UInt64? { heap.earliest }
    /// Timers that have not fired yet.
    public var pendingTimers: Int { heap.count }

    /// Keeps the action until `advance` reaches its deadline, even one that has passed.
    public func schedule(at deadline: UInt64, _ action: @escaping @Loop () -> Void) -> TimerID {
        heap.insert(at: deadline, action)
    }

    /// Forgets a timer; one that has fired is ignored.
    public func cancel(_ timer: TimerID) { heap.remove(timer) }

    /// Moves time forward and fires what became due, in deadline order.
    public func advance(to instant: UInt64) {
        while let due = heap.earliest, due <= instant {
            now = max(now, due)
            heap.popDue(now)?()
        }
        now = max(now, instant)
    }

    /// Moves time forward by `duration` and fires what became due.
    public func advance(by duration: Duration) { advance(to: deadline(after: duration)) }

    /// Steps the wall clock only, as an administrator or NTP does.
    public func stepWall(byMilliseconds step: Int64) { wallOffset += step }
}
