// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloPublication
import PomeloTesting
import TestHelpers
import Testing

/// State is written behind, in order, again after a failure, and healed after a loss.
@Suite struct WriteBehindTests {
    @Loop private final class Letters: PublishedState {
        var isBehind: Bool { hasChanges }
        let name = "letters"
        var waiting: [String] = []
        /// What arrived at the store, in order.
        private(set) var published: [String] = []
        private(set) var callsAtOnce = 0
        private(set) var mostCallsAtOnce = 0
        private(set) var losses: [UInt64?] = []
        private(set) var sweeps = 0
        var held: UInt64?
        var storeRun = "1"
        var isDown = false
        var failsToHeal = false
        var healingTakes = Duration.zero
        var delay = Duration.milliseconds(10)
        private let clock: any LoopClock

        init(_ clock: any LoopClock) { self.clock = clock }

        var hasChanges: Bool { !waiting.isEmpty }

        func publish(_ sequence: UInt64, written: @Loop (UInt64?) -> Void) async throws {
            let letter = waiting.removeFirst()
            callsAtOnce += 1
            mostCallsAtOnce = max(mostCallsAtOnce, callsAtOnce)
            defer { callsAtOnce -= 1 }
            await clock.sleep(for: delay)
            if isDown {
                waiting.insert(letter, at: 0)
                throw PomeloError(.redisUnavailable, "down")
            }
            published.append(letter)
            let before = held
            held = sequence
            written(before)
        }

        func publishedSequence() async throws -> UInt64? {
            if isDown { throw PomeloError(.redisUnavailable, "down") }
            return held
        }

        func lost(since held: UInt64?) async throws {
            if failsToHeal { throw PomeloError(.redisUnavailable, "no right to look") }
            if healingTakes > .zero { await clock.sleep(for: healingTakes) }
            losses.append(held)
        }

        func sweep() async throws { sweeps += 1 }
    }

