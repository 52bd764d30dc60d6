// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloSync
import PomeloTesting
import TestHelpers
import Testing

/// What the journal has, and what is made of it when its server is gone; on one server of Redis and on a cluster.
@Suite(.onEachLayout) struct JournalTests {
    @Test @Loop func whatIsAcknowledgedIsInTheJournalUntilASinkHasIt() async throws {
        let world = try await JournalWorld()
        #expect(await world.exec(["ann": 1, "bob": 2]).isEmpty)
        #expect(try await world.entries() == 2)
        #expect(world.sync().info.pendingBytes > 2 && world.database.rows.isEmpty)
        try await world.sync().exec(.log, "one")
        try await world.sync().exec(.log, "two")
        #expect(try await world.entries() == 4)
        await world.pass(.seconds(62))
        #expect(world.database.value("ann") == "1" && world.database.value("bob") == "2")
        #expect(world.database.appended == ["\"one\"", "\"two\""])
        #expect(try await world.entries() == 0)
        #expect(world.sync().info.pendingBytes == 0 && world.sync().isDone)
    }

    @Test @Loop func valuesOfOneTurnAreOneCallOfRedis() async throws {
        let world = try await JournalWorld()
        await world.exec(["first": 1])
        let before = world.redis.calls
        let values = Dictionary(uniqueKeysWithValues: (0..<500).map { ("\($0)", $0) })
        await world.exec(values)
        #expect(world.redis.calls - before <= 2)
        // Whatever the value of an id was meanwhile, it is written once.
        for level in 0..<100 { world.note(.level, "ann", level) }
        try await world.sync().exec(.level, "ann", 100)
        #expect(world.redis.calls - before <= 4)
        #expect(try await world.entries() == 502)
    }

    @Test @Loop func aRestartReplays() async throws {
        let world = try await JournalWorld()
        await world.exec(["ann": 1, "bob": 2])
        await world.exec(["ann": 3])
        for number in 0..<30 { try await world.sync().exec(.log, "\(number)") }
        world.cluster.crash("chat-1")
        #expect(world.database.rows.isEmpty)
        try await world.start("chat-1")
        // Before it serves.
        #expect(world.database.value("ann") == "3" && world.database.value("bob") == "2")
        #expect(world.database.appended == (0..<30).map { "\"\($0)\"" })
        await world.pass(.seconds(10))
        #expect(try await world.entries() == 0)
        #expect(try await world.journals().count <= 1 && world.sync().isDone)
        // What comes then is newer than what was there, whatever the wall clock says.
        world.cluster.clock.stepWall(byMilliseconds: -3_600_000)
        world.cluster.crash("chat-1")
        try await world.start("chat-1")
        try await world.sync().flush(.level, "ann", 4)
        #expect(world.database.value("ann") == "4")
    }

    @Test @Loop func anotherServerOfItsTypeReplaysWhatADeadOneHasLeft() async throws {
        let world = try await JournalWorld()
        await world.exec(["ann": 1, "bob": 2])
        world.cluster.crash("chat-1")
        await world.pass(.seconds(9))
        #expect(world.database.rows.isEmpty)
        try await world.cluster.endLease(of: "chat-1")
        await world.pass(.seconds(9))
        #expect(world.database.value("ann") == "1" && world.database.value("bob") == "2")
        #expect(try await world.entries() == 0)
    }

    @Test @Loop func aClaimThatWasInterruptedIsTakenUpByAnother() async throws {
        let world = try await JournalWorld()
        await world.exec(["ann": 1, "bob": 2])
        world.database.isAway = true
        world.cluster.crash("chat-1")
        try await world.cluster.endLease(of: "chat-1")
        await world.pass(.seconds(9))
        #expect(try await world.entries() == 2)
        world.cluster.crash("chat-2")
        try await world.start("chat-1")
        world.database.isAway = false
        try await world.cluster.endLease(of: "chat-2")
        await world.pass(.seconds(130))
        #expect(world.database.value("ann") == "1" && world.database.value("bob") == "2")
        #expect(try await world.entries() == 0)
    }

