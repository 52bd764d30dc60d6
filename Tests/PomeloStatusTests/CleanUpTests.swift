// SPDX-License-Identifier: MIT
import Foundation
import PomeloCluster
import PomeloCore
import PomeloLoop
import PomeloPublication
import PomeloRedis
import PomeloStatus
import PomeloTesting
import TestHelpers
import Testing

/// What is left of a server that is gone, on a Redis in memory.
@Suite(.onEachLayout) struct CleanUpTests {
    enum Path: String, CaseIterable, Sendable { case reaper, nextStart }

    /// A Redis that is full evicts keys: the index of a server's users too.
    @Test(arguments: Path.allCases) @Loop func usersWithoutAnIndexAreFound(_ path: Path) async throws {
        let world = try await RedisWorld()
        for number in 0..<60 {
            #expect(try await world.bind(UserID("u\(number)"), "connector-1", within: 0.05).1 == "none")
        }
        #expect(try await world.bind("e\u{301}:*", "connector-1").1 == "none")
        #expect(try await world.bind("bob", "connector-2").1 == "none")
        _ = try await world.redis.send(RedisCommand("SET", "POMELO:STATUS:foreign", "text"))
        _ = try await world.redis.send(RedisCommand("UNLINK", "pomelo:{pomelo/connector-1}:uids"))
        world.cluster.crash("connector-1")
        world.clients["connector-1"]?.cut()
        if path == .nextStart { try await world.start("connector-1") }
        await world.pass(15)
        var keys: [String] = []
        for node in world.redis.nodes {
            try await node.forEachPage({ RedisCommand("SCAN", $0, "MATCH", "*POMELO:STATUS:*") }) { keys += $0 }
        }
        #expect(keys.sorted() == ["POMELO:STATUS:bob", "POMELO:STATUS:foreign", "{POMELO:STATUS:bob}:bind"])
    }

    /// One millisecond each way; 20 000 in the long form, which takes a while without optimization.
    @Test @Loop func twentyThousandUsersAreCleanedUpInTime() async throws {
        let isLong = ProcessInfo.processInfo.environment["POMELO_SIMULATION_SEEDS"] != nil
        let count = isLong ? 20_000 : 2000
        let clock = ManualClock()
        let redis = FakeRedis(clock: clock, isCluster: RedisLayout.current.isCluster)
        let gone = RedisStatusStore(redis: redis.client())
        let instance: InstanceID = "9f00"
        try await gone.start(StoreOwner(server: "connector-1", instance: instance, cluster: "pomelo"))
        let holder = Holder(server: "connector-1", instance: instance, session: SessionID(1))
        for start in stride(from: 0, to: count, by: 500) {
            let users = (start..<start + 500).map { UserID("u\($0)") }
            _ = try await gone.publish(online: users, offline: [], sequence: UInt64(start + 1))
            for uid in users { _ = try await gone.claim(uid, holder, gone: nil) }
        }
        redis.delay = .milliseconds(1) ... .milliseconds(1)
        let live = RedisStatusStore(redis: redis.client())
        try await live.start(StoreOwner(server: "connector-2", instance: "a111", cluster: "pomelo"))
        let control = redis.client()
        let outcome = Journal<String>()
        let begin = clock.now
        Loop.spawn {
            outcome.note(
                await failureCode {
                    try await live.cleanUp("connector-1", instance: instance) {
                        _ = try await control.send(RedisCommand("PING"))
                    }
                })
        }
        for _ in 0..<20_000 where outcome.entries.isEmpty {
            for _ in 0..<30 { await Loop.yield() }
            if outcome.entries.isEmpty, let next = clock.nextDeadline { clock.advance(to: next) }
        }
        #expect(outcome.entries == ["none"])
        // 20 000 in under 2 s, with 2 ms to Redis and back; a cluster takes four of these a slice.
        let bound: UInt64 = redis.isCluster ? 250_000 : 75_000
        #expect(clock.now - begin < UInt64(count) * bound, "\((clock.now - begin) / 1_000_000) ms")
        redis.delay = .zero ... .zero
        var left: [String] = []
        for node in redis.nodes {
            left += try await node.send(RedisCommand("SCAN", "0", "COUNT", "100000")).page().texts
        }
        #expect(left == ["pomelo:{pomelo/connector-1}:lease"])
    }

    /// The reaper sleeps between two slices, the server is back and its users too; then the reaper wakes up.
    @Test @Loop func aReaperThatIsSlowRemovesNothingOfTheNextInstance() async throws {
        let world = try await RedisWorld()
        let users = (0..<120).map { UserID("u\($0)") }
        for uid in users { _ = try await world.bind(uid, "connector-1", within: 0) }
        await world.pass(1)
        let former = world.cluster["connector-1"].instance
        world.cluster.crash("connector-1")
        world.clients["connector-1"]?.cut()
        let reaper = RedisStatusStore(redis: world.redis.client())
        try await reaper.start(world.cluster["connector-2"].context.owner)
        let (gate, outcome) = (Journal<String>(), Journal<String>())
        Loop.spawn {
            outcome.note(
                await failureCode {
                    try await reaper.cleanUp("connector-1", instance: former) {
                        gate.note("look")
                        if gate.entries.count == 2 { await world.cluster.clock.sleep(for: .seconds(6)) }
                    }
                })
        }
        await world.cluster.settle()
        try await world.start("connector-1")
        for uid in users { _ = try await world.bind(uid, "connector-1", within: 0) }
        await world.pass(2)
        let before = try await reaper.holders(of: users)
        #expect(Set(before.map { $0?.instance }) == [world.cluster["connector-1"].instance])
        await world.cluster.advance(by: .milliseconds(4100), step: .milliseconds(50))
        #expect(outcome.entries == ["replaced"])
        #expect(try await reaper.holders(of: users) == before)
        #expect(try await reaper.areOnline(users).allSatisfy { $0 })
        #expect(try await reaper.publishedUsers().isEmpty)
        for uid in users.prefix(60) { #expect(try await world.bind(uid, "connector-2", within: 0.01).1 == "binding") }
    }
}
