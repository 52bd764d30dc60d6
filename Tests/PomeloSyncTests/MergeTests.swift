// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloSync
import PomeloTesting
import TestHelpers
import Testing

/// What reaches a sink of what was noted, when, and in which order.
@Suite struct MergeTests {
    @Test @Loop func theLastValueOfEachIdIsWrittenOnceWithinTheInterval() async throws {
        let world = try await SyncWorld()
        for level in 1...1000 {
            try await world.sync.exec(.level, "ann", level)
            try await world.sync.exec(.level, "bob", -level)
        }
        #expect(world.sync.info.pending == 2 && !world.sync.isDone)
        await world.pass(.seconds(61))
        #expect(world.sink.values == ["ann": "1000", "bob": "-1000"])
        #expect(world.sink.batches.flatMap { $0 }.count == 2)
        #expect(world.sync.isDone && world.sync.info.written == 2 && world.sync.info.executed == 2000)
    }

    @Test @Loop func valuesThatCameTogetherLeaveOneAfterTheOther() async throws {
        let world = try await SyncWorld()
        for id in 0..<10_000 { try await world.sync.exec(.level, "\(id)", id) }
        var perSecond: [Int] = []
        for _ in 0..<60 {
            let before = world.sink.values.count
            await world.pass(.seconds(1))
            perSecond.append(world.sink.values.count - before)
        }
        await world.pass(.seconds(2))
        #expect(world.sink.values.count == 10_000)
        // By ticks of 60/64 s a second has one or two of them.
        #expect(try #require(perSecond.max()) < 2 * 10_000 / 60 * 3 / 2)
        let halves = (perSecond.prefix(30).reduce(0, +), perSecond.suffix(30).reduce(0, +))
        #expect(abs(halves.0 - halves.1) < 1500)
    }

    /// Written, refused for good, replaced, or failed while a later one of its id waits; but for the first of all those
    /// that wait, which stands for those that have left.
    @Test(arguments: [SyncOutcome.written, .refused("no"), .failed("busy")])
    @Loop func aValueThatHasLeftIsLetGoOf(_ outcome: SyncOutcome) async throws {
        final class Item: Sendable {}
        let key = SyncKey<Item>("item", encode: { _ in Array("1".utf8) })
        let cluster = TestCluster(TestCluster.records(connectors: 0, chats: 1))
        let sink = NotingSink(cluster.clock)
        try await cluster.startAll { app in try app.use(Sync { $0.map(key, to: sink) }) }
        let sync = cluster["chat-1"].sync
        sink.delay = .milliseconds(100)
        sink.answer = { _ in outcome }
        weak var item: Item?
        func note() async throws {
            let new = Item()
            item = new
            try await sync.exec(key, "ann", new)
        }
        if case .failed = outcome { try await sync.exec(key, "bob", Item()) }
        try await note()
        #expect(item != nil)
        let first = Loop.spawn { await sync.sync() }
        await cluster.advance(by: .milliseconds(50), step: .milliseconds(10))
        if case .failed = outcome { try await sync.exec(key, "ann", Item()) }
        await cluster.advance(by: .milliseconds(200), step: .milliseconds(10))
        _ = await first.value
        #expect(item == nil, "it has left, and takes memory")
    }

    @Test @Loop func aMergeOfOnesOwnSeesEachValue() async throws {
        let world = try await SyncWorld()
        for _ in 0..<100 { try await world.sync.exec(.coins, "ann", 3) }
        await world.sync.sync()
        #expect(world.sink.values["ann"] == "300")
    }

    @Test @Loop func whatFailedIsMergedWithWhatCameMeanwhile() async throws {
        let world = try await SyncWorld()
        world.sink.delay = .seconds(1)
        world.sink.answer = { _ in .failed("busy") }
        try await world.sync.exec(.coins, "ann", 3)
        let first = Loop.spawn { await world.sync.sync() }
        await world.pass(.milliseconds(500))
        try await world.sync.exec(.coins, "ann", 4)
        await world.pass(.seconds(1))
        _ = await first.value
        world.sink.answer = { _ in .written }
        await world.pass(.seconds(61))
        #expect(world.sink.values["ann"] == "7")
    }

