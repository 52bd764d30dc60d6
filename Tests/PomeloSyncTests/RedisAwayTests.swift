// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloSync
import PomeloTesting
import TestHelpers
import Testing

/// What callers hear while Redis is away, and when as much waits as may.
@Suite(.onEachLayout) struct RedisAwayTests {
    private static func world(_ change: (inout SyncOptions) -> Void) async throws -> JournalWorld {
        var options = SyncOptions()
        change(&options)
        return try await JournalWorld(options)
    }

    @Test @Loop func failTellsWithinASecondAndAHalf() async throws {
        let world = try await Self.world { _ in }
        await world.exec(["ann": 1])
        world.redis.pause()
        let start = world.cluster.clock.now
        let errors = await world.exec(["bob": 2])
        #expect(errors["bob"].map { "\($0)" }?.contains("not in the journal") == true)
        #expect(Duration.nanoseconds(world.cluster.clock.now - start) <= .milliseconds(1560))
        // From now on it is known, and nothing is noted.
        let pending = world.sync().info.pending
        let again = world.cluster.clock.now
        #expect(await world.exec(["cid": 3])["cid"] != nil)
        #expect(world.cluster.clock.now == again && world.sync().info.pending == pending)
        #expect(!world.sync().info.isJournaled)
        world.redis.resume()
        await world.pass(.seconds(3))
        #expect(world.sync().info.isJournaled)
        #expect(await world.exec(["cid": 3]).isEmpty)
        // What was refused half-way is in the journal by now, for it waits.
        #expect(try await world.entries() == 3)
    }

    @Test @Loop func waitWaits() async throws {
        let world = try await Self.world { $0.redisAway = .wait }
        world.redis.down()
        var isDone = false
        let sync = world.sync()
        let call = Loop.spawn {
            try? await sync.exec(.level, "ann", 1)
            isDone = true
        }
        await world.pass(.seconds(30))
        #expect(!isDone)
        world.redis.up()
        await world.pass(.seconds(3))
        #expect(isDone)
        await call.value
        #expect(try await world.entries() == 1)
    }

    @Test @Loop func memoryAcknowledgesAndMakesUpForIt() async throws {
        let world = try await Self.world { $0.redisAway = .memory }
        await world.exec(["ann": 1])
        world.redis.down()
        let start = world.cluster.clock.now
        #expect(await world.exec(["bob": 2, "ann": 3]).isEmpty)
        #expect(world.cluster.clock.now == start)
        world.redis.up()
        await world.pass(.seconds(3))
        #expect(try await world.entries() == 2)
        world.cluster.crash("chat-1")
        try await world.start("chat-1")
        #expect(world.database.value("ann") == "3" && world.database.value("bob") == "2")
    }

    @Test @Loop func aFullRedisIsToldAndNothingIsLost() async throws {
        let world = try await Self.world { _ in }
        await world.exec(["ann": 1])
        world.redis.failCall(0, error: .reply("OOM command not allowed when used memory > 'maxmemory'."))
        #expect(await world.exec(["bob": 2])["bob"] != nil)
        await world.pass(.seconds(3))
        #expect(await world.exec(["bob": 3]).isEmpty)
        #expect(try await world.entries() == 2)
    }

    @Test @Loop func bytesAreBounded() async throws {
        let world = try await Self.world { $0.maxPendingBytes = 200 }
        let values = Dictionary(uniqueKeysWithValues: (0..<20).map { ("\($0)", $0) })
        await world.exec(values)
        #expect(await world.exec(["more": 1])["more"] == .overloaded(limit: 200))
        await world.pass(.seconds(62))
        #expect(await world.exec(["more": 1]).isEmpty)
    }

    @Test @Loop func backPressureWaitsForTheSink() async throws {
        let world = try await Self.world {
            $0.maxPending = 3
            $0.whenFull = .wait
        }
        await world.exec(["a": 1, "b": 2, "c": 3])
        var isDone = false
        let sync = world.sync()
        let call = Loop.spawn {
            try? await sync.exec(.level, "d", 4)
            isDone = true
        }
        await world.cluster.settle()
        #expect(!isDone)
        await world.pass(.seconds(62))
        #expect(isDone)
        await call.value
    }

    /// A dead letter's bytes go when the journal has it: behind the sink's word.
    @Test @Loop func roomThatDeadLettersMakeIsTold() async throws {
        let world = try await Self.world {
            $0.maxPendingBytes = 200
            $0.whenFull = .wait
        }
        world.database.refuses = { $0.id != "more" }
        await world.exec(Dictionary(uniqueKeysWithValues: (0..<20).map { ("\($0)", $0) }))
        var isDone = false
        let sync = world.sync()
        Loop.spawn {
            try? await sync.exec(.level, "more", 1)
            isDone = true
        }
        await world.cluster.settle()
        #expect(!isDone)
        Loop.spawn { await sync.sync() }
        await world.pass(.seconds(2))
        #expect(isDone && sync.deadLetters.count == 20)
    }

    @Test @Loop func whatCannotBeEncodedIsToldToItsCaller() async throws {
        struct Unencodable: Error {}
        let key = SyncKey<Int>("level", encode: { _ throws in throw Unencodable() })
        let world = try await Self.world { _ in }
        await #expect(throws: SyncError.self) { try await world.sync().exec(key, "ann", 1) }
        #expect(await world.exec(["bob": 2]).count <= 1)
        await world.pass(.seconds(62))
        #expect(world.sync().deadLetters.map(\.letter.id).contains("ann"))
    }
}
