// SPDX-License-Identifier: MIT
import PomeloCluster
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

@Suite("views, and Redis that fails", .onEachLayout) struct ViewTests {
    struct HintCase: CustomTestStringConvertible, Sendable {
        let name: String
        let hasMessages: Bool
        let bound: Duration
        var testDescription: String { name }
    }

    @Test(arguments: [
        HintCase(name: "with messages at once", hasMessages: true, bound: .zero),
        HintCase(name: "without them at the next look", hasMessages: false, bound: .milliseconds(550)),
    ]) @Loop func changesArrive(_ table: HintCase) async throws {
        let cluster = MemoryCluster(hasMessages: table.hasMessages)
        let a = try await cluster.started("a", port: 1)
        await cluster.clock.pass(.seconds(1))
        _ = try await cluster.started("b", port: 2)
        await cluster.clock.pass(table.bound)
        #expect(a.view == "a:u b:u")
    }

    @Test @Loop func whatTheStreamDoesNotTellIsFoundByTheReload() async throws {
        let cluster = MemoryCluster()
        let a = try await cluster.started("a", port: 1)
        let entry =
            #"{"inst":"i","state":"up","record":{"id":"x","serverType":"chat","host":"127.0.0.1","port":77}}"#
        _ = try await cluster.redis.send(RedisCommand("HSET", "pomelo:{test}:servers", "x", entry))
        cluster.fleet.answering["127.0.0.1:77"] = "i"
        await cluster.clock.pass(.seconds(33))
        #expect(a.view == "a:u x:u")
    }

    @Test @Loop func aTrimmedStreamIsNoLoss() async throws {
        let cluster = MemoryCluster(hasMessages: false)
        let a = try await cluster.started("a", port: 1)
        await cluster.clock.pass(.seconds(1))
        let b = try await cluster.started("b", port: 2)
        _ = try await cluster.redis.send(RedisCommand("DEL", "pomelo:{test}:ev"))
        await cluster.clock.pass(.seconds(1))
        #expect(a.view == "a:u b:u")
        try await cluster.clock.drive { await b.stop() }
        await cluster.clock.pass(.seconds(1))
        #expect(a.view == "a:u")
    }

