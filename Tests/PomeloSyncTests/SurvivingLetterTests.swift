// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloSync
import PomeloTesting
import TestHelpers
import Testing

/// Dead letters stay, whatever becomes of servers, of Redis, and of attempts to write them.
@Suite(.onEachLayout) struct SurvivingLetterTests {
    /// With one dead letter, of ann at chat-1.
    @Loop private static func world(_ options: SyncOptions = SyncOptions()) async throws -> JournalWorld {
        let world = try await JournalWorld(options)
        world.database.refuses = { $0.id == "ann" }
        await world.exec(["ann": 1])
        await world.pass(.seconds(62))
        #expect(world.sync().deadLetters.count == 1)
        return world
    }

    @Loop private static func restart(_ id: ServerID, _ world: JournalWorld) async throws {
        world.lines[id]?.isCut = true
        world.cluster.crash(id)
        try await world.start(id)
    }

    @Test @Loop func thoseOfTwoServersWithOneNumberAreTwo() async throws {
        let world = try await JournalWorld()
        world.database.refuses = { _ in true }
        for id: ServerID in ["chat-1", "chat-2"] { world.note(.level, "ann", 1, at: id) }
        await world.pass(.seconds(62))
        let letters = ["chat-1", "chat-2"].compactMap { world.sync($0).deadLetters.first?.letter.version.number }
        #expect(letters.count == 2 && letters[0] == letters[1], "the clocks of a test are one")
        world.database.refuses = { _ in false }
        await world.exec(["bob": 1])
        world.cluster.crash("chat-1")
        try await world.cluster.endLease(of: "chat-1")
        await world.pass(.seconds(15))
        #expect(world.sync("chat-2").deadLetters.count == 2)
        try await Self.restart("chat-2", world)
        #expect(world.sync("chat-2").deadLetters.count == 2)
    }

