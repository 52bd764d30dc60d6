// SPDX-License-Identifier: MIT

/// One timer for many deadlines: armed for the earliest, it looks through all of them when it fires.
///
/// Calls mostly end long before their deadline; a timer each would be armed and cancelled for nothing.
@Loop public final class DeadlineSweep {
    /// Deadlines closer together than this fall into one sweep.
    private static let grain: UInt64 = 1_000_000

    private let clock: any LoopClock
    private let sweep: @Loop (_ now: UInt64) -> UInt64?
    private var timer: TimerID?
    private var armed = UInt64.max

    /// `sweep` ends what is due and returns the earliest deadline that is left.
    public init(_ clock: any LoopClock, _ sweep: @escaping @Loop (_ now: UInt64) -> UInt64?) {
        self.clock = clock
        self.sweep = sweep
    }

    /// Arms the timer when this deadline comes before all that were noted.
    public func note(_ deadline: UInt64) {
        if deadline < armed { arm(deadline) }
    }

    /// Forgets what was noted.
    public func stop() {
        if let timer { clock.cancel(timer) }
        timer = nil
        armed = .max
    }

    private func arm(_ deadline: UInt64) {
        stop()
        armed = deadline
        timer = clock.schedule(at: deadline) { [weak self] in self?.fire() }
    }

    private func fire() {
        timer = nil
        armed = .max
        let now = clock.now
        if let next = sweep(now) { note(max(next, now &+ Self.grain)) }
    }
}
