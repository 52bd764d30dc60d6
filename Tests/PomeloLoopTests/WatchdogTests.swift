// SPDX-License-Identifier: MIT
import Glibc
import Testing

@testable import PomeloLoop

/// In processes of their own: nothing else shall stall the loop, or be stalled.
@Suite struct WatchdogTests {
    @Test func aStallIsReportedOnceAndSaysWhereItHangs() async {
        await #expect(processExitsWith: .success) {
            let stalls = PosixMutex<[Watchdog.Stall]>([])
            let watchdog = Watchdog(limitMilliseconds: 100) { stall in stalls.withLock { $0.append(stall) } }
            // A turn that was slow by itself may have been reported before its hang begins, hence the attempts.
            for _ in 0..<10 where stalls.withLock(\.count) < 2 {
                await inSpawnedTask { expectOneReport(of: stalls) { usleep(500_000) } }
                await inSpawnedTask { await Loop.yield() }
            }
            watchdog.stop()
            let seen = stalls.withLock { $0 }
            #expect(seen.count >= 2)
            for stall in seen {
                #expect(stall.milliseconds > 100)
                #expect(!stall.backtrace.isEmpty)
            }
            #expect(seen.contains { $0.backtrace.contains("usleep") })
        }
    }
}

/// Nothing else can end the stall while `hang` runs, so whatever is reported meanwhile is about this one.
@Loop private func expectOneReport(of stalls: PosixMutex<[Watchdog.Stall]>, _ hang: () -> Void) {
    let before = stalls.withLock(\.count)
    hang()
    #expect(stalls.withLock(\.count) - before <= 1)
}