    @Test @Loop func anOutageRemovesNobody() async throws {
        let cluster = MemoryCluster()
        let members = try await cluster.started(["a", "b", "c", "d"])
        cluster.goDown()
        await cluster.clock.pass(.seconds(15))
        for member in members { #expect(member.view == "a:u b:u c:u d:u") }
        cluster.comeBack(empty: false)
        await cluster.clock.pass(.seconds(5))
        for member in members {
            #expect(member.notes.published == 1)
            #expect(member.view == "a:u b:u c:u d:u")
        }
        await cluster.clock.pass(.seconds(30))
        for member in members { #expect(!member.changes.contains { $0.hasPrefix("-") }) }
        #expect(cluster.fleet.pings == 0)
    }

    @Test @Loop func whoDiedInAnOutageIsRemovedOneLeaseAfterIt() async throws {
        let cluster = MemoryCluster()
        let members = try await cluster.started(["a", "b", "c", "d"])
        cluster.goDown()
        members[3].crash(in: cluster.fleet)
        await cluster.clock.pass(.seconds(15))
        cluster.comeBack(empty: false)
        await cluster.clock.pass(.seconds(9))
        #expect(members[0].view == "a:u b:u c:u d:u")
        await cluster.clock.pass(.seconds(4))
        #expect(members[0].view == "a:u b:u c:u")
        #expect(members.prefix(3).flatMap(\.notes.cleaned).filter { $0 == "d" } == ["d"])
    }

    @Test @Loop func anEmptiedRedisIsFilledAgain() async throws {
        let cluster = MemoryCluster()
        let members = try await cluster.started(["a", "b", "c", "d"])
        cluster.goDown()
        members[3].crash(in: cluster.fleet)
        await cluster.clock.pass(.seconds(2))
        cluster.comeBack(empty: true)
        await cluster.clock.pass(.seconds(5))
        for member in members.prefix(3) {
            #expect(member.notes.published >= 1)
            #expect(member.view == "a:u b:u c:u d:u")
        }
        let listed = try await ClusterRegistry(cluster.redis, cluster: "test").list()
        // Also who cannot come back by itself: the others knew it, and clean up after it when its lease ends.
        #expect(listed.map { "\($0.info.id):\($0.info.state)" } == ["a:up", "b:up", "c:up", "d:up"])
        await cluster.clock.pass(.seconds(8))
        for member in members.prefix(3) {
            #expect(member.view == "a:u b:u c:u")
            #expect(member.changes.filter { $0.hasPrefix("-") } == ["-d"])
        }
        #expect(members.prefix(3).flatMap(\.notes.cleaned).filter { $0 == "d" } == ["d"])
    }

    @Test @Loop func flushedWithoutALossOfTheConnection() async throws {
        let cluster = MemoryCluster()
        let members = try await cluster.started(["a", "b", "c"])
        await cluster.clock.pass(.seconds(1))
        try await cluster.flush()
        await cluster.clock.pass(.seconds(5))
        for member in members {
            #expect(member.notes.published >= 1)
            #expect(member.view == "a:u b:u c:u")
            #expect(!member.changes.contains { $0.hasPrefix("-") })
        }
        let ever = try await members[0].application?.membership?.everServers()
        #expect(ever == ["a", "b", "c"])
    }

    @Test @Loop func aFailoverThatLosesTheLastChanges() async throws {
        let cluster = MemoryCluster()
        let a = try await cluster.started("a", port: 1)
        let b = try await cluster.started("b", port: 2)
        await cluster.clock.pass(.seconds(1))
        let replica = cluster.snapshot()
        let c = try await cluster.started("c", port: 3)
        try await cluster.clock.drive { await b.stop() }
        await cluster.clock.pass(.seconds(1))
        #expect(a.view == "a:u c:u")
        cluster.failOver(to: replica)
        await cluster.clock.pass(.seconds(5))
        // c has come back to the registry by itself; b is in it again, until its lease ends.
        #expect(c.isJoined)
        #expect(a.sees("c")?.instance == c.instance)
        #expect(c.notes.published >= 1)
        await cluster.clock.pass(.seconds(25))
        #expect(a.view == "a:u c:u")
        #expect(c.view == "a:u c:u")
    }

    @Test @Loop func aLostLeaseHashIsSeenByTheNextRenewal() async throws {
        let cluster = MemoryCluster()
        let a = try await cluster.started("a", port: 1)
        await cluster.clock.pass(.seconds(10))
        #expect(a.notes.published == 0)
        _ = try await cluster.redis.send(RedisCommand("DEL", "pomelo:{test/a}:lease"))
        await cluster.clock.pass(.milliseconds(3400))
        #expect(a.notes.published == 1)
        let inst = try await cluster.redis.send(RedisCommand("HGET", "pomelo:{test/a}:lease", "inst"))
        #expect(inst.string == a.instance.rawValue)
    }

    @Test @Loop func aStateThatWasLostIsWrittenAgain() async throws {
        let cluster = MemoryCluster()
        let a = try await cluster.started("a", port: 1)
        let text =
            try await cluster.redis.send(RedisCommand("HGET", "pomelo:{test}:servers", "a")).string ?? ""
        let old = text.replacing("\"up\"", with: "\"joining\"")
        _ = try await cluster.redis.send(RedisCommand("HSET", "pomelo:{test}:servers", "a", old))
        await cluster.clock.pass(.milliseconds(3400))
        let state = try await ClusterRegistry(cluster.redis, cluster: "test").registeredState(of: "a")
        #expect(state == .up)
        #expect(a.view == "a:u")
    }

    @Test @Loop func aLeaseIsRenewedAsLongAsItsServerLives() async throws {
        let cluster = MemoryCluster()
        var a: Member? = try await cluster.started("a", port: 1)
        let registry = ClusterRegistry(cluster.redis, cluster: "test")
        for _ in 0..<20 {
            await cluster.clock.pass(.seconds(3))
            #expect(try await registry.registeredState(of: "a") == .up)
        }
        a?.crash(in: cluster.fleet)
        a = nil
        await cluster.clock.pass(.seconds(11))
        #expect(try await registry.registeredState(of: "a") == nil)
        #expect(try await registry.list().map(\.isExpired) == [true])
    }

    /// Whatever command fails, a start ends, and leaves nothing behind that the next one trips over.
    @Test @Loop func aStartWithAnyCommandFailing() async throws {
        var reached = true
        var index = 0
        while reached, index < 100 {
            let cluster = MemoryCluster()
            reached = false
            cluster.failCommand(index) { reached = true }
            let a = try cluster.server("a", port: 1)
            let error = await failure { try await cluster.clock.drive { try await a.start() } }
            if let error {
                #expect(error.code == .redisUnavailable, "command \(index)")
                #expect(a.application?.state == .stopped)
                a.crash(in: cluster.fleet)
                let again = try await cluster.started("a", port: 1)
                #expect(again.isJoined)
            } else {
                await cluster.clock.pass(.seconds(5))
                #expect(a.view == "a:u", "command \(index)")
            }
            index += 1
        }
        #expect(index > 8)
    }
}
