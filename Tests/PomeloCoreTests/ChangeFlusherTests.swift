// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// The engine under every store that is written behind, driven by what needs it least: keys and values.
@Suite struct ChangeFlusherTests {
    /// Scores by player: a key is written once however often it has changed, and so many wait at most.
    @Loop private final class Scores: PendingChanges {
        static let limit = 8
        let name = "scores"
        let clock = ManualClock()
        var mayWrite = true
        var isAway = false
        /// What the store has.
        private(set) var stored: [Text: Int] = [:]
        /// Calls begun, and the most under way at once.
        private(set) var calls = 0
        private(set) var mostAtOnce = 0
        private var atOnce = 0
        private var values: [Text: Int] = [:]
        private var dirty: Set<Text> = []
        private var underWay: Set<Text> = []
        private let gathering: Duration
        private(set) lazy var flusher = ChangeFlusher(
            self, .init(gathering: gathering), clock: clock, random: RandomSource(seed: 1),
            log: quiet)

        init(gathering: Duration = .zero) { self.gathering = gathering }

        var hasChanges: Bool { !dirty.isEmpty }

        /// False when too many others wait.
        @discardableResult
        func set(_ player: Text, _ score: Int) -> Bool {
            guard dirty.union(underWay).union([player]).count <= Self.limit else { return false }
            values[player] = score
            dirty.insert(player)
            flusher.kick()
            return true
        }

        func write() async throws {
            let batch = Dictionary(uniqueKeysWithValues: dirty.prefix(3).map { ($0, values[$0] ?? 0) })
            dirty.subtract(batch.keys)
            underWay = Set(batch.keys)
            calls += 1
            atOnce += 1
            mostAtOnce = max(mostAtOnce, atOnce)
            await clock.sleep(for: .milliseconds(10))
            atOnce -= 1
            underWay = []
            guard !isAway else {
                dirty.formUnion(batch.keys)
                throw PomeloError(.unreachable, "the store is away")
            }
            stored.merge(batch) { $1 }
        }

        func pass(_ milliseconds: Int) async {
            for _ in 0..<milliseconds / 10 {
                for _ in 0..<20 { await Loop.yield() }
                clock.advance(by: .milliseconds(10))
            }
            for _ in 0..<20 { await Loop.yield() }
        }
    }

    @Loop private func flush(_ scores: Scores) -> Journal<String> {
        let journal = Journal<String>()
        Loop.spawn { journal.note("\(await scores.flusher.flushed())") }
        return journal
    }

    @Loop private func stop(_ scores: Scores) -> Journal<String> {
        let journal = Journal<String>()
        Loop.spawn { journal.note(await failureCode { try await scores.flusher.stop() }) }
        return journal
    }

    @Test @Loop func manyChangesOfOneKeyAreOneWrite() async throws {
        let scores = Scores(gathering: .seconds(1))
        for score in 1...50 {
            scores.set("ann", score)
            await scores.pass(10)
        }
        #expect(scores.calls == 0)
        await scores.pass(700)
        #expect(scores.calls == 1 && scores.stored == ["ann": 50])
        await scores.pass(3000)
        #expect(scores.calls == 1)
    }

    @Test @Loop func whatChangesDuringAWriteIsWrittenAgain() async throws {
        let scores = Scores()
        scores.set("ann", 1)
        await scores.pass(0)
        scores.set("ann", 2)
        #expect(scores.calls == 1)
        await scores.pass(50)
        #expect(scores.calls == 2 && scores.stored == ["ann": 2] && scores.mostAtOnce == 1)
    }

    @Test @Loop func aFlushDoesNotWaitForMore() async throws {
        let scores = Scores(gathering: .seconds(60))
        #expect(await scores.flusher.flushed())
        for number in 0..<7 { scores.set(Text("p\(number)"), number) }
        let journal = flush(scores)
        await scores.pass(50)
        #expect(journal.entries == ["true"] && scores.stored.count == 7 && scores.calls == 3)
    }

    /// The bound is that of what changes, which knows what to do beyond it: here, to refuse new keys.
    @Test @Loop func anOutageNeedsNoMoreRoomThanThereAreKeys() async throws {
        let scores = Scores()
        scores.isAway = true
        for score in 1...100 {
            for number in 0..<Scores.limit { #expect(scores.set(Text("p\(number)"), score * number)) }
            await scores.pass(20)
        }
        #expect(!scores.set("one more", 1))
        scores.isAway = false
        await scores.pass(1000)
        #expect(scores.mostAtOnce == 1 && scores.calls < 12)
        #expect((0..<Scores.limit).allSatisfy { scores.stored[Text("p\($0)")] == 100 * $0 })
        #expect(scores.set("one more", 1))
    }

    @Test @Loop func aFlushThatFailsSaysSoAndIsTriedAgainHalfASecondLater() async throws {
        let scores = Scores(gathering: .seconds(60))
        scores.isAway = true
        scores.set("ann", 1)
        let journal = flush(scores)
        await scores.pass(50)
        #expect(journal.entries == ["false"] && scores.calls == 1)
        scores.isAway = false
        await scores.pass(350)
        #expect(scores.calls == 1)
        await scores.pass(300)
        #expect(scores.stored == ["ann": 1])
    }

    @Test(arguments: ["gathered", "being written", "after a failure"])
    @Loop func aStopWritesWhatIsLeftAndNothingFurther(_ when: String) async throws {
        let scores = Scores(gathering: when == "gathered" ? .seconds(60) : .zero)
        scores.isAway = when == "after a failure"
        for number in 0..<5 { scores.set(Text("p\(number)"), number) }
        await scores.pass(when == "after a failure" ? 100 : 0)
        scores.isAway = false
        let journal = stop(scores)
        await scores.pass(100)
        #expect(journal.entries == ["none"] && scores.stored.count == 5 && scores.mostAtOnce == 1)
        let calls = scores.calls
        scores.set("late", 1)
        await scores.pass(2000)
        #expect(scores.calls == calls)
    }

    @Test @Loop func aStopThatCannotWriteThrowsAndEnds() async throws {
        let scores = Scores()
        scores.isAway = true
        scores.set("ann", 1)
        let journal = stop(scores)
        await scores.pass(100)
        #expect(journal.entries == ["unreachable"] && scores.calls == 2)
        await scores.pass(2000)
        #expect(scores.calls == 2)
    }

    /// Who may not write any more, because another process has its place, does not, at the stop neither.
    @Test @Loop func whoMayNotWriteDoesNot() async throws {
        let scores = Scores()
        scores.mayWrite = false
        scores.set("ann", 1)
        #expect(await !scores.flusher.flushed())
        scores.mayWrite = true
        scores.isAway = true
        scores.set("ann", 2)
        let journal = flush(scores)
        await scores.pass(50)
        scores.mayWrite = false
        let second = flush(scores)
        await scores.pass(1000)
        #expect(journal.entries == ["false"] && second.entries == ["false"] && scores.calls == 1)
        #expect(stop(scores).entries == [])
        await scores.pass(100)
        #expect(scores.calls == 1 && scores.stored == [:])
    }
}
