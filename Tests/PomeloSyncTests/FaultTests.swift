// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloSync
import PomeloTesting
import TestHelpers
import Testing

/// Sinks that fail, stand still, or will not take one of many.
@Suite struct SinkFaultTests {
    private struct Unencodable: Error {}

    @Test @Loop func aPoisonedValueStopsNoOther() async throws {
        let world = try await SyncWorld()
        world.sink.answer = { entry in
            if entry.id == "poison" { throw NotingSink.Away() }
            return .written
        }
        for id in 0..<1000 { try await world.sync.exec(.level, "\(id)", id) }
        try await world.sync.exec(.level, "poison", 1)
        await world.sync.sync()
        #expect(world.sink.values.count == 1000)
        #expect(world.sync.info.pending == 1 && world.sync.deadLetters.isEmpty)
        // Others come and go, and tell that the sink is there.
        for minute in 0..<12 {
            try await world.sync.exec(.level, "other", minute)
            await world.pass(.seconds(60))
            await world.sync.sync()
        }
        #expect(world.sync.deadLetters.map(\.letter.id) == ["poison"])
        #expect(world.sync.deadLetters.first?.letter.value == Array("1".utf8))
        #expect(world.sync.isDone)
    }

    @Test @Loop func anOutageMakesNoDeadLetters() async throws {
        let world = try await SyncWorld()
        world.sink.answer = { _ in throw NotingSink.Away() }
        for id in 0..<1000 { try await world.sync.exec(.level, "\(id)", id) }
        await world.pass(.seconds(3600))
        #expect(world.sync.info.pending == 1000 && world.sync.deadLetters.isEmpty)
        // It is asked once a minute, not a thousand times.
        #expect(world.sink.calls < 200)
        world.sink.answer = { _ in .written }
        await world.pass(.seconds(130))
        #expect(world.sink.values.count == 1000 && world.sync.isDone)
    }

    /// One thread serves all keys of a sink: a batch that was never looked at is no attempt.
    @Test @Loop func aBatchThatASinkDidNotBeginIsNoAttempt() async throws {
        var options = SyncOptions()
        options.attempts = 2
        let world = try await SyncWorld(options)
        var refusals = 20
        world.sink.answer = { entry in
            if entry.id == "3", refusals > 0 {
                refusals -= 1
                throw OffLoopError.queueFull(limit: 1)
            }
            return .written
        }
        for id in 0..<10 { try await world.sync.exec(.level, "\(id)", id) }
        await world.pass(.seconds(1500))
        #expect(world.sink.values.count == 10 && world.sync.deadLetters.isEmpty && refusals == 0)
    }

    @Test @Loop func aSinkThatNeverReturnsIsGivenUpAndTheOthersGoOn() async throws {
        let world = try await SyncWorld()
        world.sink.delay = nil
        try await world.sync.exec(.level, "ann", 1)
        Loop.spawn { await world.sync.sync() }
        await world.pass(.seconds(1))
        world.sink.delay = .zero
        try await world.sync.exec(.level, "bob", 2)
        try await world.sync.exec(.coins, "ann", 3)
        await world.pass(.seconds(100))
        #expect(world.sink.values == ["bob": "2", "ann": "3"])
        #expect(world.sync.deadLetters.map(\.letter.id) == ["ann"] && world.sync.isDone)
    }

    @Test @Loop func aSinkIsNotBlamedForAProcessThatStoodStill() async throws {
        let world = try await SyncWorld()
        world.sink.delay = nil
        try await world.sync.exec(.level, "ann", 1)
        Loop.spawn { await world.sync.sync() }
        await world.pass(.seconds(1))
        world.sink.delay = .zero
        world.cluster.pause("chat-1")
        await world.pass(.seconds(60))
        world.cluster.resume("chat-1")
        await world.pass(.seconds(10))
        #expect(world.sync.deadLetters.isEmpty && world.sink.values == ["ann": "1"])
    }

    @Test @Loop func aValueThatCannotBeEncodedIsADeadLetter() async throws {
        let key = SyncKey<Int>(
            "level",
            encode: { level throws in
                if level == 13 { throw Unencodable() }
                return Array("\(level)".utf8)
            })
        let world = try await SyncWorld()
        for id in 12...14 { try await world.sync.exec(key, "\(id)", id) }
        await world.sync.sync()
        #expect(world.sink.values == ["12": "12", "14": "14"])
        #expect(world.sync.deadLetters.map(\.letter.id) == ["13"] && world.sync.isDone)
        #expect(world.sync.deadLetters.first?.letter.value == nil)
        await #expect(throws: SyncError.self) { try await world.sync.flush(key, "13", 13) }
    }

