// SPDX-License-Identifier: MIT
import Glibc
import Pomelo

/// Finds the longest turn of the loop: a timer of 1 ms, how late it came, and the CPU time used since it last came.
///
/// The loop's timers count whole milliseconds, so an idle loop shows up to 2 ms. On a machine with other work the
/// lateness also counts how long the process waited for a CPU, which the CPU time does not. It runs only while asked
/// to, for its wake-ups would count in other measurements.
@Loop final class LagMeter {
    private static let interval = Duration.milliseconds(1)
    private let clock: any LoopClock
    private var timer: TimerID?
    private var longest: UInt64 = 0
    private var longestCPU = 0
    private var firstTurn = 0

    init(clock: any LoopClock) { self.clock = clock }

    func answer(_ query: BenchAPI.Watch) -> BenchAPI.Lag {
        let lag = BenchAPI.Lag(
            longestMicroseconds: Int(longest / 1000), longestCPUMicroseconds: longestCPU,
            turns: EventLoop.shared.turns - firstTurn)
        if let timer { clock.cancel(timer) }
        timer = nil
        if query.watch {
            longest = 0
            longestCPU = 0
            firstTurn = EventLoop.shared.turns
            watch()
        }
        return lag
    }

    private func watch() {
        let due = clock.deadline(after: Self.interval)
        let used = Glibc.clock()
        timer = clock.schedule(at: due) { [self] in
            longest = max(longest, clock.now - due)
            // CLOCKS_PER_SEC is a million wherever there is POSIX.
            longestCPU = max(longestCPU, Glibc.clock() - used)
            watch()
        }
    }
}
