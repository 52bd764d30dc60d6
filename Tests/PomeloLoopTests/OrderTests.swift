// SPDX-License-Identifier: MIT
import CLibuv
import TestHelpers
import Testing

@testable import PomeloLoop

@Suite struct OrderTests {
    @Test @Loop func tasksStartInTheOrderOfTheCalls() async {
        let journal = Journal<Int>()
        for number in 0..<1000 { Loop.spawn { journal.note(number) } }
        await until("all ran") { journal.entries.count == 1000 }
        #expect(journal.entries == Array(0..<1000))
    }

    @Test @Loop func bodiesBeginInTheOrderOfTheCallsWaitOrNot() async {
        let journal = Journal<Int>()
        let gate = Door()
        for number in 0..<1000 {
            switch number % 3 {
            case 0: Loop.enqueueSynchronous { journal.note(number) }
            case 1: Loop.enqueue { journal.note(number) }
            default:
                Loop.enqueue {
                    journal.note(number)
                    await gate.pass()
                }
            }
        }
        #expect(journal.entries.isEmpty, "none runs inside the call")
        await until("all began") { journal.entries.count == 1000 }
        #expect(journal.entries == Array(0..<1000))
        gate.open()
    }

    @Test @Loop func aBodyIsCancelledAlone() async {
        let journal = Journal<String>()
        let gate = Door()
        let bodies = (0..<4).map { _ in QueuedBody() }
        let wait: @Loop @Sendable (Int) async -> Void = { number in
            await gate.pass()
            journal.note("\(number) \(Task.isCancelled)")
        }
        for number in 0..<2 { Loop.enqueue(bodies[number]) { await wait(number) } }
        Loop.enqueue(bodies[2]) { journal.note("2 \(bodies[2].isCancelled)") }
        bodies[2].cancel()
        await until("two wait") { gate.count == 2 && journal.entries == ["2 true"] }
        bodies[0].cancel()
        // Its task must not run others.
        Loop.enqueue(bodies[3]) { await wait(3) }
        await until("three wait") { gate.count == 3 }
        gate.open()
        // The task of the cancelled one goes on before any other does.
        Loop.enqueue { journal.note("4 \(Task.isCancelled)") }
        await until("all ended") { journal.entries.count == 5 }
        #expect(journal.entries.sorted() == ["0 true", "1 false", "2 true", "3 false", "4 false"])
        bodies[1].cancel()
        #expect(bodies[1].isCancelled)
    }

    @Test @Loop func tasksOfAForeignThreadStartInTheOrderOfItsCalls() async {
        let journal = Journal<Int>()
        onForeignThread {
            for number in 0..<1000 { Loop.spawn { journal.note(number) } }
        }
        await until("all ran") { journal.entries.count == 1000 }
        #expect(journal.entries == Array(0..<1000))
    }

    /// In a process of its own, where no other test takes part in the turns.
    @Test func everythingWrittenInATurnIsFlushedAfterItsJobs() async {
        await #expect(processExitsWith: .success) {
            let journal = Journal<String>()
            await inSpawnedTask {
                journal.note("job 1")
                Writer("a", journal).write()
                Loop.spawn {
                    journal.note("job 3")
                    Writer("c", journal).write()
                }
                Loop.spawn {
                    journal.note("job 4")
                    Writer("d", journal).write()
                }
                journal.note("job 2")
                Writer("b", journal).write()
            }
            let wanted = [
                "job 1", "job 2", "job 3", "job 4", "flush a", "flush b", "flush c", "flush d",
            ]
            await until("flushed") { journal.entries.count == wanted.count }
            let entries = await journal.entries
            #expect(entries == wanted)
        }
    }

    /// One `beginTurn` runs the job and flushes; the poll lies between two of them.
    @Test func aWriteOfAJobResumedFromATimerLeavesBeforeTheNextPoll() async {
        await #expect(processExitsWith: .success) {
            for _ in 0..<20 {
                let journal = Journal<Int>()
                await inSpawnedTask {
                    await SystemClock.shared.sleep(for: .milliseconds(1))
                    journal.note(EventLoop.shared.turns)
                    EventLoop.shared.flushList.append(TurnWriter(journal))
                }
                await until("flushed") { journal.entries.count == 2 }
                let turns = await journal.entries
                #expect(turns.first == turns.last)
            }
        }
    }

    @Test func exactly256AreFlushedInOneTurnAndTheRestInTheNext() async {
        await #expect(processExitsWith: .success) {
            let journal = Journal<Int>()
            await inSpawnedTask {
                for _ in 0..<600 { EventLoop.shared.flushList.append(TurnWriter(journal)) }
            }
            await until("flushed") { journal.entries.count == 600 }
            let turns = await journal.entries
            let first = turns.first ?? 0
            #expect(turns.map { $0 - first } == (0..<600).map { $0 / 256 })
        }
    }

    @Test func exactlyOnePrepareAndOneCheckHandleExist() async {
        let counts = await handleCounts()
        for type in [UV_PREPARE, UV_CHECK, UV_TIMER, UV_IDLE] {
            #expect(counts[type.rawValue] == 1, "type \(type.rawValue)")
        }
    }
}

