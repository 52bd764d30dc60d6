// SPDX-License-Identifier: MIT
import PomeloCluster
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

@Suite("servers that are gone", .onEachLayout) struct ReaperTests {
    @Test @Loop func removedWithinLeaseAndTwoSeconds() async throws {
        let cluster = MemoryCluster()
        let members = try await cluster.started(["a", "b", "c"])
        members[2].crash(in: cluster.fleet)
        await cluster.clock.pass(.milliseconds(6500))
        #expect(members[0].view == "a:u b:u c:u")
        await cluster.clock.pass(.milliseconds(5500))
        #expect(members[0].view == "a:u b:u")
        #expect(members[1].view == "a:u b:u")
        #expect((members[0].notes.cleaned + members[1].notes.cleaned).filter { $0 == "c" } == ["c"])
        #expect(try await cluster.events().last?.what == "expired")
        let left = try await cluster.redis.send(
            RedisCommand("EXISTS", "pomelo:{test/c}:lease", "pomelo:{test/c}:reap"))
        #expect(left == .integer(0))
    }

    /// A stop while Redis fails: nobody would clean up after a server that is not registered.
    @Test @Loop func whoCouldNotRemoveItsStateIsCleanedUpAfter() async throws {
        let cluster = MemoryCluster()
        let members = try await cluster.started(["a", "b"])
        members[1].notes.isBehind = true
        try await cluster.clock.drive { await members[1].stop() }
        await cluster.clock.pass(.seconds(1))
        #expect(members[0].sees("b") != nil && !members[0].notes.cleaned.contains("b"))
        await cluster.clock.pass(.seconds(12))
        #expect(members[0].sees("b") == nil && members[0].notes.cleaned.filter { $0 == "b" } == ["b"])
    }

    /// A start that fails between the join and the end of the clean-up: the entry is all that names what is left.
    @Test @Loop func whoCouldNotCleanUpAfterItselfIsCleanedUpAfter() async throws {
        struct Full: Error {}
        let cluster = MemoryCluster()
        let members = try await cluster.started(["a", "b"])
        members[1].crash(in: cluster.fleet)
        let again = try cluster.server("b", port: 2)
        again.notes.work = { _, _ in throw Full() }
        let error = await thrown(by: { try await cluster.clock.drive { try await again.start() } })
        #expect(error is Full)
        #expect(!members[0].notes.cleaned.contains("b"))
        again.crash(in: cluster.fleet)
        await cluster.clock.pass(.seconds(13))
        #expect(members[0].sees("b") == nil)
        #expect(members[0].notes.cleaned.filter { $0 == "b" } == ["b"])
    }

    @Test @Loop func whoAnswersStays() async throws {
        let cluster = MemoryCluster()
        let members = try await cluster.started(["a", "b", "c"])
        let address = "127.0.0.1:3"
        members[2].crash(in: cluster.fleet)
        cluster.fleet.answering[address] = members[2].instance
        await cluster.clock.pass(.seconds(60))
        #expect(members[0].view == "a:u b:u c:u")
        // Two servers ask once a lease.
        #expect(cluster.fleet.pings <= 12)
        cluster.fleet.answering[address] = nil
        await cluster.clock.pass(.seconds(12))
        #expect(members[0].view == "a:u b:u")
    }

    @Test @Loop func whoAnswersAsAnotherInstanceDoesNot() async throws {
        let cluster = MemoryCluster()
        let members = try await cluster.started(["a", "c"])
        members[1].crash(in: cluster.fleet)
        cluster.fleet.answering["127.0.0.1:2"] = "stranger"
        await cluster.clock.pass(.seconds(12))
        #expect(members[0].view == "a:u")
    }

    @Test @Loop func aFrozenServerIsRemovedAndComesBack() async throws {
        let cluster = MemoryCluster()
        let members = try await cluster.started(["a", "b"])
        // Its process stands still: no renewals reach Redis, and pings time out.
        _ = try await cluster.redis.send(RedisCommand("ZADD", "pomelo:{test}:leases", 1, "b"))
        cluster.fleet.frozen.insert(members[1].instance)
        await cluster.clock.pass(.milliseconds(1200))
        #expect(members[0].view == "a:u")
        cluster.fleet.frozen = []
        await cluster.clock.pass(.seconds(4))
        #expect(members[0].view == "a:u b:u")
        #expect(members[1].notes.published > 0)
        #expect(members[1].replaced == 0)
    }

    @Test @Loop func whoRenewsDuringThePingStays() async throws {
        let cluster = MemoryCluster()
        let members = try await cluster.started(["a", "b"])
        _ = try await cluster.redis.send(RedisCommand("ZADD", "pomelo:{test}:leases", 1, "b"))
        cluster.fleet.frozen.insert(members[1].instance)
        let before = cluster.fleet.pings
        for _ in 0..<60 where cluster.fleet.pings == before { await cluster.clock.pass(.milliseconds(10)) }
        #expect(cluster.fleet.pings > before)
        let later = Int(cluster.clock.wallMilliseconds) + 10_000
        _ = try await cluster.redis.send(RedisCommand("ZADD", "pomelo:{test}:leases", later, "b"))
        await cluster.clock.pass(.seconds(2))
        #expect(members[0].notes.cleaned == ["a"])
        #expect(members[0].view == "a:u b:u")
    }

