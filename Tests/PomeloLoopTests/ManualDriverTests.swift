// SPDX-License-Identifier: MIT
import PomeloLoop
import TestHelpers
import Testing

/// In processes of their own: the driver is chosen once per process.
@Suite struct ManualDriverTests {
    @Test func fifoKeepsTheCallOrderThroughRingGrowth() async {
        await #expect(processExitsWith: .success) {
            EventLoop.choose(.manual(.fifo))
            let order = startOrder(of: 5000)
            #expect(order == Array(0..<5000))
        }
    }

    @Test func theShuffleIsDecidedByItsSeed() async {
        let first = await shuffledOrder(seed: 1)
        #expect(first.count == 100)
        #expect(first.sorted() == Array(0..<100))
        #expect(first != first.sorted())
        #expect(await shuffledOrder(seed: 1) == first)
        #expect(await shuffledOrder(seed: 2) != first)
    }

    @Test func aTurnRunsJobsThenFlushes() async {
        await #expect(processExitsWith: .success) {
            EventLoop.choose(.manual(.fifo))
            EventLoop.shared.runTurn()
            Loop.assumeIsolated {
                let journal = Journal<String>()
                EventLoop.shared.flushList.append(Note(journal))
                Loop.spawn { journal.note("job") }
                #expect(journal.entries.isEmpty)
                #expect(EventLoop.shared.runTurn() == false)
                #expect(journal.entries == ["job", "flush"])
            }
        }
    }

    @Test func runUntilIdleTellsWorkThatNeverEnds() async {
        await #expect(processExitsWith: .success) {
            EventLoop.choose(.manual(.fifo))
            EventLoop.shared.runTurn()
            Loop.assumeIsolated {
                let stop = Journal<Void>()
                Loop.spawn {
                    while stop.entries.isEmpty { await Loop.yield() }
                }
                #expect(EventLoop.shared.runUntilIdle(limit: 10) == false)
                stop.note(())
                #expect(EventLoop.shared.runUntilIdle(limit: 10))
            }
        }
    }

    @Test func aSimulatedSleepTakesNoTime() async {
        await #expect(processExitsWith: .success) {
            EventLoop.choose(.manual(.shuffled(seed: 5)))
            EventLoop.shared.runTurn()
            Loop.assumeIsolated {
                let clock = ManualClock()
                let woke = Journal<Int>()
                for number in 0..<10 {
                    Loop.spawn {
                        await clock.sleep(for: .seconds(3600 * (10 - number)))
                        woke.note(number)
                    }
                }
                EventLoop.shared.runUntilIdle()
                while let next = clock.nextDeadline {
                    clock.advance(to: next)
                    EventLoop.shared.runUntilIdle()
                }
                #expect(woke.entries == Array((0..<10).reversed()))
            }
        }
    }

    @Test func theLoopThreadRefusesToBeTurnedByHand() async {
        await #expect(processExitsWith: .failure) { EventLoop.shared.runTurn() }
    }

    private func shuffledOrder(seed: UInt64) async -> [Int] {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            [seed = seed as UInt64] in
            EventLoop.choose(.manual(.shuffled(seed: seed)))
            print("order", startOrder(of: 100).map(String.init).joined(separator: " "))
        }
        let output = String(decoding: result?.standardOutputContent ?? [], as: UTF8.self)
        let line = output.split(separator: "\n").first { $0.hasPrefix("order ") } ?? ""
        return line.split(separator: " ").compactMap { Int($0) }
    }
}

/// The order in which tasks started in one go begin to run.
private func startOrder(of count: Int) -> [Int] {
    EventLoop.shared.runTurn()
    return Loop.assumeIsolated {
        let journal = Journal<Int>()
        for number in 0..<count { Loop.spawn { journal.note(number) } }
        EventLoop.shared.runUntilIdle()
        return journal.entries
    }
}

@Loop private final class Note: Flushable {
    private let journal: Journal<String>

    init(_ journal: Journal<String>) { self.journal = journal }

    func flushTurn() { journal.note("flush") }
}
