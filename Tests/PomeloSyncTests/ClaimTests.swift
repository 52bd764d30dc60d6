// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloSync
import PomeloTesting
import TestHelpers
import Testing

extension JournalWorld {
    /// Without waiting for the journal.
    fileprivate func append(_ text: String) { try? sync().exec(.log, text) }
}

/// How a journal comes to another server: in parts, as far as there is room, and whatever comes late.
@Suite(.onEachLayout) struct ClaimTests {
    @Loop private static func die(_ world: JournalWorld) async throws {
        world.cluster.crash("chat-1")
        try await world.cluster.endLease(of: "chat-1")
    }

    @Test @Loop func aJournalOfManyPagesIsReplayedInOrder() async throws {
        let world = try await JournalWorld()
        for number in 0..<2500 { world.note(.level, "\(number)", number) }
        for number in 0..<2500 { world.append("\(number)") }
        await world.exec(["ann": 1])
        #expect(try await world.entries() == 5001)
        let calls = world.redis.calls
        try await Self.die(world)
        await world.pass(.seconds(15))
        #expect(world.database.rows.count == 2501)
        #expect(world.database.appended == (0..<2500).map { "\"\($0)\"" })
        #expect(try await world.entries() == 0)
        #expect(world.redis.calls - calls < 500)
    }

    @Test @Loop func noMoreIsReadThanThereIsRoomFor() async throws {
        let world = try await JournalWorld()
        for number in 0..<5000 { world.note(.level, "\(number)", number) }
        await world.exec(["ann": 1])
        world.cluster.crash("chat-2")
        world.options.maxPendingBytes = 20_000
        world.database.isAway = true
        try await world.start("chat-2")
        try await Self.die(world)
        await world.pass(.seconds(30))
        let pending = world.sync("chat-2").info.pending
        #expect(pending > 0 && pending < 2500)
        #expect(try await world.entries() == 5001)
        // It takes its own values meanwhile, and the others when the sink does.
        #expect(await world.exec(["bob": 2], at: "chat-2").isEmpty)
        world.database.isAway = false
        await world.pass(.seconds(130))
        #expect(world.database.rows.count == 5002 && world.sync("chat-2").isDone)
        #expect(try await world.entries() == 0)
    }

    /// As a page of long values is, which no reply may hold.
    @Test @Loop func aPageThatIsTooMuchIsReadInSmallerOnes() async throws {
        let world = try await JournalWorld()
        for number in 0..<2000 { world.note(.level, "\(number)", number) }
        try await world.sync().exec(.log, "a")
        world.lines["chat-2"]?.maxWords = 200
        try await Self.die(world)
        await world.pass(.seconds(30))
        #expect(world.database.rows.count == 2000 && world.database.appended == ["\"a\""])
        #expect(try await world.entries() == 0)
    }

    /// A name for the journal was found empty and is forgotten when the claim that gives it comes at last.
    @Test @Loop func aClaimThatComesLateTakesNothingAway() async throws {
        let world = try await JournalWorld()
        await world.exec(["ann": 1, "bob": 2])
        let line = try #require(world.lines["chat-2"])
        line.isClaimSlow = true
        try await Self.die(world)
        for _ in 0..<200 where line.isClaimSlow { await world.pass(.milliseconds(100)) }
        func isNameThere() async throws -> Bool {
            try await world.journals().keys.contains { $0.hasPrefix("chat-1:chat-2:") }
        }
        #expect(try await isNameThere())
        for _ in 0..<100 where try await isNameThere() { await world.pass(.milliseconds(100)) }
        #expect(try await !isNameThere() && world.database.rows.isEmpty)
        _ = try await line.deliver()
        await world.pass(.seconds(20))
        #expect(world.database.value("ann") == "1" && world.database.value("bob") == "2")
        #expect(try await world.entries() == 0)
    }

    @Test @Loop func anOwnerThatStoodStillForLongerThanAFenceLastsTakesAnotherName() async throws {
        let world = try await JournalWorld()
        await world.exec(["ann": 1])
        let owner = world.sync()
        let before = try #require(try await world.journals().keys.first)
        let key = "pomelo:{sync:pomelo/chat-1}:j:\(before.split(separator: ":", maxSplits: 1)[1])"
        world.cluster.hasForgottenAll = true
        world.cluster["chat-2"].servers.remove(["chat-1"])
        await world.pass(.seconds(4))
        #expect(world.database.value("ann") == "1")
        world.cluster.hasForgottenAll = false
        // A day later.
        world.cluster.clock.stepWall(byMilliseconds: 86_400_000)
        try await world.port.send(RedisCommand("DEL", [key]))
        try await owner.exec(.level, "ann", 2)
        #expect(try await world.port.send(RedisCommand("TYPE", [key])).string == "string")
        #expect(try await world.journals().contains { $0.key != before && $0.value == 1 })
        try await Self.die(world)
        await world.pass(.seconds(9))
        #expect(world.database.value("ann") == "2")
    }

    @Test @Loop func whatCameBackIsInAJournalOfARedisThatCameBackEmpty() async throws {
        let world = try await JournalWorld()
        await world.exec(["ann": 1, "bob": 2])
        world.append("one")
        await world.exec(["cid": 3])
        world.database.isAway = true
        world.lines["chat-1"]?.isCut = true
        try await Self.die(world)
        await world.pass(.seconds(15))
        #expect(world.sync("chat-2").info.pending == 4)
        world.redis.down()
        world.redis.up(empty: true)
        await world.pass(.seconds(10))
        world.lines["chat-2"]?.isCut = true
        world.cluster.crash("chat-2")
        world.database.isAway = false
        try await world.start("chat-2")
        await world.pass(.seconds(15))
        #expect(world.database.rows.count == 3 && world.database.appended == ["\"one\""])
        #expect(try await world.entries() == 0)
    }

    @Test @Loop func deadLettersThatFindNoRoomAreLeftToTheirServer() async throws {
        let world = try await JournalWorld()
        world.database.refuses = { _ in true }
        await world.exec(["ann": 1])
        await world.pass(.seconds(62))
        #expect(world.sync().deadLetters.count == 1)
        world.cluster.crash("chat-2")
        world.options.deadLetterLimit = 0
        try await world.start("chat-2")
        world.database.refuses = { _ in false }
        await world.exec(["bob": 1])
        try await Self.die(world)
        await world.pass(.seconds(15))
        #expect(world.database.value("bob") == "1" && world.sync("chat-2").deadLetters.isEmpty)
        try await world.start("chat-1")
        #expect(world.sync().deadLetters.map(\.letter.id) == ["ann"])
    }

    @Test @Loop func callersThatWaitForRedisAreBounded() async throws {
        let world = try await JournalWorld()
        world.cluster.crash("chat-1")
        world.options.redisAway = .wait
        world.options.maxPending = 3
        try await world.start("chat-1")
        world.redis.down()
        let sync = world.sync()
        var errors: [SyncError?] = []
        for number in 0..<5 {
            Loop.spawn {
                do throws(SyncError) {
                    try await sync.exec(.level, "ann", number)
                    errors.append(nil)
                } catch {
                    errors.append(error)
                }
            }
        }
        await world.pass(.seconds(3))
        #expect(errors == [.overloaded(limit: 3), .overloaded(limit: 3)])
        world.redis.up()
        await world.pass(.seconds(5))
        #expect(errors.count == 5 && errors.suffix(3).allSatisfy { $0 == nil })
    }
}