    @Test @Loop func aFrozenOwnerThatIsClaimedAcknowledgesNothingThere() async throws {
        let world = try await JournalWorld()
        await world.exec(["ann": 1, "bob": 2])
        let owner = world.sync()
        // The others take it for gone, and it is not.
        world.cluster.hasForgottenAll = true
        world.cluster["chat-2"].servers.remove(["chat-1"])
        await world.pass(.seconds(9))
        world.cluster.hasForgottenAll = false
        #expect(world.database.value("ann") == "1" && world.database.value("bob") == "2")
        let before = try await world.journals()
        try await owner.exec(.level, "ann", 7)
        let after = try await world.journals()
        #expect(after != before && after.values.reduce(0, +) >= 1)
        world.cluster.crash("chat-1")
        try await world.cluster.endLease(of: "chat-1")
        await world.pass(.seconds(9))
        #expect(world.database.value("ann") == "7" && world.database.value("bob") == "2")
        #expect(try await world.entries() == 0)
    }

    /// Nothing orders what two connections bring to Redis.
    @Test @Loop func aValueThatComesLateIsNotWrittenOverALaterOne() async throws {
        let world = try await JournalWorld()
        await world.exec(["bob": 1])
        let line = try #require(world.lines["chat-1"])
        line.isSlow = true
        #expect(await world.exec(["ann": 1])["ann"] != nil)
        await world.pass(.seconds(2))
        #expect(await world.exec(["ann": 2]).isEmpty)
        #expect(try await line.deliver().contains { $0.errorCode == "WRONGTYPE" })
        world.cluster.crash("chat-1")
        try await world.start("chat-1")
        #expect(world.database.value("ann") == "2" && world.database.value("bob") == "1")
    }

    @Test @Loop func aRedisThatCameBackEmptyHasAllThatWaitsAgain() async throws {
        let world = try await JournalWorld()
        await world.exec(["ann": 1, "bob": 2])
        world.redis.down()
        world.redis.up(empty: true)
        await world.pass(.seconds(6))
        #expect(try await world.entries() == 2)
        world.cluster.crash("chat-1")
        try await world.start("chat-1")
        #expect(world.database.value("ann") == "1" && world.database.value("bob") == "2")
    }

    @Test @Loop func aRedisThatWentBackInTimeDoesNotBringBackOlderValues() async throws {
        let world = try await JournalWorld()
        await world.exec(["ann": 1])
        let replica = world.redis.state
        await world.exec(["ann": 2])
        await world.pass(.seconds(62))
        #expect(world.database.value("ann") == "2")
        world.redis.failOver(to: replica)
        await world.pass(.seconds(20))
        #expect(world.database.value("ann") == "2")
        #expect(try await world.entries() == 0)
    }

