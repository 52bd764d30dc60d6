// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloSync
import PomeloTesting
import TestHelpers
import Testing

/// Whoever claimed a journal was itself taken for gone: another server has it, with all that was in it.
@Suite(.onEachLayout) struct LostClaimTests {
    /// Server 1 has died with so many values, and server 2, whose sink is away, has claimed them.
    @Loop private static func claimed(_ count: Int, isRead: Bool) async throws -> (JournalWorld, key: String) {
        let world = try await JournalWorld()
        for number in 1..<count { world.note(.level, "\(number)", number) }
        await world.exec(["ann": 1])
        world.database.isAway = true
        // As many as the list of journals has: a page has more.
        if !isRead { world.lines["chat-2"]?.maxWords = 2 }
        world.cluster.crash("chat-1")
        try await world.cluster.endLease(of: "chat-1")
        await world.pass(.seconds(15))
        #expect(world.sync("chat-2").info.pending == (isRead ? count : 0))
        world.lines["chat-2"]?.maxWords = .max
        let place = try #require(try await world.journals().keys.first { $0.hasPrefix("chat-1:chat-2:") })
        return (world, "pomelo:{sync:pomelo/chat-1}:j:\(place.split(separator: ":", maxSplits: 1)[1])")
    }

    /// What a claim does to a journal.
    @Loop private static func take(_ key: String, in world: JournalWorld) async throws -> String {
        let taken = key + "0"
        try await world.port.send(RedisCommand("RENAMENX", key, taken))
        try await world.port.send(RedisCommand("SET", key, "fenced", "NX", "EX", "86400"))
        return taken
    }

    /// Whether server 2 has no journal any more that it waits for, which it would do for two seconds.
    @Loop private static func stopsAtOnce(_ world: JournalWorld) async -> Bool {
        var hasStopped = false
        Loop.spawn {
            await world.cluster.stop("chat-2")
            hasStopped = true
        }
        for _ in 0..<10 where !hasStopped { await world.pass(.milliseconds(100)) }
        return hasStopped
    }

    @Test @Loop func whatItHasReadIsWrittenAndLeftToTheOther() async throws {
        let (world, key) = try await Self.claimed(20, isRead: true)
        let taken = try await Self.take(key, in: world)
        world.database.isAway = false
        await world.pass(.seconds(130))
        #expect(world.database.rows.count == 20)
        #expect(try await world.port.send(RedisCommand("HLEN", [taken])).int == 20)
        #expect(try await world.port.send(RedisCommand("TYPE", [key])).string == "string")
        #expect(await Self.stopsAtOnce(world), "it does not go on removing")
    }

    @Test @Loop func whatItHasNotReadIsNotLookedForAgain() async throws {
        let (world, key) = try await Self.claimed(20, isRead: false)
        let taken = try await Self.take(key, in: world)
        world.database.isAway = false
        await world.pass(.seconds(15))
        #expect(world.database.rows.isEmpty)
        #expect(try await world.port.send(RedisCommand("HLEN", [taken])).int == 20)
        #expect(await Self.stopsAtOnce(world), "it does not go on reading")
    }
}
