// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloGlobalChannel
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

/// Where members are in Redis Cluster: all that a server has in one slot, so that it is written at once.
@Suite struct ClusterLayoutTests {
    private static let names: [ChannelName] = [
        "lobby", "a{b}c", "{other}", "}{", "x:connector-2", "{pomelo/connector-2}:y",
    ]

    @Loop private func keys(of redis: FakeRedis) async throws -> [String] {
        var keys: [String] = []
        for node in redis.nodes {
            keys += try await node.send(RedisCommand("SCAN", "0", "COUNT", "10000")).page().texts
        }
        return keys.sorted()
    }

    @Loop private func store(
        _ redis: FakeRedis, _ server: ServerID = "connector-1"
    ) async throws -> RedisChannelStore {
        let store = RedisChannelStore(redis: redis.client())
        try await store.start(StoreOwner(server: server, instance: "9f00", cluster: "pomelo"))
        return store
    }

    private func batch(_ uid: UserID) -> ChannelBatch {
        ChannelBatch(changes: Self.names.map { .init(channel: $0, added: [uid], count: 1) }, sequence: 1)
    }

    @Test @Loop func allThatAServerHasIsInOneSlot() async throws {
        let redis = FakeRedis(clock: ManualClock(), isCluster: true)
        let store = try await store(redis)
        _ = try await store.publish(batch("ann"))
        let keys = try await keys(of: redis)
        #expect(keys.contains("POMELO:CHANNEL:{pomelo/connector-1}:lobby"))
        #expect(keys.count == Self.names.count + 2)
        #expect(Set(keys.map { KeySlot(of: $0) }).count == 1)
        for name in Self.names { #expect(try await store.members(of: name, at: "connector-1") == ["ann"]) }
    }

    /// By the index, and by a walk over all nodes when the index was lost.
    @Test(arguments: [true, false]) @Loop func cleaningTakesNothingOfOthers(_ hasIndex: Bool) async throws {
        let redis = FakeRedis(clock: ManualClock(), isCluster: true)
        let (one, two) = (try await store(redis), try await store(redis, "connector-2"))
        _ = try await one.publish(batch("ann"))
        _ = try await two.publish(batch("bob"))
        if !hasIndex { _ = try await redis.send(RedisCommand("UNLINK", "pomelo:{pomelo/connector-1}:channels")) }
        try await two.cleanUp("connector-1", instance: "9f00", proceed: {}, lost: { _, _ in })
        let left = try await keys(of: redis)
        #expect(left.filter { $0.contains("{pomelo/connector-1}") } == ["pomelo:{pomelo/connector-1}:lease"])
        for name in Self.names { #expect(try await one.members(of: name, at: "connector-2") == ["bob"]) }
    }

    /// The keys that pomelo's plugin reads are those of one server only.
    @Test(.onEachLayout) @Loop func theLayoutIsThatOfTheServer() async throws {
        let redis = FakeRedis(clock: ManualClock(), isCluster: RedisLayout.current.isCluster)
        _ = try await store(redis).publish(batch("ann"))
        let keys = try await keys(of: redis)
        #expect(keys.contains("POMELO:CHANNEL:lobby:connector-1") == !redis.isCluster)
        #expect(keys.contains("POMELO:CHANNEL:{pomelo/connector-1}:lobby") == redis.isCluster)
    }
}