    @Test @Loop func valuesOfOneIdAreNeverOnTheWayTogether() async throws {
        let world = try await SyncWorld()
        world.sink.delay = .seconds(3)
        var level = 0
        var seen: [SyncVersion] = []
        world.sink.answer = { entry in
            seen.append(entry.version)
            return .written
        }
        for _ in 0..<100 {
            level += 1
            try await world.sync.exec(.level, "ann", level)
            Loop.spawn { await world.sync.sync() }
            await world.pass(.milliseconds(700))
        }
        await world.pass(.seconds(70))
        #expect(world.sink.values["ann"] == "100" && world.sync.isDone)
        #expect(seen == seen.sorted() && Set(seen).count == seen.count && seen.count > 10)
    }

    @Test @Loop func valuesWithoutIdsComeAllAndInOrder() async throws {
        let world = try await SyncWorld()
        var fails = 0
        world.sink.answer = { entry in
            fails += 1
            return fails % 7 == 0 ? .failed("busy") : .written
        }
        for number in 0..<50 { try await world.sync.exec(.log, "\(number)") }
        await world.pass(.seconds(200))
        let numbers = world.sink.appended.map { $0.filter(\.isNumber) }
        #expect(Set(numbers).count == 50 && world.sync.isDone)
        // Each that failed once came again behind those that had arrived, before all that were behind it at first.
        world.sink.answer = { _ in .written }
        let before = world.sink.appended.count
        for number in 100..<1700 { try await world.sync.exec(.log, "\(number)") }
        await world.pass(.seconds(61))
        #expect(world.sink.appended.dropFirst(before).map { $0.filter(\.isNumber) } == (100..<1700).map(String.init))
        #expect(world.sink.batches.allSatisfy { $0.count <= 512 })
    }

    @Test @Loop func flushWritesNowAndTellsWhatBecameOfIt() async throws {
        let world = try await SyncWorld()
        try await world.sync.exec(.level, "ann", 1)
        try await world.sync.flush(.level, "ann", 2)
        #expect(world.sink.values == ["ann": "2"] && world.sync.isDone)
        world.sink.answer = { _ in .failed("busy") }
        await #expect(throws: SyncError.notWritten("busy")) { try await world.sync.flush(.level, "ann", 3) }
        #expect(world.sync.info.pending == 1)
        world.sink.answer = { _ in .written }
        await world.pass(.seconds(61))
        #expect(world.sink.values == ["ann": "3"])
        world.sink.answer = { _ in .refused("no such player") }
        await #expect(throws: SyncError.refused("no such player")) { try await world.sync.flush(.level, "bob", 1) }
        #expect(world.sync.deadLetters.map(\.letter.reason) == ["no such player"])
    }

    @Test @Loop func aFlushWaitsForTheValueOnItsWayAndComesAfterIt() async throws {
        let world = try await SyncWorld()
        world.sink.delay = .seconds(2)
        try await world.sync.exec(.level, "ann", 1)
        Loop.spawn { await world.sync.sync() }
        await world.pass(.milliseconds(100))
        let flush = Loop.spawn { try? await world.sync.flush(.level, "ann", 2) }
        await world.pass(.seconds(2))
        #expect(world.sink.values == ["ann": "1"])
        await world.pass(.seconds(2))
        await flush.value
        #expect(world.sink.values == ["ann": "2"])
    }

    @Test @Loop func execSyncGoesPastThoseThatWait() async throws {
        let world = try await SyncWorld()
        try await world.sync.exec(.log, "waits")
        try await world.sync.execSync(.log, "now")
        #expect(world.sink.appended == ["\"now\""] && world.sync.info.pending == 1)
        world.sink.answer = { _ in .failed("busy") }
        await #expect(throws: SyncError.refused("busy")) { try await world.sync.execSync(.log, "lost") }
        #expect(world.sync.info.pending == 1 && world.sync.deadLetters.isEmpty)
    }

    @Test @Loop func whatIsWrongIsToldToTheCallerAndNothingIsNoted() async throws {
        var options = SyncOptions()
        options.maxPending = 2
        let world = try await SyncWorld(options)
        await #expect(throws: SyncError.unknownKey("nobody")) {
            try await world.sync.exec(SyncKey<Int>("nobody"), "ann", 1)
        }
        try await world.sync.exec(.level, "ann", 1)
        await #expect(throws: SyncError.otherType("level")) {
            try await world.sync.exec(SyncKey<String>("level"), "ann", "1")
        }
        try await world.sync.exec(.level, "bob", 1)
        await #expect(throws: SyncError.overloaded(limit: 2)) { try await world.sync.exec(.level, "cid", 1) }
        // One that merges takes no room.
        try await world.sync.exec(.level, "ann", 2)
        await #expect(throws: SyncError.overloaded(limit: 2)) { try await world.sync.exec(.log, "text") }
        #expect(world.sync.info.pending == 2)
    }
}
