// SPDX-License-Identifier: MIT
import Glibc
import Testing

@testable import PomeloLoop

@Suite struct WatchdogTests {
    @Test @Loop func aStallIsReportedOnceAndSaysWhereItHangs() async {
        let stalls = PosixMutex<[Watchdog.Stall]>([])
        let watchdog = Watchdog(limitMilliseconds: 100) { stall in stalls.withLock { $0.append(stall) } }
        defer { watchdog.stop() }
        for _ in 0..<2 {
            // The watchdog asks at its own pace, so let it ask; then hang until it complains, and go on hanging.
            let before = stalls.withLock(\.count)
            let during = hangUntil(atLeast: 300_000) { stalls.withLock(\.count) > before }
            #expect(during, "not reported")
            hang(microseconds: 300_000)
            let reported = stalls.withLock { Array($0.dropFirst(before)) }
            #expect(reported.count == 1)
            #expect(reported.first.map { $0.milliseconds > 100 } == true)
            #expect(
                reported.first?.backtrace.contains("usleep") == true, "\(reported.first?.backtrace ?? "")")
            await turns(3)
        }
    }

    /// Returns false when nothing happened for 20 s.
    @inline(never) private func hangUntil(atLeast microseconds: UInt32, _ done: () -> Bool) -> Bool {
        usleep(microseconds)
        for _ in 0..<2000 where !done() { usleep(10_000) }
        return done()
    }

    @inline(never) private func hang(microseconds: UInt32) { usleep(microseconds) }

    @Loop private func turns(_ count: Int) async {
        let wanted = EventLoop.shared.turns + count
        await until("the loop turned") { EventLoop.shared.turns >= wanted }
    }
}