    /// A replica takes over while the journal moves.
    @Test @Loop func aRedisThatLosesValuesInTheMiddleOfAMoveHasThemAgain() async throws {
        let world = try await JournalWorld()
        await world.exec(["ann": 1])
        let replica = world.redis.state
        await world.exec(["bob": 1])
        let line = try #require(world.lines["chat-1"])
        line.isSlow = true
        #expect(await world.exec(["cid": 1])["cid"] != nil)
        line.transactionTime = .seconds(1)
        for _ in 0..<100 where !line.isInTransaction { await world.pass(.milliseconds(100)) }
        world.redis.failOver(to: replica)
        await world.pass(.seconds(10))
        line.isCut = true
        world.cluster.crash("chat-1")
        try await world.start("chat-1")
        for id in ["ann", "bob", "cid"] { #expect(world.database.value(id) == "1") }
        await world.pass(.seconds(10))
        #expect(try await world.entries() == 0)
    }

    @Test @Loop func aMergeOfOnesOwnSurvivesWithAllItsParts() async throws {
        let world = try await JournalWorld()
        world.database.delay = { .seconds(3) }
        try await world.sync().exec(.coins, "ann", 3)
        Loop.spawn { await world.sync().sync() }
        await world.pass(.milliseconds(100))
        // The first is on its way, and may never arrive.
        try await world.sync().exec(.coins, "ann", 4)
        world.cluster.crash("chat-1")
        world.database.delay = { .zero }
        try await world.start("chat-1")
        #expect(world.database.value("ann", of: "coins") == "7")
    }

    @Test @Loop func aServerWhoseClockIsBehindIsNotOverruled() async throws {
        let world = try await JournalWorld()
        world.cluster.clock.stepWall(byMilliseconds: 600_000)
        await world.exec(["ann": 1, "bob": 1])
        Loop.spawn { await world.sync().sync() }
        await world.pass(.seconds(1))
        #expect(world.database.value("ann") == "1")
        world.cluster.clock.stepWall(byMilliseconds: -600_000)
        await world.pass(.seconds(12))
        await world.exec(["ann": 2], at: "chat-2")
        await world.pass(.seconds(62))
        #expect(world.database.value("ann") == "2")
        // Also one that has just begun.
        world.cluster.crash("chat-2")
        try await world.start("chat-2")
        await world.exec(["bob": 2], at: "chat-2")
        await world.pass(.seconds(62))
        #expect(world.database.value("bob") == "2")
    }

    @Test @Loop func aNumberThatWasNeverGivenIsNotFollowed() async throws {
        let world = try await JournalWorld()
        world.cluster.crash("chat-1")
        let number = String(UInt64.max - 2)
        try await world.redis.send(RedisCommand("SET", "pomelo:{sync:pomelo/chat-1}:clock", number))
        try await world.start("chat-1")
        for level in 1...5 { try await world.sync().flush(.level, "ann", level) }
        #expect(world.database.value("ann") == "5")
    }

    @Test @Loop func anEntryOfANewerVersionIsLeftAlone() async throws {
        let world = try await JournalWorld()
        await world.exec(["ann": 1, "bob": 2])
        let place = try #require(try await world.journals().first { $0.value == 2 }?.key)
        let key = "pomelo:{sync:pomelo/chat-1}:j:\(place.split(separator: ":", maxSplits: 1)[1])"
        try await world.redis.send(RedisCommand("HSET", key, "level\u{0}cid", "\u{2}something new"))
        try await world.redis.send(RedisCommand("HSET", key, "stranger\u{0}cid", [1] + Bytes(repeating: 0, count: 10)))
        let impossible = [1] + Bytes(repeating: 255, count: 8) + [0, 0]
        try await world.redis.send(RedisCommand("HSET", key, "level\u{0}dan", impossible))
        world.cluster.crash("chat-1")
        try await world.start("chat-1")
        await world.pass(.seconds(10))
        #expect(world.database.value("ann") == "1" && world.database.rows.count == 2)
        #expect(try await world.entries() == 3)
    }

    @Test @Loop func deadLettersSurvive() async throws {
        let world = try await JournalWorld()
        world.database.refuses = { $0.id == "ann" || $0.id == nil }
        await world.exec(["ann": 1, "bob": 2])
        try await world.sync().exec(.log, "text")
        await world.pass(.seconds(62))
        #expect(world.sync().deadLetters.count == 2)
        #expect(try await world.entries() == 0)
        world.cluster.crash("chat-1")
        try await world.start("chat-1")
        let letters = world.sync().deadLetters
        #expect(Set(letters.map(\.letter.id)) == ["ann", nil] && letters.allSatisfy { $0.letter.reason == "no" })
        // One that is tried in vain is one still, in the next start too.
        for (number, _) in letters { #expect(world.sync().retryDeadLetter(number)) }
        await world.pass(.seconds(2))
        #expect(world.sync().deadLetters.count == 2)
        world.database.refuses = { _ in false }
        for (number, letter) in world.sync().deadLetters {
            if letter.id == nil {
                #expect(world.sync().dropDeadLetter(number) != nil)
            } else {
                #expect(world.sync().retryDeadLetter(number) && !world.sync().retryDeadLetter(number))
            }
        }
        await world.pass(.seconds(2))
        #expect(world.database.value("ann") == "1" && world.database.appended.isEmpty)
        world.cluster.crash("chat-1")
        try await world.start("chat-1")
        #expect(world.sync().deadLetters.isEmpty)
    }

    @Test @Loop func aStopLeavesInTheJournalWhatNoSinkTakes() async throws {
        var options = SyncOptions()
        options.stop = .seconds(1)
        let world = try await JournalWorld(options)
        world.database.isAway = true
        await world.exec(["ann": 1])
        await world.cluster.stopAll()
        #expect(try await world.entries() == 1)
        world.database.isAway = false
        try await world.start("chat-2")
        await world.pass(.seconds(10))
        #expect(world.database.value("ann") == "1")
    }
}

extension JournalWorld {
    /// Without waiting for the journal.
    func note(_ key: SyncKey<Int>, _ id: String, _ value: Int, at server: ServerID = "chat-1") {
        try? sync(server).exec(key, id, value)
    }
}
