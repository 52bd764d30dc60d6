// SPDX-License-Identifier: MIT
import TestHelpers
import Testing

@testable import PomeloLoop

@Suite struct SystemClockTests {
    @Loop private var clock: SystemClock { SystemClock.shared }

    @Test @Loop func firesInDeadlineOrderAndNeverEarly() async {
        let fired = Journal<Int>()
        let base = clock.now + 2_000_000
        let offsets: [UInt64] = [300_000, 0, 5_000_000, 0, 300_000, 2_999_999]
        let early = Journal<Int>()
        for (index, offset) in offsets.enumerated() {
            _ = clock.schedule(at: base + offset) {
                if self.clock.now < base + offset { early.note(index) }
                fired.note(index)
            }
        }
        await until("all fired") { fired.entries.count == offsets.count }
        #expect(fired.entries == [1, 3, 0, 4, 5, 2])
        #expect(early.entries.isEmpty)
    }

    @Test @Loop func aCancelledTimerDoesNotFire() async {
        let fired = Journal<String>()
        let cancelled = clock.schedule(after: .milliseconds(1)) { fired.note("cancelled") }
        _ = clock.schedule(after: .milliseconds(3)) { fired.note("last") }
        clock.cancel(cancelled)
        clock.cancel(cancelled)
        await until("the later one fired") { !fired.entries.isEmpty }
        #expect(fired.entries == ["last"])
    }

    @Test @Loop func aTimerInThePastFiresInALaterCall() async {
        let fired = Journal<String>()
        _ = clock.schedule(at: 0) { fired.note("timer") }
        fired.note("caller")
        await until("it fired") { fired.entries.count == 2 }
        #expect(fired.entries == ["caller", "timer"])
    }

    @Test @Loop func anEarlierTimerOvertakesTheArmedOne() async {
        let fired = Journal<String>()
        let late = clock.schedule(after: .seconds(3600)) { fired.note("late") }
        _ = clock.schedule(after: .milliseconds(1)) { fired.note("early") }
        await until("the early one fired") { !fired.entries.isEmpty }
        clock.cancel(late)
        #expect(fired.entries == ["early"])
    }

    @Test @Loop func oneWakeServesTimersThatMayFireEarlier() async {
        let fired = Journal<String>()
        let now = clock.now
        let hour = now + 3_600_000_000_000
        let cancelled = clock.schedule(from: now, to: hour) { fired.note("cancelled") }
        _ = clock.schedule(from: now, to: hour) { fired.note("early") }
        let later = clock.schedule(from: now + 1_800_000_000_000, to: hour) { fired.note("too early") }
        _ = clock.schedule(from: now, to: now) { fired.note("at its end") }
        clock.cancel(cancelled)
        await until("both fired") { fired.entries.count == 2 }
        clock.cancel(later)
        #expect(fired.entries == ["at its end", "early"])
    }

    @Test @Loop func aTimerMayCancelItsNeighbourOfTheSameInstant() async {
        let fired = Journal<Int>()
        let instant = clock.now + 1_000_000
        let ids = Journal<TimerID>()
        _ = clock.schedule(at: instant) {
            fired.note(1)
            self.clock.cancel(ids.entries[0])
        }
        ids.note(clock.schedule(at: instant) { fired.note(2) })
        _ = clock.schedule(at: instant) { fired.note(3) }
        await until("the third fired") { fired.entries.last == 3 }
        #expect(fired.entries == [1, 3])
    }

    @Test @Loop func wallTimeIsUnixTime() {
        #expect(clock.wallMilliseconds > 1_700_000_000_000)
    }
}

@Suite struct ManualClockTests {
    @Test @Loop func movesOnlyWhenToldAndFiresInOrder() {
        let clock = ManualClock()
        let fired = Journal<String>()
        _ = clock.schedule(after: .milliseconds(20)) {
            fired.note("20 at \((clock.now - 1_000_000_000) / 1_000_000)")
        }
        _ = clock.schedule(after: .milliseconds(10)) {
            fired.note("10")
            _ = clock.schedule(after: .milliseconds(5)) { fired.note("10 + 5") }
        }
        #expect(clock.nextDeadline == 1_010_000_000)
        clock.advance(by: .milliseconds(9))
        #expect(fired.entries.isEmpty)
        clock.advance(by: .milliseconds(100))
        #expect(fired.entries == ["10", "10 + 5", "20 at 20"])
        #expect(clock.now == 1_109_000_000 && clock.pendingTimers == 0)
    }

