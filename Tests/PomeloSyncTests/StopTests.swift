// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloSync
import PomeloTesting
import TestHelpers
import Testing

/// What a server leaves in Redis when it ends with all that it had in its sink: nothing.
@Suite(.onEachLayout) struct StopTests {
    @Test @Loop func aFormerJournalGoesBeforeItsServerEnds() async throws {
        let world = try await Self.worldThatDropsSlowly()
        await world.stop("chat-1")
        #expect(try await world.journals().isEmpty)
        #expect(world.database.value("ann") == "2" && world.database.value("bob") == "1")
    }

    @Test @Loop func anAdoptedJournalGoesBeforeItsServerEnds() async throws {
        let world = try await JournalWorld()
        await world.exec(["ann": 1])
        world.cluster.crash("chat-1")
        try await world.cluster.endLease(of: "chat-1")
        try #require(world.lines["chat-2"]).transactionTime = .milliseconds(700)
        for _ in 0..<200 where world.database.rows.isEmpty { await world.pass(.milliseconds(100)) }
        #expect(world.database.value("ann") == "1")
        await world.stop("chat-2")
        #expect(try await world.journals().isEmpty)
    }

    /// A round is under way that learns behind the end that another one has the journal.
    @Test @Loop func aStopLeavesNobodyWaiting() async throws {
        var options = SyncOptions()
        options.stop = .milliseconds(100)
        let world = try await JournalWorld(options)
        world.database.isAway = true
        let line = try #require(world.lines["chat-1"])
        line.transactionTime = .milliseconds(1400)
        line.refusal = "WRONGTYPE Operation against a key holding the wrong kind of value"
        var errors: [SyncError] = []
        let sync = world.sync()
        Loop.spawn { do throws(SyncError) { try await sync.exec(.level, "ann", 1) } catch { errors.append(error) } }
        await world.pass(.milliseconds(100))
        #expect(errors.isEmpty)
        await world.stop("chat-1")
        await world.pass(.seconds(10))
        #expect(errors == [.stopped])
    }

    @Test @Loop func anOutageUsesOneName() async throws {
        let world = try await JournalWorld()
        try #require(world.lines["chat-1"]).isSlow = true
        #expect(await world.exec(["ann": 1])["ann"] != nil)
        world.redis.down()
        await world.pass(.seconds(600))
        world.redis.up(empty: false)
        await world.pass(.seconds(6))
        #expect(await world.exec(["ann": 2]).isEmpty)
        let names = try await world.journals().keys.filter { $0.hasPrefix("chat-1:") }
        #expect(names.count == 1 && names.allSatisfy { $0.hasSuffix(":1") || $0.hasSuffix(":2") }, "\(names)")
    }

    @Test @Loop func aDropThatFailedIsTriedAgain() async throws {
        let world = try await Self.worldThatDropsSlowly()
        world.redis.down()
        await world.pass(.seconds(1))
        world.redis.up(empty: false)
        world.lines["chat-1"]?.transactionTime = .zero
        await world.pass(.seconds(6))
        #expect(try await world.journals().count == 2)
        #expect(await world.exec(["ann": 3]).isEmpty)
        await world.pass(.seconds(1))
        let names = try await world.journals().keys
        #expect(names.count == 1, "\(names)")
    }

    /// The journal of chat-1 has moved, because an answer did not come; the former one is about to be dropped.
    @Loop private static func worldThatDropsSlowly() async throws -> JournalWorld {
        let world = try await JournalWorld()
        await world.exec(["bob": 1])
        let line = try #require(world.lines["chat-1"])
        line.isSlow = true
        line.transactionTime = .milliseconds(700)
        #expect(await world.exec(["ann": 1])["ann"] != nil)
        for _ in 0..<100 where await !world.exec(["ann": 2]).isEmpty { await world.pass(.milliseconds(50)) }
        #expect(try await world.journals().count == 2)
        return world
    }
}
