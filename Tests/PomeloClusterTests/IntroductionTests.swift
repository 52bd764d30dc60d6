// SPDX-License-Identifier: MIT
import PomeloCluster
import PomeloCore
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// A frontend is known to those who were there before, whether messages arrive or not, when its clients may come.
@Suite("introductions", .onEachLayout) struct IntroductionTests {
    /// What others see of a frontend that is about to listen, and how long its start took until then.
    @Loop private func listening(
        _ cluster: MemoryCluster, _ others: [Member]
    ) async throws -> (views: [String], after: Duration)? {
        var seen: (views: [String], after: Duration)?
        let start = cluster.clock.now
        cluster.fleet.onListen = {
            seen = (others.map(\.view), .nanoseconds(Int64(cluster.clock.now - start)))
        }
        let frontend = try cluster.server("f", port: 9, isFrontend: true)
        try await cluster.clock.drive { try await frontend.start() }
        return seen
    }

    @Test @Loop func aFrontendIsKnownToAllBeforeItListens() async throws {
        let cluster = MemoryCluster(hasMessages: false)
        let others = try await cluster.started(["a", "b"])
        let seen = try #require(try await listening(cluster, others))
        #expect(seen.views == ["a:u b:u f:j", "a:u b:u f:j"])
        #expect(seen.after < .milliseconds(500))
    }

    /// It counts its changes from the beginning: as few as these are, the newcomer knows more than who has not looked.
    @Test @Loop func aFrontendOfARegistryThatWasLostIsKnownToAllBeforeItListens() async throws {
        let cluster = MemoryCluster(hasMessages: false)
        let a = try await cluster.started("a", port: 1)
        let looks = HeldLooks(cluster.redis.client())
        let b = try await cluster.started("b", port: 2, control: looks)
        await cluster.clock.pass(.seconds(1))
        looks.holds = true
        await cluster.clock.pass(.milliseconds(600))
        try await cluster.flush()
        await cluster.clock.pass(.milliseconds(600))
        let seen = try #require(try await listening(cluster, [a, b]))
        #expect(seen.views == ["a:u b:u f:j", "a:u b:u f:j"])
    }

    @Test @Loop func whoDoesNotAnswerDelaysNobodyForLong() async throws {
        let cluster = MemoryCluster(hasMessages: false)
        let others = try await cluster.started(["a", "b", "c"])
        cluster.fleet.frozen.insert(others[0].instance)
        others[2].crash(in: cluster.fleet)
        let seen = try #require(try await listening(cluster, Array(others.prefix(2))))
        #expect(seen.views[1] == "a:u b:u c:u f:j")
        #expect(seen.after <= .milliseconds(2600))
    }

    @Test @Loop func theNumberNeverChanges() async throws {
        let cluster = MemoryCluster()
        let member = try await cluster.started("a", port: 1)
        let served = member.application?.procedures.served.filter { 128..<160 ~= $0.number } ?? []
        #expect(served.map { "\($0.number) \($0.name)" } == ["128 cluster.newcomer"])
    }
}
