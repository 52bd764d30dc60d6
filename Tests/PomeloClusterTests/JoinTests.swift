// SPDX-License-Identifier: MIT
import PomeloCluster
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

@Suite("joining and leaving", .onEachLayout) struct JoinTests {
    @Test @Loop func everyStateIsAnnouncedInOrder() async throws {
        let cluster = MemoryCluster()
        let a = try await cluster.started("a", port: 1)
        let b = try await cluster.started("b", port: 2)
        await cluster.clock.pass(.seconds(1))
        #expect(a.view == "a:u b:u")
        #expect(b.view == "a:u b:u")
        #expect(b.changes == ["+a", "+b"], "those who were there are added, nothing is replaced")
        #expect(a.sees("b")?.services == [b.notes.name], "who looks for a service asks those that have it")
        try await cluster.clock.drive { await b.stop() }
        await cluster.clock.pass(.seconds(1))
        #expect(a.view == "a:u")
        #expect(a.changes == ["+a", "+b", "-b"])
        let told = try await cluster.events().filter { $0.id == "b" }.map(\.what)
        #expect(told == ["joining", "up", "draining", "left"])
        let keys = try await cluster.redis.send(RedisCommand("EXISTS", "pomelo:{test/b}:lease"))
        #expect(keys == .integer(0))
    }

    @Test @Loop func aRunningIDIsRefused() async throws {
        let cluster = MemoryCluster()
        let a = try await cluster.started("a", port: 1)
        let second = try cluster.server("a", port: 2)
        let error = await failure { try await cluster.clock.drive { try await second.start() } }
        #expect(error?.code == .configuration)
        #expect(error?.message == "server id a is already running at 127.0.0.1:1")
        await cluster.clock.pass(.seconds(20))
        #expect(a.isJoined)
        #expect(a.replaced == 0)
        #expect(a.view == "a:u")
    }

    struct RestartCase: CustomTestStringConvertible, Sendable {
        let name: String
        let port: Int
        var testDescription: String { name }
    }

    @Test(arguments: [
        RestartCase(name: "at the same address", port: 1), RestartCase(name: "elsewhere", port: 9),
    ]) @Loop func aDeadInstanceIsReplacedAtOnce(_ table: RestartCase) async throws {
        let cluster = MemoryCluster()
        let a = try await cluster.started("a", port: 1)
        let b = try await cluster.started("b", port: 2)
        await cluster.clock.pass(.seconds(1))
        a.crash(in: cluster.fleet)
        let begin = cluster.clock.now
        let again = try await cluster.started("a", port: table.port)
        #expect(cluster.clock.now - begin <= 1_000_000_000)
        await cluster.clock.pass(.seconds(1))
        #expect(again.view == "a:u b:u")
        #expect(again.notes.cleaned == ["a"])
        #expect(b.sees("a")?.instance == again.instance)
        #expect(b.changes.filter { $0.hasSuffix("a") }.suffix(2) == ["-a", "+a"])
        await cluster.clock.pass(.seconds(30))
        #expect(b.view == "a:u b:u")
        #expect(b.notes.cleaned == ["b"])
    }

    @Test @Loop func aReplacedInstanceIsTold() async throws {
        let cluster = MemoryCluster()
        let old = try await cluster.started("a", port: 1)
        cluster.fleet.frozen.insert(old.instance)
        let new = try await cluster.started("a", port: 2)
        cluster.fleet.frozen = []
        await cluster.clock.pass(.seconds(5))
        #expect(old.replaced == 1)
        #expect(!old.isJoined)
        #expect(new.isJoined)
        try await cluster.clock.drive { await old.stop() }
        await cluster.clock.pass(.seconds(20))
        #expect(new.isJoined)
        #expect(new.replaced == 0)
        #expect(new.view == "a:u")
    }

    @Test @Loop func aRefusedSecretEndsTheStart() async throws {
        let cluster = MemoryCluster()
        let a = try await cluster.started("a", port: 1)
        cluster.fleet.refusesSecrets = true
        let b = try cluster.server("b", port: 2)
        let error = await failure { try await cluster.clock.drive { try await b.start() } }
        #expect(error?.code == .configuration)
        #expect(error?.message.contains("secret") == true)
        await cluster.clock.pass(.seconds(1))
        #expect(a.view == "a:u")
    }

    @Test @Loop func serversThatDoNotAnswerCannotRefuse() async throws {
        let cluster = MemoryCluster()
        let a = try await cluster.started("a", port: 1)
        a.crash(in: cluster.fleet)
        let b = try await cluster.started("b", port: 2)
        #expect(b.isJoined)
    }

    @Test @Loop func anEntryNobodyCanReadIsOverwritten() async throws {
        let cluster = MemoryCluster()
        _ = try await cluster.redis.send(RedisCommand("HSET", "pomelo:{test}:servers", "a", "not json"))
        let a = try await cluster.started("a", port: 1)
        await cluster.clock.pass(.seconds(1))
        #expect(a.view == "a:u")
    }

    @Test @Loop func joinWaitsForACleanUpToEnd() async throws {
        let cluster = MemoryCluster()
        let a = try await cluster.started("a", port: 1)
        let c = try await cluster.started("c", port: 3)
        var log: [String] = []
        a.notes.work = { id, proceed in
            guard id == "c" else { return }
            log.append("a begins")
            for _ in 0..<5 {
                await cluster.clock.sleep(for: .seconds(1))
                try await proceed()
            }
            log.append("a ends")
        }
        c.crash(in: cluster.fleet)
        await cluster.clock.pass(.milliseconds(10_700))
        #expect(log == ["a begins"])
        let again = try cluster.server("c", port: 3)
        again.notes.work = { _, _ in log.append("c cleans") }
        try await cluster.clock.drive { try await again.start() }
        #expect(log == ["a begins", "a ends", "c cleans"])
        await cluster.clock.pass(.seconds(20))
        #expect(a.view == "a:u c:u")
        #expect(a.sees("c")?.instance == again.instance)
    }

    @Test @Loop func joinOutlivesTheTokenOfADeadReaper() async throws {
        let cluster = MemoryCluster()
        _ = try await cluster.redis.send(RedisCommand("SET", "pomelo:{test/a}:reap", "dead", "PX", 2000))
        let begin = cluster.clock.now
        _ = try await cluster.started("a", port: 1)
        let waited = cluster.clock.now - begin
        #expect((2_000_000_000...2_300_000_000).contains(waited))
    }

    @Test @Loop func stopEndsWithoutRedis() async throws {
        let cluster = MemoryCluster()
        let a = try await cluster.started("a", port: 1)
        cluster.goDown()
        let begin = cluster.clock.now
        try await cluster.clock.drive { await a.stop() }
        #expect(cluster.clock.now - begin < 5_000_000_000)
    }

    @Test @Loop func aClusterIsJoinedOnce() async throws {
        let cluster = MemoryCluster()
        let a = try cluster.server("a", port: 1)
        let application = try #require(a.application)
        let error = await failure {
            try application.use(Cluster(redis: cluster.redis))
        }
        #expect(error?.code == .configuration)
    }
}