    @Test @Loop func theWallFollowsAndMaySteps() {
        let clock = ManualClock(wallMilliseconds: 5000)
        #expect(clock.wallMilliseconds == 5000)
        clock.advance(by: .seconds(2))
        #expect(clock.wallMilliseconds == 7000)
        let before = clock.now
        clock.stepWall(byMilliseconds: -6000)
        #expect(clock.wallMilliseconds == 1000 && clock.now == before)
    }
}

@Suite struct SleepTests {
    @Test @Loop func endsWhenItsTimeHasCome() async {
        let clock = ManualClock()
        let ended = Journal<Void>()
        Loop.spawn {
            await clock.sleep(for: .seconds(5))
            ended.note(())
        }
        await until("it sleeps") { clock.pendingTimers == 1 }
        clock.advance(by: .seconds(4))
        await Loop.yield()
        #expect(ended.entries.isEmpty)
        clock.advance(by: .seconds(1))
        await until("it woke") { ended.entries.count == 1 }
    }

    @Test @Loop func cancellationEndsItAndForgetsTheTimer() async {
        let clock = ManualClock()
        let task = Loop.spawn { await clock.sleep(for: .seconds(5)) }
        await until("it sleeps") { clock.pendingTimers == 1 }
        task.cancel()
        await task.value
        #expect(clock.pendingTimers == 0)
    }

    @Test @Loop func aCancelledTaskDoesNotSleep() async {
        let clock = ManualClock()
        let task = Loop.spawn {
            while !Task.isCancelled { await Loop.yield() }
            await clock.sleep(for: .seconds(5))
        }
        task.cancel()
        await task.value
        #expect(clock.pendingTimers == 0)
    }

    /// The cancelling thread races with the timer; each sleeper must wake exactly once.
    @Test @Loop func cancellationFromAForeignThreadRacesSafely() async {
        let ended = Journal<Void>()
        for _ in 0..<300 {
            let task = Loop.spawn {
                await SystemClock.shared.sleep(for: .microseconds(500))
                ended.note(())
            }
            onForeignThread { task.cancel() }
        }
        await until("all woke") { ended.entries.count == 300 }
    }
}

@Suite struct WithinTests {
    @Test @Loop func aBodyInTimeGivesItsValueAndForgetsTheTimer() async throws {
        let clock = ManualClock()
        #expect(try await clock.within(.seconds(1)) { "done" } == "done")
        #expect(clock.pendingTimers == 0)
    }

    @Test @Loop func aBodyTooLateGivesNilAndIsCancelled() async throws {
        let clock = ManualClock()
        let cancelled = Journal<Bool>()
        Loop.spawn {
            await until("both timers run") { clock.pendingTimers == 2 }
            clock.advance(by: .seconds(1))
        }
        let value = try await clock.within(.seconds(1)) {
            await clock.sleep(for: .seconds(2))
            cancelled.note(Task.isCancelled)
            return "late"
        }
        #expect(value == nil)
        await until("the body ended") { cancelled.entries == [true] }
        #expect(clock.pendingTimers == 0)
    }

    @Test @Loop func anErrorPasses() async {
        let clock = ManualClock()
        await #expect(throws: Refusal.self) {
            _ = try await clock.within(.seconds(1)) { () async throws -> Int in throw Refusal() }
        }
        #expect(clock.pendingTimers == 0)
    }
}

@Suite struct DurationTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let duration: Duration
        let nanoseconds: UInt64
        let milliseconds: Int64
        var testDescription: String { "\(duration)" }
    }

    static let cases = [
        Case(duration: .zero, nanoseconds: 0, milliseconds: 0),
        Case(duration: .nanoseconds(1), nanoseconds: 1, milliseconds: 1),
        Case(duration: .microseconds(1500), nanoseconds: 1_500_000, milliseconds: 2),
        Case(duration: .seconds(2), nanoseconds: 2_000_000_000, milliseconds: 2000),
        Case(duration: .seconds(-1), nanoseconds: 0, milliseconds: 0),
        Case(duration: .milliseconds(-1), nanoseconds: 0, milliseconds: 0),
        Case(duration: .seconds(Int64.max), nanoseconds: .max, milliseconds: 18_446_744_073_710),
    ]

    @Test(arguments: cases) func isClamped(test: Case) {
        #expect(test.duration.clampedNanoseconds == test.nanoseconds)
        #expect(test.duration.clampedMilliseconds == test.milliseconds)
    }

    @Test @Loop func aDeadlineSaturates() {
        let clock = ManualClock()
        #expect(clock.deadline(after: .seconds(Int64.max)) == .max)
        #expect(clock.deadline(after: .seconds(-5)) == clock.now)
    }
}