    @Test @Loop func anotherFinishesWhatADeadReaperBegan() async throws {
        let cluster = MemoryCluster()
        let members = try await cluster.started(["a", "b", "c"])
        var begun: [ServerID] = []
        for member in members.prefix(2) {
            let id = member.id
            member.notes.work = { server, proceed in
                guard server == "c" else { return }
                begun.append(id)
                guard begun.count == 1 else { return }
                await cluster.clock.sleep(for: .seconds(3600))
                try await proceed()
            }
        }
        members[2].crash(in: cluster.fleet)
        await cluster.clock.pass(.milliseconds(10_700))
        let first = try #require(begun.first)
        let survivor = try #require(members.prefix(2).first { $0.id != first })
        members.first { $0.id == first }?.crash(in: cluster.fleet)
        await cluster.clock.pass(.seconds(3))
        #expect(begun == [first, survivor.id])
        #expect(survivor.sees("c") == nil)
        #expect(survivor.notes.cleaned.contains("c"))
    }

    @Test @Loop func aReaperThatWakesLateTouchesNothing() async throws {
        let cluster = MemoryCluster()
        let members = try await cluster.started(["a", "b", "c"])
        var begun: [ServerID] = []
        var woke: Bool?
        for member in members.prefix(2) {
            let id = member.id
            member.notes.work = { server, proceed in
                guard server == "c" else { return }
                begun.append(id)
                guard begun.count == 1 else { return }
                await cluster.clock.sleep(for: .seconds(20))
                woke = true
                try await proceed()
                woke = false
            }
        }
        members[2].crash(in: cluster.fleet)
        await cluster.clock.pass(.seconds(14))
        #expect(begun.count == 2)
        #expect(members[0].view == "a:u b:u")
        let again = try await cluster.started("c", port: 3)
        await cluster.clock.pass(.seconds(30))
        // It went no further than to ask whether it may.
        #expect(woke == true)
        #expect(members[0].sees("c")?.instance == again.instance)
        #expect(members[0].view == "a:u b:u c:u")
        let inst = try await cluster.redis.send(RedisCommand("HGET", "pomelo:{test/c}:lease", "inst"))
        #expect(inst.string == again.instance.rawValue)
    }

    @Test @Loop func aCleanerThatFailsIsTriedAgainAndHindersNobody() async throws {
        struct Broken: Error {}
        let cluster = MemoryCluster()
        let members = try await cluster.started(["a", "b", "c", "d", "e", "f", "g"])
        var failures = 0
        for member in members.dropLast(2) {
            member.notes.work = { server, _ in
                guard server == "f", failures < 3 else { return }
                failures += 1
                throw Broken()
            }
        }
        for member in members.suffix(2) { member.crash(in: cluster.fleet) }
        await cluster.clock.pass(.seconds(12))
        #expect(members[0].sees("g") == nil)
        await cluster.clock.pass(.seconds(10))
        #expect(failures == 3)
        #expect(members[0].view == "a:u b:u c:u d:u e:u")
    }

    @Test @Loop func manyAtOnceGetOneMoreLease() async throws {
        let cluster = MemoryCluster()
        let members = try await cluster.started(["a", "b", "c", "d", "e", "f"])
        for member in members.suffix(3) { member.crash(in: cluster.fleet) }
        await cluster.clock.pass(.seconds(16))
        #expect(members[0].view == "a:u b:u c:u d:u e:u f:u")
        await cluster.clock.pass(.seconds(8))
        #expect(members[0].view == "a:u b:u c:u")
    }

    @Test @Loop func aLeaseThatWasLostEndsAllTheSame() async throws {
        let cluster = MemoryCluster()
        let members = try await cluster.started(["a", "b"])
        members[1].crash(in: cluster.fleet)
        _ = try await cluster.redis.send(RedisCommand("ZREM", "pomelo:{test}:leases", "b"))
        await cluster.clock.pass(.seconds(33 + 12))
        #expect(members[0].view == "a:u")
    }

    @Test @Loop func aLeaseWithoutAnEntryIsCleanedUp() async throws {
        let cluster = MemoryCluster()
        let members = try await cluster.started(["a"])
        _ = try await cluster.redis.send(RedisCommand("ZADD", "pomelo:{test}:leases", 1, "x"))
        await cluster.clock.pass(.seconds(2))
        #expect(members[0].notes.cleaned == ["a", "x"])
        let score = try await cluster.redis.send(RedisCommand("ZSCORE", "pomelo:{test}:leases", "x"))
        #expect(score.isNull)
    }
}
