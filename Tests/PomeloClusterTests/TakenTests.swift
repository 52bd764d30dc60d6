// SPDX-License-Identifier: MIT
import PomeloCluster
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

/// The registry names another instance in a live server's place: a successor, or one of yesterday.
@Suite("an id that is taken", .onEachLayout) struct TakenTests {
    @Loop private func leaseInstance(_ cluster: MemoryCluster, _ id: ServerID) async throws -> String? {
        try await cluster.redis.send(RedisCommand("HGET", "pomelo:{test/\(id)}:lease", "inst")).string
    }

    struct MoveCase: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let port: Int
    }

    @Test(arguments: [
        MoveCase(testDescription: "at the same address", port: 1),
        MoveCase(testDescription: "at another address", port: 9),
    ]) @Loop func aServerStartedSinceTheSnapshotStays(_ move: MoveCase) async throws {
        let cluster = MemoryCluster()
        let old = try await cluster.started("a", port: 1)
        await cluster.clock.pass(.seconds(1))
        let yesterday = cluster.snapshot()
        old.crash(in: cluster.fleet)
        let new = try await cluster.started("a", port: move.port)
        await cluster.clock.pass(.seconds(5))
        let published = new.notes.published
        cluster.failOver(to: yesterday)
        await cluster.clock.pass(.seconds(5))
        #expect(new.replaced == 0 && new.isJoined)
        #expect(new.view == "a:u")
        #expect(try await cluster.registered() == ["a": new.instance])
        #expect(try await leaseInstance(cluster, "a") == new.instance.rawValue)
        #expect(new.notes.published > published)
    }

    @Test @Loop func aWholeClusterStartedSinceTheSnapshotStays() async throws {
        let cluster = MemoryCluster()
        let ids: [ServerID] = ["a", "b", "c", "d"]
        let old = try await cluster.started(ids)
        let yesterday = cluster.snapshot()
        for member in old { member.crash(in: cluster.fleet) }
        let new = try await cluster.started(ids)
        await cluster.clock.pass(.seconds(15))
        for member in new { #expect(member.view == "a:u b:u c:u d:u") }
        let before = new.map { $0.changes.filter { $0.hasPrefix("-") } }
        cluster.failOver(to: yesterday)
        for _ in 0..<50 {
            await cluster.clock.pass(.milliseconds(100))
            for member in new { #expect(member.view == "a:u b:u c:u d:u") }
        }
        for (index, member) in new.enumerated() {
            #expect(member.replaced == 0 && member.isJoined)
            #expect(try await leaseInstance(cluster, member.id) == member.instance.rawValue)
            #expect(member.changes.filter { $0.hasPrefix("-") } == before[index])
            for other in new { #expect(member.sees(other.id)?.instance == other.instance) }
        }
        await cluster.clock.pass(.seconds(30))
        #expect(new.allSatisfy { $0.replaced == 0 && $0.view == "a:u b:u c:u d:u" })
    }

    /// One of them cannot say so yet: it is known by its answer, and not by what the registry had yesterday.
    @Test @Loop func anInstanceOfYesterdayIsNotBelievedWhileTheNewOneAnswers() async throws {
        let cluster = MemoryCluster()
        let old = try await cluster.started(["a", "b"])
        let yesterday = cluster.snapshot()
        for member in old { member.crash(in: cluster.fleet) }
        let a = try await cluster.started("a", port: 1)
        let client = cluster.redis.client()
        let b = try cluster.fleet.server("b", port: 2, redis: client, messages: client)
        try await cluster.clock.drive { try await b.start() }
        await cluster.clock.pass(.seconds(1))
        client.cut()
        cluster.failOver(to: yesterday)
        await cluster.clock.pass(.seconds(2))
        #expect(a.sees("b")?.instance == b.instance)
        client.mend()
        await cluster.clock.pass(.seconds(2))
        #expect(try await cluster.registered() == ["a": a.instance, "b": b.instance])
    }

    /// Somebody has written another instance over ours, and it answers: we are the one that was replaced.
    @Test @Loop func aHolderThatAnswersIsLeftInPeace() async throws {
        let cluster = MemoryCluster()
        let a = try await cluster.started("a", port: 1)
        let entry =
            #"{"inst":"other","state":"up","record":{"id":"a","serverType":"chat","host":"127.0.0.1","port":5}}"#
        cluster.fleet.answering["127.0.0.1:5"] = "other"
        _ = try await cluster.redis.send(RedisCommand("HSET", "pomelo:{test}:servers", "a", entry))
        await cluster.clock.pass(.seconds(4))
        #expect(a.replaced == 1)
        #expect(try await cluster.registered() == ["a": "other"])
    }

    /// The holder is healthy; the second one goes, however often a supervisor starts it.
    @Test @Loop func aSecondProcessNeverTakesTheIdOfALiveServer() async throws {
        let cluster = MemoryCluster()
        let a = try await cluster.started("a", port: 1)
        for _ in 0..<10 {
            let second = try cluster.server("a", port: 2)
            let error = await failure { try await cluster.clock.drive { try await second.start() } }
            #expect(error?.message == "server id a is already running at 127.0.0.1:1")
            await cluster.clock.pass(.seconds(2))
        }
        #expect(a.replaced == 0 && a.isJoined && a.view == "a:u")
    }

    /// A wish to publish again outlives the failure of what comes between it and its fulfilment.
    @Test(arguments: 0..<12, [false, true])
    @Loop func aLossIsHealedWhateverFailsMeanwhile(_ call: Int, _ executes: Bool) async throws {
        let cluster = MemoryCluster(hasMessages: false)
        let a = try await cluster.started("a", port: 1)
        await cluster.clock.pass(.seconds(1))
        _ = try await cluster.redis.send(RedisCommand("DEL", "pomelo:{test/a}:lease"))
        let before = a.notes.published
        cluster.redis.failCall(call, executes: executes)
        await cluster.clock.pass(.seconds(8))
        #expect(a.notes.published > before)
        #expect(try await leaseInstance(cluster, "a") == a.instance.rawValue)
    }

    /// Like the above, after a connection that is new: what was written before its loss may not have arrived.
    @Test(arguments: 0..<6, [false, true])
    @Loop func aRecoveryGoesOnAfterAFailure(_ call: Int, _ executes: Bool) async throws {
        let cluster = MemoryCluster(hasMessages: false)
        let a = try await cluster.started("a", port: 1)
        await cluster.clock.pass(.seconds(1))
        cluster.goDown()
        await cluster.clock.pass(.seconds(1))
        let before = a.notes.published
        cluster.redis.failCall(call, executes: executes)
        cluster.comeBack(empty: false)
        await cluster.clock.pass(.seconds(2.5))
        #expect(a.notes.published > before)
    }
}

/// What else stands in for the transport is held to the same rules, as far as it goes.
@Suite("transports in memory") struct FleetTransportTests {
    static let rules = TransportSuite.Case.allCases.filter {
        $0.rawValue.hasPrefix("ping") || $0.rawValue.hasPrefix("proof") || $0 == .addressInUse
    }

    @Test(arguments: rules) @Loop func rule(_ rule: TransportSuite.Case) async throws {
        try await TransportSuite(FleetWorld()).run(rule)
    }
}

@Loop private final class FleetWorld: TransportWorld {
    private let manual = ManualClock()
    private lazy var fleet = Fleet(manual)
    let network: any Network = NoNetwork()
    var clock: any LoopClock { manual }

    func makeTransport(of server: ServerID) -> any RPCTransport { FleetTransport(fleet) }

    func silent(_ server: ServerID) async throws -> ServerRecord {
        let record = ServerRecord(id: server, type: "test", port: 77)
        fleet.answering[record.address] = "c1"
        fleet.frozen = ["c1"]
        return record
    }

    func drive(_ body: @escaping @Loop @Sendable () async throws -> Void) async throws {
        try await manual.drive(body)
    }
}
