// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloSync
import PomeloTesting
import TestHelpers
import Testing

/// A value that was acknowledged, and a later one of its id that no journal takes and that is given up.
@Suite(.onEachLayout) struct EarlierValueTests {
    private struct Unencodable: Error {}

    /// Of numbers that are below zero, or have four digits, nothing can be made.
    private static func key(_ name: String, merges: Bool = false) -> SyncKey<Int> {
        let encode: @Sendable (Int) throws -> Bytes = { number in
            if number < 0 || number > 999 { throw Unencodable() }
            return Array("\(number)".utf8)
        }
        return merges ? SyncKey(name, encode: encode) { $0 + $1 } : SyncKey(name, encode: encode)
    }

    /// Nothing waits, or is counted as if it did.
    @Loop private static func expectNothingLeft(_ world: JournalWorld) async throws {
        #expect(try await world.entries() == 0)
        #expect(world.sync().isDone && world.sync().info.pendingBytes == 0)
    }

    @Test @Loop func itIsWrittenWhenTheLaterOneCannotBeEncoded() async throws {
        let (world, key) = (try await JournalWorld(), Self.key("level"))
        for id in ["ann", "bob", "cid"] { try await world.sync().exec(key, id, 1) }
        for id in ["ann", "cid"] {
            await #expect(throws: SyncError.self) { try await world.sync().exec(key, id, -1) }
        }
        await world.pass(.seconds(70))
        for id in ["ann", "bob", "cid"] { #expect(world.database.value(id) == "1") }
        #expect(Set(world.sync().deadLetters.map(\.letter.id)) == ["ann", "cid"])
        try await Self.expectNothingLeft(world)
        #expect(try await world.journals().count == 1)
    }

    @Test @Loop func itIsWrittenWhenTheLaterOneIsTooLong() async throws {
        let world = try await JournalWorld()
        let key = SyncKey<String>("level", encode: { Array($0.utf8) })
        world.database.refuses = { $0.value.count > 1000 }
        try await world.sync().exec(key, "ann", "1")
        await #expect(throws: SyncError.self) {
            try await world.sync().exec(key, "ann", String(repeating: "x", count: 9 << 20))
        }
        await world.pass(.seconds(70))
        #expect(world.database.value("ann") == "1")
        #expect(world.sync().deadLetters.map(\.letter.value?.count) == [9 << 20])
        try await Self.expectNothingLeft(world)
    }

    /// The one on its way comes back, and the later one stands for it.
    @Test @Loop func itIsWrittenWhenItWasOnItsWay() async throws {
        let (world, key) = (try await JournalWorld(), Self.key("level"))
        world.database.delay = { .seconds(3) }
        world.database.isAway = true
        try await world.sync().exec(key, "ann", 1)
        Loop.spawn { await world.sync().sync() }
        await world.pass(.milliseconds(100))
        await #expect(throws: SyncError.self) { try await world.sync().exec(key, "ann", -1) }
        world.database.delay = { .zero }
        await world.pass(.seconds(20))
        world.database.isAway = false
        await world.pass(.seconds(130))
        #expect(world.database.value("ann") == "1" && world.sync().deadLetters.count == 1)
        try await Self.expectNothingLeft(world)
    }

    /// The next value of the id has its own place in the journal, and comes behind.
    @Test(arguments: ["level", "coins"] as [String]) @Loop
    func aCrashLosesNeitherItNorTheNextOne(_ name: String) async throws {
        let (world, key) = (try await JournalWorld(), Self.key(name, merges: name == "coins"))
        world.database.isAway = true
        try await world.sync().exec(key, "ann", 1)
        await #expect(throws: SyncError.self) { try await world.sync().exec(key, "ann", 1000) }
        for _ in 0..<700 where world.sync().deadLetters.isEmpty { await world.pass(.milliseconds(100)) }
        try await world.sync().exec(key, "ann", 3)
        world.cluster.crash("chat-1")
        world.database.isAway = false
        var seen: [String] = []
        world.database.refuses = { entry in
            seen.append(String(decoding: entry.value, as: UTF8.self))
            return false
        }
        try await world.start("chat-1")
        await world.pass(.seconds(20))
        #expect(seen == [name == "coins" ? "4" : "3"])
        #expect(world.sync().deadLetters.map(\.letter.value) == [nil])
        try await Self.expectNothingLeft(world)
    }

    /// Redis is another process meanwhile, with the data or without, before the later one is given up or behind that.
    @Test(arguments: [false, true], [false, true]) @Loop
    func itIsInTheJournalOfARedisThatCameBack(_ isEmpty: Bool, _ isGivenUp: Bool) async throws {
        let (world, key) = (try await JournalWorld(), Self.key("level"))
        world.database.isAway = true
        for id in ["ann", "bob"] { try await world.sync().exec(key, id, 1) }
        await #expect(throws: SyncError.self) { try await world.sync().exec(key, "ann", -1) }
        if isGivenUp { await world.pass(.seconds(62)) }
        #expect(world.sync().deadLetters.count == (isGivenUp ? 1 : 0))
        if isEmpty {
            world.redis.down()
            world.redis.up(empty: true)
        } else {
            world.redis.failOver(to: world.redis.state)
        }
        await world.pass(.seconds(6))
        world.lines["chat-1"]?.isCut = true
        world.cluster.crash("chat-1")
        world.database.isAway = false
        try await world.start("chat-1")
        await world.pass(.seconds(10))
        #expect(world.database.value("ann") == "1" && world.database.value("bob") == "1")
    }

    /// Nobody hears that it is safe when it never was in a journal.
    @Test @Loop func callersOfBothHearWhenRedisWasAwayAllTheTime() async throws {
        var options = SyncOptions()
        options.redisAway = .wait
        let (world, key) = (try await JournalWorld(options), Self.key("level"))
        try await world.sync().exec(key, "bob", 1)
        world.redis.down()
        var errors: [Int: SyncError] = [:]
        let sync = world.sync()
        for number in [1, -1] {
            Loop.spawn {
                do throws(SyncError) { try await sync.exec(key, "ann", number) } catch { errors[number] = error }
            }
        }
        let list = SyncKey<Int>("log", encode: { _ throws in throw Unencodable() })
        Loop.spawn { do throws(SyncError) { try await sync.exec(list, 5) } catch { errors[5] = error } }
        await world.pass(.seconds(70))
        #expect(errors.isEmpty)
        world.redis.up(empty: false)
        await world.pass(.seconds(10))
        #expect(errors.count == 3, "\(errors)")
        // The next value of the id is taken.
        try await sync.exec(key, "ann", 2)
    }

    /// While the later one is given up, Redis is away, or does not answer.
    @Test(arguments: [false, true]) @Loop func itIsWrittenThoughRedisIsAwayMeanwhile(_ isSlow: Bool) async throws {
        let (world, key) = (try await JournalWorld(), Self.key("level"))
        try await world.sync().exec(key, "ann", 1)
        await #expect(throws: SyncError.self) { try await world.sync().exec(key, "ann", -1) }
        if isSlow { try #require(world.lines["chat-1"]).isSlow = true } else { world.redis.down() }
        await world.pass(.seconds(70))
        if !isSlow { world.redis.up(empty: false) }
        await world.pass(.seconds(70))
        #expect(world.database.value("ann") == "1" && world.sync().deadLetters.count == 1)
        try await Self.expectNothingLeft(world)
    }
}