@Suite struct FlushListTests {
    @Test @Loop func theRestWaitsForTheNextTurnInOrder() {
        let list = FlushList()
        let journal = Journal<String>()
        for number in 0..<300 { list.append(Writer("\(number)", journal)) }
        list.flush()
        #expect(journal.entries.count == 256 && !list.isEmpty)
        list.flush()
        #expect(journal.entries == (0..<300).map { "flush \($0)" })
        #expect(list.isEmpty)
    }

    @Test @Loop func whatBecomesDirtyDuringTheFlushIsFlushedInTheSameTurn() {
        let list = FlushList()
        let journal = Journal<String>()
        let late = Writer("late", journal)
        list.append(Writer("first", journal) { list.append(late) })
        list.append(Writer("second", journal))
        list.flush()
        #expect(journal.entries == ["flush first", "flush second", "flush late"])
        #expect(list.isEmpty)
    }

    @Test @Loop func oneThatIsAlwaysDirtyDoesNotHoldTheTurn() {
        let list = FlushList()
        let journal = Journal<String>()
        let endless = EndlessWriter(list, journal)
        list.append(endless)
        list.flush()
        #expect(journal.entries.count == 256 && !list.isEmpty)
        endless.wanted = false
        list.flush()
        #expect(list.isEmpty)
    }

    @Test @Loop func lastingOverloadKeepsNothingThatWasFlushed() {
        let list = FlushList()
        let journal = Journal<String>()
        weak var first: Writer?
        for turn in 0..<50 {
            for number in 0..<300 {
                let writer = Writer("\(turn).\(number)", journal)
                if turn == 0, number == 0 { first = writer }
                list.append(writer)
            }
            list.flush()
        }
        #expect(first == nil)
        #expect(journal.entries.count == 50 * 256)
        #expect(journal.entries.last == "flush 42.199")
    }
}

/// Notes its own flush.
@Loop private final class Writer: Flushable {
    private let name: String
    private let journal: Journal<String>
    private let also: @Loop () -> Void

    init(_ name: String, _ journal: Journal<String>, also: @escaping @Loop () -> Void = {}) {
        self.name = name
        self.journal = journal
        self.also = also
    }

    func write() { EventLoop.shared.flushList.append(self) }

    func flushTurn() {
        journal.note("flush \(name)")
        also()
    }
}

/// Notes the turn in which it was flushed.
@Loop private final class TurnWriter: Flushable {
    private let journal: Journal<Int>

    init(_ journal: Journal<Int>) { self.journal = journal }

    func flushTurn() { journal.note(EventLoop.shared.turns) }
}

/// Dirty again as soon as it is flushed.
@Loop private final class EndlessWriter: Flushable {
    var wanted = true
    private let list: FlushList
    private let journal: Journal<String>

    init(_ list: FlushList, _ journal: Journal<String>) {
        self.list = list
        self.journal = journal
    }

    func flushTurn() {
        journal.note("again")
        if wanted { list.append(self) }
    }
}