    /// As they were written before their fields named the server.
    @Test @Loop func anEarlierFormIsReadAndWrittenAnew() async throws {
        let world = try await Self.world()
        let key = "pomelo:{sync:pomelo/chat-1}:dead"
        let words = try await world.port.send(RedisCommand("HGETALL", [key])).array?.compactMap(\.bytes) ?? []
        let (field, value) = (try #require(words.first), try #require(words.last))
        let earlier = Array(field.prefix(8)) + Array("level\u{0}ann".utf8)
        try await world.port.send(RedisCommand("DEL", [key]))
        try await world.port.send(RedisCommand("HSET", key, earlier, value))
        try await Self.restart("chat-1", world)
        let number = try #require(world.sync().deadLetters.first?.number)
        #expect(world.sync().dropDeadLetter(number)?.id == "ann")
        await world.pass(.seconds(2))
        try await Self.restart("chat-1", world)
        #expect(world.sync().deadLetters.isEmpty)
    }

    @Test @Loop func oneThatIsTriedAgainSurvivesARedisThatCameBackEmpty() async throws {
        let world = try await Self.world()
        world.database.isAway = true
        #expect(world.sync().retryDeadLetter(try #require(world.sync().deadLetters.first?.number)))
        await world.pass(.seconds(1))
        world.redis.down()
        world.redis.up(empty: true)
        await world.pass(.seconds(6))
        try await Self.restart("chat-1", world)
        #expect(world.sync().deadLetters.map(\.letter.id) == ["ann"])
    }

    /// Of a server that has written nothing yet.
    @Test @Loop func thoseOfAnEarlierStartSurviveARedisThatCameBackEmpty() async throws {
        let world = try await Self.world()
        try await Self.restart("chat-1", world)
        #expect(world.sync().deadLetters.count == 1)
        world.redis.down()
        world.redis.up(empty: true)
        await world.pass(.seconds(6))
        try await Self.restart("chat-1", world)
        #expect(world.sync().deadLetters.map(\.letter.id) == ["ann"])
    }

    @Test @Loop func oneThatIsTriedAgainAtOnceSurvivesTheEndOfTheAttemptBefore() async throws {
        let world = try await Self.world()
        let sync = world.sync()
        sync.onDeadLetter = { _ in
            world.database.isAway = true
            #expect(sync.retryDeadLetter(sync.deadLetters[0].number))
        }
        #expect(sync.retryDeadLetter(sync.deadLetters[0].number))
        await world.pass(.seconds(5))
        #expect(sync.deadLetters.isEmpty && sync.info.pending == 1)
        try await Self.restart("chat-1", world)
        #expect(world.sync().deadLetters.map(\.letter.id) == ["ann"])
    }

    /// A crash came between the letter and the end of the entry that it was.
    @Test @Loop func oneWhoseEntryIsThereStillIsOne() async throws {
        let world = try await JournalWorld()
        world.database.refuses = { $0.id == "ann" }
        await world.exec(["ann": 1])
        let place = try #require(try await world.journals().keys.first)
        let key = "pomelo:{sync:pomelo/chat-1}:j:\(place.split(separator: ":", maxSplits: 1)[1])"
        let words = try await world.port.send(RedisCommand("HGETALL", [key])).array?.compactMap(\.bytes) ?? []
        await world.pass(.seconds(62))
        #expect(world.sync().deadLetters.count == 1)
        try await world.port.send(RedisCommand("HSET", key, try #require(words.first), try #require(words.last)))
        try await Self.restart("chat-1", world)
        await world.pass(.seconds(10))
        let letters = world.sync().deadLetters
        #expect(letters.map(\.letter.id) == ["ann"])
        #expect(world.sync().dropDeadLetter(try #require(letters.first?.number)) != nil)
        await world.pass(.seconds(1))
        try await Self.restart("chat-1", world)
        #expect(world.sync().deadLetters.isEmpty)
    }

    /// Its former journal is another's, and it is there again before that has been read.
    @Test @Loop func thoseOfAServerThatIsThereStayItsOwn() async throws {
        let world = try await Self.world()
        await world.exec(["bob": 1])
        let line = try #require(world.lines["chat-2"])
        line.maxWords = 2
        world.cluster.crash("chat-1")
        try await world.cluster.endLease(of: "chat-1")
        await world.pass(.seconds(15))
        #expect(try await world.journals().keys.contains { $0.hasPrefix("chat-1:chat-2:") })
        try await world.start("chat-1")
        line.maxWords = .max
        await world.pass(.seconds(15))
        #expect(world.database.value("bob") == "1" && world.sync("chat-2").deadLetters.isEmpty)
        try await Self.restart("chat-1", world)
        #expect(world.sync().deadLetters.map(\.letter.id) == ["ann"])
    }

    @Test @Loop func moreThanAnAnswerMayHaveAreRead() async throws {
        let world = try await JournalWorld()
        world.database.refuses = { _ in true }
        for number in 0..<500 { world.note(.level, "\(number)", number) }
        await world.pass(.seconds(62))
        #expect(world.sync().deadLetters.count == 500)
        world.database.refuses = { _ in false }
        await world.exec(["bob": 1])
        try #require(world.lines["chat-2"]).maxWords = 100
        world.cluster.crash("chat-1")
        try await world.cluster.endLease(of: "chat-1")
        await world.pass(.seconds(30))
        #expect(world.sync("chat-2").deadLetters.count == 500)
    }

    /// What no journal takes is in Redis without its value.
    @Test @Loop func oneThatIsTooLongHoldsNothingUp() async throws {
        let world = try await JournalWorld()
        let key = SyncKey<String>("level", encode: { Array($0.utf8) })
        world.database.refuses = { $0.value.count > 1000 }
        await #expect(throws: SyncError.self) {
            try await world.sync().exec(key, "ann", String(repeating: "x", count: 9 << 20))
        }
        await world.pass(.seconds(62))
        #expect(world.sync().deadLetters.map(\.letter.value?.count) == [9 << 20])
        let dead = try await world.port.send(RedisCommand("HGETALL", ["pomelo:{sync:pomelo/chat-1}:dead"])).array ?? []
        #expect(dead.count == 2 && dead.allSatisfy { $0.bytes?.count ?? 0 < 5000 })
    }
}
