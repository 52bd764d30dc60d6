// SPDX-License-Identifier: MIT
import PomeloCluster
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

@Suite("health, and what the registry knows", .onEachLayout) struct HealthTests {
    private typealias Step = (pass: Duration, health: MembershipHealth)

    @Test @Loop func aServerWithoutRedisIsIsolatedAfterTwoLeases() async throws {
        let cluster = MemoryCluster()
        let member = try await cluster.started("a", port: 1)
        let membership = try #require(member.application?.membership)
        await cluster.clock.pass(.seconds(30))
        #expect(membership.health == .healthy)
        cluster.goDown()
        // The last renewal was up to 3.3 s before.
        for step in [(.zero, .degraded), (.seconds(16.5), .degraded), (.seconds(3.7), .isolated)] as [Step] {
            await cluster.clock.pass(step.pass)
            #expect(membership.health == step.health)
        }
        #expect(membership.isJoined && member.replaced == 0)
        cluster.comeBack(empty: true)
        await cluster.clock.pass(.milliseconds(100))
        #expect(membership.health == .healthy && member.view == "a:u")
    }

    /// Connections stand, and nothing is answered.
    @Test @Loop func aRedisThatDoesNotAnswerIsolatesToo() async throws {
        let cluster = MemoryCluster()
        let member = try await cluster.started("a", port: 1)
        let membership = try #require(member.application?.membership)
        cluster.redis.pause()
        await cluster.clock.pass(.seconds(6))
        #expect(membership.health == .degraded)
        await cluster.clock.pass(.seconds(15))
        #expect(membership.health == .isolated)
        cluster.redis.resume()
        await cluster.clock.pass(.seconds(5))
        #expect(membership.health == .healthy)
    }

    @Test @Loop func oneRenewalThatFailsIsDegradedUntilTheNext() async throws {
        let cluster = MemoryCluster(hasMessages: false)
        let member = try await cluster.started("a", port: 1)
        let membership = try #require(member.application?.membership)
        var seen: Set<MembershipHealth> = []
        cluster.redis.pause()
        await cluster.clock.pass(.seconds(5))
        seen.insert(membership.health)
        cluster.redis.resume()
        for _ in 0..<8 {
            await cluster.clock.pass(.seconds(1))
            seen.insert(membership.health)
        }
        #expect(seen == [.degraded, .healthy] && membership.health == .healthy)
    }

    @Test @Loop func aStoppedServerIsNotIsolatedLater() async throws {
        let cluster = MemoryCluster()
        let member = try await cluster.started("a", port: 1)
        let membership = try #require(member.application?.membership)
        try await cluster.clock.drive { await member.stop() }
        await cluster.clock.pass(.seconds(30))
        #expect(membership.health == .healthy)
    }

    @Test @Loop func whoHasTheIdIsKnownByTheRegistryAlone() async throws {
        let cluster = MemoryCluster()
        let members = try await cluster.started(["a", "b"])
        let (a, b) = (members[0], members[1])
        let membership = try #require(a.application?.membership)
        #expect(try await membership.isAlive("b", b.instance))
        #expect(try await !membership.isAlive("b", "another"))
        #expect(try await !membership.isAlive("nobody", b.instance))
        // Not the view's opinion.
        a.application?.servers.remove(["b"])
        #expect(try await membership.isAlive("b", b.instance))
        // A lease that was lost is about to be given anew, one that has ended is not.
        _ = try await cluster.redis.send(RedisCommand("ZREM", "pomelo:{test}:leases", "b"))
        #expect(try await membership.isAlive("b", b.instance))
        _ = try await cluster.redis.send(RedisCommand("ZADD", "pomelo:{test}:leases", 1, "b"))
        #expect(try await !membership.isAlive("b", b.instance))
        cluster.goDown()
        #expect(await failure { _ = try await membership.isAlive("b", b.instance) }?.code == .redisUnavailable)
    }
}