    @Loop private struct World {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 0))
        let letters: Letters
        let writer: WriteBehind

        init() async throws {
            letters = Letters(cluster.clock)
            writer = WriteBehind(letters, of: try await cluster.start("connector-1").context)
        }

        func note(_ text: String) {
            for letter in text { letters.waiting.append(String(letter)) }
            writer.kick()
        }

        func pass(_ milliseconds: Int) async { await cluster.advance(by: .milliseconds(milliseconds)) }
    }

    @Test @Loop func whatDiffersIsWrittenInOrderOneCallAtATime() async throws {
        let world = try await World()
        for text in ["ab", "", "c"] { world.note(text) }
        #expect(world.letters.published == [])
        await world.pass(20)
        world.note("d")
        await world.pass(200)
        #expect(world.letters.published == ["a", "b", "c", "d"] && world.letters.mostCallsAtOnce == 1)
    }

    @Test @Loop func whatFailedIsWrittenAgain() async throws {
        let world = try await World()
        world.letters.isDown = true
        world.note("ab")
        await world.pass(300)
        world.letters.isDown = false
        for _ in 0..<10 { world.writer.kick() }
        await world.pass(100)
        #expect(world.letters.published == [])
        await world.pass(400)
        #expect(world.letters.published == ["a", "b"])
    }

    @Test @Loop func whoWaitsIsToldWhatBecameOfIt() async throws {
        let world = try await World()
        let journal = Journal<String>()
        let wait = { @Loop @Sendable () -> Void in
            Loop.spawn { journal.note("\(await world.writer.flushed())") }
        }
        wait()
        await world.pass(0)
        #expect(journal.entries == ["true"])
        world.note("ab")
        wait()
        await world.pass(10)
        #expect(journal.entries == ["true"])
        await world.pass(50)
        world.letters.isDown = true
        world.note("c")
        wait()
        await world.pass(50)
        #expect(journal.entries == ["true", "true", "false"])
    }

    /// An older state of the store has an earlier instance's entries, and comes back before this instance has written
    /// anything: its first write finds no sequence of its own, as at every start, and yet there is something to heal.
    @Test(arguments: ["1", "2"]) @Loop func anOlderStateBeforeTheFirstWriteIsCompared(_ run: String) async throws {
        let world = try await World()
        world.writer.start()
        world.letters.storeRun = run
        world.note("a")
        await world.pass(100)
        await world.writer.redisReturned()
        await world.pass(2100)
        #expect(world.letters.losses == (run == "1" ? [] : [nil]))
        world.note("b")
        await world.pass(2100)
        #expect(world.letters.losses.count == (run == "1" ? 0 : 1), "once")
        await world.writer.stop()
    }

    struct Loss: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let held: UInt64?
        let isWritten: Bool
        let expected: [UInt64?]
    }

    static let losses = [
        Loss(testDescription: "nothing, seen at the return", held: 2, isWritten: false, expected: []),
        Loss(testDescription: "nothing, seen at a write", held: 2, isWritten: true, expected: []),
        Loss(testDescription: "the last write, seen at the return", held: 1, isWritten: false, expected: [1]),
        Loss(testDescription: "the last write, seen at a write", held: 1, isWritten: true, expected: [1]),
        Loss(testDescription: "everything, seen at the return", held: nil, isWritten: false, expected: [nil]),
        Loss(testDescription: "everything, seen at a write", held: nil, isWritten: true, expected: [nil]),
    ]

    @Test(arguments: losses) @Loop func aLossIsHealedOnce(_ loss: Loss) async throws {
        let world = try await World()
        world.note("ab")
        await world.pass(100)
        world.letters.held = loss.held
        if loss.isWritten { world.note("c") } else { await world.writer.redisReturned() }
        await world.pass(100)
        if loss.held != nil { #expect(world.letters.losses == loss.expected) }
        await world.pass(2000)
        #expect(world.letters.losses == loss.expected)
    }

    /// A server whose first write is still to come has nothing to compare, and may have claimed something.
    @Test @Loop func aServerThatHasWrittenNothingHealsToo() async throws {
        let world = try await World()
        await world.writer.redisReturned()
        await world.pass(2000)
        #expect(world.letters.losses == [nil])
    }

    @Test @Loop func aHealingThatFailedIsToldAndRepeated() async throws {
        let logs = CapturedLogs.installed
        let world = try await World()
        world.note("ab")
        await world.pass(100)
        world.letters.held = 1
        world.letters.failsToHeal = true
        await world.writer.redisReturned()
        await world.pass(300)
        world.letters.failsToHeal = false
        await world.pass(600)
        #expect(world.letters.losses == [1])
        let told = logs.lines("pomelo", where: "error", is: "no right to look")
        #expect(told.contains { $0.message == "letters is not healed yet" })
    }

    @Test @Loop func theStopWritesWhatIsLeftAndEnds() async throws {
        let world = try await World()
        world.writer.start()
        await world.pass(2100)
        #expect(world.letters.sweeps == 2)
        world.note("ab")
        Loop.spawn { await world.writer.stop() }
        await world.pass(100)
        world.note("c")
        await world.pass(3000)
        #expect(world.letters.published == ["a", "b"] && world.letters.sweeps == 2)
    }

    /// Older data may have brought back what this server, or a former start of it, had published.
    @Test(arguments: [false, true]) @Loop func theStopHealsALossFirst(failsToHeal: Bool) async throws {
        let world = try await World()
        world.note("a")
        await world.pass(20)
        world.letters.held = nil
        world.letters.failsToHeal = failsToHeal
        await world.writer.redisReturned()
        #expect(world.letters.losses == [] && world.writer.isBehind)
        let stop = Loop.spawn { await world.writer.stop() }
        await world.pass(0)
        await stop.value
        #expect(world.letters.losses == (failsToHeal ? [] : [nil]))
        #expect(world.writer.isBehind == failsToHeal)
        await world.pass(5000)
        #expect(world.letters.losses.count == (failsToHeal ? 0 : 1))
    }

    @Test @Loop func aLossDuringAHealingIsHealedToo() async throws {
        let world = try await World()
        world.note("a")
        await world.pass(20)
        world.letters.held = nil
        world.letters.healingTakes = .seconds(5)
        await world.writer.redisReturned()
        await world.pass(3000)
        await world.writer.redisReturned()
        await world.pass(3500)
        #expect(world.letters.losses.count == 1 && world.writer.isBehind)
        await world.pass(4000)
        #expect(world.letters.losses == [nil, nil] && !world.writer.isBehind)
    }

    /// Whether there is a loss is not known while the store does not answer.
    @Test @Loop func theStopComparesWhatCouldNotBeCompared() async throws {
        let world = try await World()
        world.note("a")
        await world.pass(20)
        world.letters.isDown = true
        await world.writer.redisReturned()
        #expect(world.writer.isBehind)
        world.letters.isDown = false
        world.letters.held = nil
        let stop = Loop.spawn { await world.writer.stop() }
        await world.pass(0)
        await stop.value
        #expect(world.letters.losses == [nil] && !world.writer.isBehind)
    }

    /// The store failed just before, and answers again: what is left is not dropped because a retry was due later.
    @Test @Loop func theStopAfterAFailureWritesWhatIsLeft() async throws {
        let world = try await World()
        world.letters.isDown = true
        world.note("ab")
        await world.pass(100)
        world.letters.isDown = false
        Loop.spawn { await world.writer.stop() }
        await world.pass(100)
        #expect(world.letters.published == ["a", "b"])
        await world.pass(2000)
        #expect(world.letters.published == ["a", "b"])
    }

    @Test @Loop func theStopWhileTheStoreIsDownTriesOnceAndEnds() async throws {
        let world = try await World()
        let journal = Journal<String>()
        world.letters.isDown = true
        world.note("ab")
        await world.pass(100)
        Loop.spawn {
            await world.writer.stop()
            journal.note("stopped")
        }
        await world.pass(100)
        #expect(journal.entries == ["stopped"])
        world.letters.isDown = false
        await world.pass(2000)
        #expect(world.letters.published == [])
    }

    /// Each failure is followed by a retry, also the second and the third.
    @Test @Loop func aRetryThatFailsIsRepeated() async throws {
        let world = try await World()
        world.letters.isDown = true
        world.note("ab")
        await world.pass(2500)
        world.letters.isDown = false
        await world.pass(700)
        #expect(world.letters.published == ["a", "b"])
    }

    /// Redis is back, and away again before anybody could compare.
    @Test @Loop func aComparisonThatFailedIsRepeated() async throws {
        let world = try await World()
        world.note("ab")
        await world.pass(100)
        world.letters.held = 1
        world.letters.isDown = true
        for _ in 0..<5 { await world.writer.redisReturned() }
        await world.pass(1200)
        #expect(world.letters.losses == [])
        world.letters.isDown = false
        await world.pass(700)
        #expect(world.letters.losses == [1])
        await world.pass(2000)
        #expect(world.letters.losses == [1])
    }

    @Test @Loop func aServerThatHasLeftWritesNothing() async throws {
        let world = try await World()
        await world.cluster.stop("connector-1")
        world.note("a")
        await world.pass(100)
        #expect(world.letters.published == [])
        #expect(await !world.writer.flushed())
    }
}
