// SPDX-License-Identifier: MIT
import Synchronization
import TestHelpers
import Testing

@testable import PomeloLoop

@Suite struct FairnessTests {
    /// A way in which tasks keep the loop busy for ever.
    struct Load: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let start: @Loop @Sendable (Switch) -> Void
    }

    @Loop final class Switch {
        var stopped = false
        var running = 0
    }

    static let loads = [
        Load(testDescription: "tasks that only yield") { stop in
            stop.running += 1
            Loop.spawn {
                while !stop.stopped { await Loop.yield() }
                stop.running -= 1
            }
        },
        Load(testDescription: "tasks that start their successor") { stop in
            stop.running += 1
            Loop.spawn { respawn(stop) }
        },
    ]

    @Loop private static func respawn(_ stop: Switch) {
        if stop.stopped { stop.running -= 1 } else { Loop.spawn { respawn(stop) } }
    }

    @Test(arguments: loads)
    @Loop func twoHundredTasksThatNeverStopDoNotStarveATimer(load: Load) async {
        let stop = Switch()
        let fired = Journal<UInt64>()
        for _ in 0..<200 { load.start(stop) }
        @Loop func tick() {
            fired.note(SystemClock.shared.now)
            if fired.entries.count < 5 { _ = SystemClock.shared.schedule(after: .milliseconds(1)) { tick() } }
        }
        _ = SystemClock.shared.schedule(after: .milliseconds(1)) { tick() }
        await until("the timer fired five times") { fired.entries.count == 5 }
        stop.stopped = true
        await until("all tasks ended") { stop.running == 0 }
    }

    /// In a process of its own, where no other test takes part in the turns.
    @Test func bodiesThatShareATaskCountOneByOneAgainstTheTurn() async {
        await #expect(processExitsWith: .success) {
            let turnOf = Journal<Int>()
            await inSpawnedTask {
                for _ in 0..<5000 { Loop.enqueue { turnOf.note(EventLoop.shared.turns) } }
            }
            await until("all ran") { turnOf.entries.count == 5000 }
            let perTurn = await Dictionary(grouping: turnOf.entries) { $0 }.values.map(\.count)
            // A turn runs jobs up to three times: before its poll, when it is woken, and after its poll.
            #expect(perTurn.allSatisfy { $0 <= 3 * EventLoop.jobBudget }, "\(perTurn)")
        }
    }

    @Test func synchronousBodiesCountTooAndLetTasksHaveTheirTurn() async {
        await #expect(processExitsWith: .success) {
            let turnOf = Journal<Int>()
            let before = await inSpawnedTask {
                for _ in 0..<5000 { Loop.enqueueSynchronous { turnOf.note(EventLoop.shared.turns) } }
                return await withCheckedContinuation { continuation in
                    Loop.spawn { continuation.resume(returning: turnOf.entries.count) }
                }
            }
            #expect(before <= 32, "a task waits for two handfuls at most")
            await until("all ran") { turnOf.entries.count == 5000 }
            let perTurn = await Dictionary(grouping: turnOf.entries) { $0 }.values.map(\.count)
            #expect(perTurn.allSatisfy { $0 <= 3 * EventLoop.jobBudget }, "\(perTurn)")
        }
    }

    @Test @Loop func whatIsLeftForTheNextTurnRunsInIt() async {
        let turn = EventLoop.shared.turns
        let ran = Journal<Int>()
        EventLoop.shared.inNextTurn { ran.note(EventLoop.shared.turns) }
        await until("it ran") { !ran.entries.isEmpty }
        #expect(ran.entries == [turn + 1])
    }

    @Test @Loop func yieldLetsTheJobsQueuedNowRunFirst() async {
        let journal = Journal<String>()
        await inSpawnedTask {
            for number in 1...3 { Loop.spawn { journal.note("queued \(number)") } }
            await Loop.yield()
            journal.note("resumed")
        }
        #expect(journal.entries == ["queued 1", "queued 2", "queued 3", "resumed"])
    }

    @Test @Loop func callsPostedByForeignThreadsAllRunOnceAndInOrder() async {
        let seen = Journal<(thread: Int, number: Int)>()
        let offLoop = Journal<Void>()
        for thread in 0..<4 {
            onForeignThread {
                for number in 0..<10_000 {
                    EventLoop.shared.post {
                        seen.note((thread, number))
                        if !EventLoop.shared.isOnLoop { offLoop.note(()) }
                    }
                }
            }
        }
        await until("all ran") { seen.entries.count >= 40_000 }
        #expect(seen.entries.count == 40_000)
        #expect(offLoop.entries.isEmpty)
        for thread in 0..<4 {
            let numbers = seen.entries.filter { $0.thread == thread }.map(\.number)
            #expect(numbers == Array(0..<10_000))
        }
    }

    @Test @Loop func postFromTheLoopItselfRunsLater() async {
        let journal = Journal<String>()
        EventLoop.shared.post { journal.note("posted") }
        journal.note("caller")
        await until("it ran") { journal.entries.count == 2 }
        #expect(journal.entries == ["caller", "posted"])
    }

    @Test @Loop func continuationsResumedByForeignThreadsAllArrive() async {
        let arrived = Journal<Int>()
        for number in 0..<500 {
            Loop.spawn {
                let value: Int = await withCheckedContinuation { continuation in
                    onForeignThread { continuation.resume(returning: number) }
                }
                arrived.note(value)
            }
        }
        await until("all arrived") { arrived.entries.count == 500 }
        #expect(arrived.entries.sorted() == Array(0..<500))
    }
}
