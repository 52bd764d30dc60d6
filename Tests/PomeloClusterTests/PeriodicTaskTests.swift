// SPDX-License-Identifier: MIT
import PomeloLoop
import TestHelpers
import Testing

@testable import PomeloCluster

@Suite struct PeriodicTaskTests {
    /// Pings, looks for pauses and comparisons of what is published may be done at any second look: they have a wake of
    /// their own only where two looks take longer than a second.
    @Test @Loop func twoLooksTakeBetweenNineTenthsOfASecondAndAWhole() async {
        let clock = ManualClock()
        let looks = Journal<UInt64>()
        let task = PeriodicTask(every: .milliseconds(500), clock, RandomSource(seed: 7)) { looks.note(clock.now) }
        let start = clock.now
        task.start()
        for count in 1...100 {
            await until("the next look is due") { clock.pendingTimers == 1 }
            clock.advance(to: clock.nextDeadline ?? clock.now)
            await until("it looked") { looks.entries.count == count }
        }
        task.stop()
        let pauses = zip([start] + looks.entries, looks.entries).map { $1 - $0 }
        #expect(pauses.allSatisfy { (450_000_000...480_000_000).contains($0) })
        #expect(Set(pauses).count > 90, "servers that look at the same time do not stay in step")
    }
}
