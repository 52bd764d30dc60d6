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
            for _ in 0..<10 where hangs(in: stalls).count < 2 {
                await inSpawnedTask { expectOneReport(of: stalls) { usleep(500_000) } }
                await inSpawnedTask { await Loop.yield() }
            }
            watchdog.stop()
            let seen = stalls.withLock { $0 }
            #expect(seen.allSatisfy { $0.milliseconds > 100 && !$0.backtrace.isEmpty })
            #expect(hangs(in: stalls).count >= 2, "\(seen.map(\.backtrace))")
            #expect(hangs(in: stalls).contains { $0.backtrace.contains("usleep") })
        }
    }

    @Test func aSystemCallOfTheLoopIsNotInterrupted() async {
        await #expect(processExitsWith: .success) {
            let stalls = PosixMutex<[Watchdog.Stall]>([])
            let watchdog = Watchdog(limitMilliseconds: 50) { stall in stalls.withLock { $0.append(stall) } }
            let (slept, polled) = await inSpawnedTask { (sleeping(600_000), polling(600)) }
            watchdog.stop()
            #expect(slept == 0 && polled == 0, "nanosleep and poll were not interrupted")
            #expect(stalls.withLock { !$0.isEmpty })
        }
    }

    @Test func whatComputesIsFoundToo() async {
        await #expect(processExitsWith: .success) {
            let stalls = PosixMutex<[Watchdog.Stall]>([])
            let watchdog = Watchdog(limitMilliseconds: 50) { stall in stalls.withLock { $0.append(stall) } }
            _ = await inSpawnedTask { computing(until: { stalls.withLock { !$0.isEmpty } }) }
            watchdog.stop()
            let seen = stalls.withLock { $0 }
            #expect(seen.contains { $0.backtrace.contains("computing") }, "\(seen.map(\.backtrace))")
        }
    }

    /// What is written last is the reason of an end, and not that the end took long.
    @Test func nothingIsReportedOnceItIsStopped() async {
        await #expect(processExitsWith: .success) {
            let (begun, done) = (PosixMutex(false), PosixMutex(0))
            let watchdog = Watchdog(limitMilliseconds: 50) { _ in
                begun.withLock { $0 = true }
                usleep(200_000)
                done.withLock { $0 += 1 }
            }
            let (then, later) = await inSpawnedTask {
                _ = computing(until: { begun.withLock { $0 } })
                watchdog.stop()
                let then = done.withLock { $0 }
                usleep(400_000)
                return (then, done.withLock { $0 })
            }
            #expect(then == 1 && later == 1)
        }
    }

    /// Who watches a loop that sleeps must not wake it: that was most of what an idle process cost.
    @Test func anIdleLoopIsNotWoken() async {
        await #expect(processExitsWith: .success) {
            let watchdog = Watchdog(limitMilliseconds: 20) { _ in }
            // The loop's own turns end; then it polls, and the turns stand still while the watchdog looks on.
            var turns = -1
            for _ in 0..<50 where turns != EventLoop.shared.turns {
                turns = EventLoop.shared.turns
                usleep(200_000)
            }
            #expect(turns == EventLoop.shared.turns && EventLoop.shared.busySince == 0)
            watchdog.stop()
        }
    }
}

/// Nothing else can end the stall while `hang` runs.
///
/// What is reported meanwhile and was elsewhere is an older one, whose names took long to find.
@inline(never)
@Loop private func expectOneReport(of stalls: PosixMutex<[Watchdog.Stall]>, _ hang: () -> Void) {
    let before = hangs(in: stalls).count
    hang()
    #expect(hangs(in: stalls).count - before <= 1)
}

/// The stalls that were made here; on a busy machine a turn may be slow elsewhere too.
private func hangs(in stalls: PosixMutex<[Watchdog.Stall]>) -> [Watchdog.Stall] {
    stalls.withLock { $0.filter { $0.backtrace.contains("expectOneReport") } }
}

/// The time that is left when it returns, as the kernel says; 0 when it was not interrupted.
@Loop private func sleeping(_ microseconds: Int) -> Int {
    var wanted = timespec(tv_sec: 0, tv_nsec: microseconds * 1000)
    var left = timespec()
    return unsafe nanosleep(&wanted, &left) == 0 ? 0 : max(1, left.tv_nsec)
}

/// What `poll` returns: 0 for its time being up.
@Loop private func polling(_ milliseconds: Int32) -> Int32 { poll(nil, 0, milliseconds) }

@inline(never)
@Loop private func computing(until isEnough: () -> Bool) -> Int {
    var sum = 0
    while !isEnough() { sum &+= 1 }
    return sum
}