    @Test @Loop func whenTheDeadLettersAreFullValuesWait() async throws {
        var options = SyncOptions()
        options.deadLetterLimit = 1
        let world = try await SyncWorld(options)
        world.sink.answer = { _ in .refused("no") }
        for id in 0..<3 { try await world.sync.exec(.level, "\(id)", id) }
        await world.pass(.seconds(300))
        #expect(world.sync.deadLetters.count == 1 && world.sync.info.pending == 2)
        let number = try #require(world.sync.deadLetters.first?.number)
        #expect(world.sync.dropDeadLetter(number) != nil && world.sync.dropDeadLetter(number) == nil)
        world.sink.answer = { _ in .written }
        await world.pass(.seconds(130))
        #expect(world.sync.isDone && world.sink.values.count == 2)
    }

    @Test @Loop func whatCannotBeEncodedWaitsToo() async throws {
        let key = SyncKey<Int>("level", encode: { _ throws in throw Unencodable() })
        let entry = SyncKey<String>("log", encode: { _ throws in throw Unencodable() })
        var options = SyncOptions()
        options.deadLetterLimit = 1
        let world = try await SyncWorld(options)
        for id in 0..<3 { try await world.sync.exec(key, "\(id)", id) }
        try await world.sync.exec(entry, "a")
        await world.pass(.seconds(200))
        #expect(world.sync.deadLetters.count == 1 && world.sync.info.pending == 3)
    }

    @Test @Loop func aFlushEndsWithTheStop() async throws {
        var options = SyncOptions()
        options.stop = .seconds(1)
        let world = try await SyncWorld(options)
        world.sink.delay = nil
        let sync = world.sync
        var outcome: SyncError?
        let flush = Loop.spawn {
            do throws(SyncError) { try await sync.flush(.level, "ann", 1) } catch { outcome = error }
        }
        await world.pass(.milliseconds(100))
        await world.cluster.stopAll()
        await flush.value
        #expect(outcome == .notWritten("sync has stopped"))
    }

    @Test @Loop func aFlushDoesNotWaitForThePauseOfAnOutage() async throws {
        let world = try await SyncWorld()
        world.sink.answer = { _ in throw NotingSink.Away() }
        for id in 0..<10 { try await world.sync.exec(.level, "\(id)", id) }
        await world.pass(.seconds(600))
        world.sink.answer = { _ in .written }
        let before = world.cluster.clock.now
        try await world.sync.flush(.level, "ann", 1)
        #expect(world.cluster.clock.now == before && world.sink.values["ann"] == "1")
    }

    @Test @Loop func noneGoesPastAValueWithoutAnIDThatMayBeWrittenLater() async throws {
        let world = try await SyncWorld()
        // More than it takes to halve a batch down to it.
        var fails = 9
        world.sink.answer = { entry in
            if entry.value == Array("\"3\"".utf8), fails > 0 {
                fails -= 1
                throw NotingSink.Away()
            }
            return .written
        }
        for number in 0..<20 { try await world.sync.exec(.log, "\(number)") }
        await world.pass(.seconds(600))
        #expect(world.sink.appended == (0..<20).map { "\"\($0)\"" } && fails == 0)
    }

    @Test @Loop func aStopWritesWhatWaitsAndGivesUpInTime() async throws {
        let world = try await SyncWorld()
        for id in 0..<2000 { try await world.sync.exec(.level, "\(id)", id) }
        let (cluster, sync) = (world.cluster, world.sync)
        await cluster.stopAll()
        #expect(world.sink.values.count == 2000 && sync.isDone)
        #expect(throws: SyncError.stopped) { try sync.exec(.level, "late", 1) }

        let other = try await SyncWorld()
        other.sink.answer = { _ in throw NotingSink.Away() }
        try await other.sync.exec(.level, "ann", 1)
        let service = other.sync
        let start = other.cluster.clock.now
        await other.cluster.stopAll()
        let took = Duration.nanoseconds(Int64(other.cluster.clock.now - start))
        #expect(took >= .seconds(29) && took < .seconds(40))
        #expect(service.info.pending == 1)
    }
}
