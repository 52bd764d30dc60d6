// SPDX-License-Identifier: MIT
import PomeloCluster
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

/// Who starts on a Redis Cluster finds what its nodes have of servers that nobody remembers.
@Suite("walks over all keys") struct WalkTests {
    private static let leaseOfA = "pomelo:{test/a}:lease"

    @Loop private func onCluster() -> MemoryCluster { RedisLayout.$current.withValue(.cluster) { MemoryCluster() } }

    /// The registry is at another node, which has not gone back: it knows nothing of the server that has stopped.
    @Test @Loop func whoStartsLooksAtANodeThatWentBackWhileNobodyRan() async throws {
        let cluster = onCluster()
        let node = FakeRedis.node(of: Self.leaseOfA)
        try #require(node != FakeRedis.node(of: "pomelo:{test}:servers"))
        let a = try await cluster.started("a", port: 1)
        await cluster.clock.pass(.seconds(1))
        let replica = cluster.snapshot()
        try await cluster.clock.drive { await a.stop() }
        #expect(try await cluster.redis.send(RedisCommand("EXISTS", Self.leaseOfA)) == .integer(0))
        cluster.redis.failOver(to: replica, node: node)
        #expect(try await cluster.redis.send(RedisCommand("EXISTS", Self.leaseOfA)) == .integer(1))
        let b = try await cluster.started("b", port: 2)
        await cluster.clock.pass(.seconds(2))
        #expect(b.notes.cleaned.filter { $0 == "a" } == ["a"])
        #expect(try await cluster.redis.send(RedisCommand("EXISTS", Self.leaseOfA)) == .integer(0))
    }

    @Test @Loop func aSecondServerOfTheSameRunDoesNotWalkAgain() async throws {
        let cluster = onCluster()
        let (first, second) = (CountedWalks(cluster.redis.client()), CountedWalks(cluster.redis.client()))
        let a = try await cluster.started("a", port: 1, control: first)
        await cluster.clock.pass(.seconds(2))
        #expect(first.count == 1)
        let b = try await cluster.started("b", port: 2, control: second)
        await cluster.clock.pass(.seconds(2))
        #expect(a.view == "a:u b:u" && b.view == a.view)
        #expect(first.count == 1 && second.count == 0)
        // Another run may have other keys.
        cluster.redis.failOver(to: cluster.redis.state, node: 0)
        await cluster.clock.pass(.seconds(2))
        #expect(first.count + second.count > 1)
    }
}

/// A port on which the walks over all keys are counted.
@Loop private final class CountedWalks: RedisPort {
    private let redis: FakeRedisClient
    private(set) var count = 0

    init(_ redis: FakeRedisClient) { self.redis = redis }

    var isUp: Bool { redis.isUp }
    var isCluster: Bool { redis.isCluster }
    var runID: String { redis.runID }
    var nodes: [any RedisPort] {
        count += 1
        return redis.nodes
    }

    func pipeline(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        try await redis.pipeline(commands)
    }

    func transaction(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        try await redis.transaction(commands)
    }

    func run(_ script: RedisScript, keys: [String], args: [RedisArgument]) async throws(RedisError) -> RedisReply {
        try await redis.run(script, keys: keys, args: args)
    }

    func observe(_ handler: @escaping @Loop (RedisEvent) -> Void) -> RedisObservation { redis.observe(handler) }
    func unobserve(_ observation: RedisObservation) { redis.unobserve(observation) }
}
