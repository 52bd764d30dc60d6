// SPDX-License-Identifier: MIT
import PomeloLoop

/// How late the loop's timers fire: what a process has more work than time for shows here.
///
/// It is measured while somebody asks, by one timer at a time, and smoothed, so that one short stall means nothing.
@Loop final class LoopLag {
    private static let interval = Duration.milliseconds(50)

    private let clock: any LoopClock
    private var smoothed: UInt64 = 0
    private var isMeasuring = false

    init(_ clock: any LoopClock) { self.clock = clock }

    /// The lag as last measured; zero when nobody asked for a while.
    var current: Duration {
        measure()
        return .nanoseconds(Int64(clamping: smoothed))
    }

    private func measure() {
        guard !isMeasuring else { return }
        isMeasuring = true
        let due = clock.deadline(after: Self.interval)
        _ = clock.schedule(at: due) { [weak self] in self?.fired(due) }
    }

    private func fired(_ due: UInt64) {
        isMeasuring = false
        smoothed = (smoothed + clock.now - min(due, clock.now)) / 2
        // Ends when the lag has gone, also when nobody asks any more.
        if smoothed > 1_000_000 { measure() }
    }
}
