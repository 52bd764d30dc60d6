// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloRPC
import Testing

/// Servers that leave, are replaced, stop, freeze and come back.
@Suite struct ClusterTests {
    // MARK: the view

    @Test @Loop func aServerThatLeavesFailsItsQueueAndFinishesWhatIsUnderWay() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        let held = a.begin(b, "hold")
        await settle()
        a.directory.remove(["b"])
        #expect(await a.call(b).isNotSent)
        b.releaseAll()
        await settle()
        #expect(held.kind == "reply")
        // The other direction stands: `b` still has `a` in its view.
        #expect(cluster.net.connections == 1)
    }

    @Test @Loop func aServerThatLeavesWhileItIsDialledFailsItsQueue() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        cluster.net.frozen = [b.info.record.port]
        let queued = a.begin(b)
        await settle()
        a.directory.remove(["b"])
        await settle()
        #expect(queued.kind == "notSent")
    }

    @Test @Loop func aReplacedInstanceIsLeftForTheNewOne() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        let held = a.begin(b, "hold")
        await settle()
        let next = TestServer("b", instance: "b2", options: RPCOptions())
        try await next.start(cluster.cluster)
        a.directory.add([next.info])
        #expect(await a.call(next).isReply)
        #expect(next.seen.count == 1 && b.seen.count == 1)
        b.releaseAll()
        await settle()
        #expect(held.kind == "reply")
    }

    @Test @Loop func anInstanceThatIsNotTheExpectedOneIsNotCalled() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        var stale = b.info
        stale.instance = "b0"
        a.directory.add([stale])
        guard case .failure(.notSent(let reason)) = await a.call(b) else { return #expect(Bool(false)) }
        #expect(reason.contains("another instance"))
        #expect(b.seen.isEmpty)
    }

    // MARK: stop

    @Test @Loop func stopFinishesWhatIsUnderWayInBothDirections() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        let inbound = a.begin(b, "hold")
        let outbound = b.begin(a, "hold")
        await settle()
        var stopped = false
        Loop.spawn {
            await b.transport.stop(within: .seconds(10))
            stopped = true
        }
        await settle()
        let late = a.begin(b)
        await settle()
        #expect(late.kind == "notSent" && !stopped)
        b.releaseAll()
        await settle()
        #expect(inbound.kind == "reply" && !stopped)
        a.releaseAll()
        await settle()
        #expect(outbound.kind == "reply" && stopped)
        #expect(cluster.net.connections == 0)
    }

    @Test @Loop func callsThatCrossTheGoAwayAreNotExecuted() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        let held = a.begin(b, "hold")
        await settle()
        Loop.spawn { await b.transport.stop(within: .seconds(10)) }
        let crossing = a.begin(b)
        await settle()
        #expect(crossing.kind == "notSent" && held.kind == "pending")
        #expect(b.seen.count == 1)
        b.releaseAll()
        await settle()
        #expect(held.kind == "reply")
    }

    @Test @Loop func stopEndsWhatDoesNotFinishInTime() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        let inbound = a.begin(b, "hold", within: .seconds(60))
        let outbound = b.begin(a, "hold", within: .seconds(60))
        await settle()
        var stopped = false
        Loop.spawn {
            await b.transport.stop(within: .seconds(3))
            stopped = true
        }
        await cluster.advance(.milliseconds(2900))
        #expect(!stopped && outbound.kind == "pending")
        await cluster.advance(.milliseconds(1200))
        #expect(stopped && outbound.kind == "maybeExecuted" && inbound.kind == "maybeExecuted")
        for server in [a, b] { server.releaseAll() }
    }

    @Test @Loop func theNextInstanceCanTakeThePortAtOnce() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        _ = await a.call(b)
        await b.transport.stop(within: .seconds(1))
        let next = TestServer("b", instance: "b2", options: RPCOptions())
        try await next.start(cluster.cluster, port: b.info.record.port)
        a.directory.add([next.info])
        #expect(await a.call(next).isReply)
    }

    // MARK: silence

    @Test @Loop func aFrozenServerIsSuspectWithinTwoSecondsAlsoWhenItWasNeverCalled() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        await settle()
        cluster.net.frozen = [b.info.record.port]
        await cluster.advance(.milliseconds(1900))
        #expect(!a.directory.isSuspect("b"))
        await cluster.advance(.milliseconds(200))
        #expect(a.directory.isSuspect("b"))
        #expect(a.transport.counters.suspicions == 1)
    }

    @Test @Loop func callsToASuspectFailAtOnceAndThoseUnderWayMayHaveBeenExecuted() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        _ = await a.call(b)
        cluster.net.frozen = [b.info.record.port]
        let held = a.begin(b, "hold", within: .seconds(60))
        await cluster.advance(.milliseconds(2100))
        #expect(held.kind == "maybeExecuted")
        #expect(await a.call(b).isNotSent)
    }

    @Test @Loop func aServerThatThawsIsUsedAgain() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        _ = await a.call(b)
        cluster.net.frozen = [b.info.record.port]
        await cluster.advance(.seconds(7))
        #expect(a.directory.isSuspect("b"))
        cluster.net.frozen = []
        await cluster.advance(.milliseconds(2500))
        #expect(!a.directory.isSuspect("b"))
        #expect(await a.call(b).isReply)
    }

    @Test @Loop func anIdleButLivingServerIsNeverSuspect() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        _ = await a.call(b)
        await cluster.advance(.seconds(60), step: .milliseconds(100))
        #expect(!a.directory.isSuspect("b") && cluster.net.dials == 2)
    }

    @Test @Loop func aServerThatRefusesConnectionsIsSuspectUntilItIsBack() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        _ = await a.call(b)
        await b.transport.stop(within: .zero)
        #expect(await a.call(b).isNotSent)
        await cluster.advance(.milliseconds(500))
        #expect(a.directory.isSuspect("b"))
        let next = TestServer("b", instance: "b1", options: RPCOptions())
        try await next.start(cluster.cluster, port: b.info.record.port)
        await cluster.advance(.milliseconds(2500))
        #expect(!a.directory.isSuspect("b"))
        #expect(await a.call(next).isReply)
    }

    @Test @Loop func callersThatAreGoneWithoutAWordAreClosed() async throws {
        let cluster = MemoryCluster()
        var options = RPCOptions()
        options.pingInterval = .seconds(3600)
        let (a, b) = try await cluster.pair(options)
        _ = await a.call(b)
        await cluster.advance(.seconds(50), step: .seconds(1))
        #expect(cluster.net.connections == 2 && cluster.net.dials >= 4)
        _ = b
    }

    // MARK: ping and secret

    @Test @Loop func pingTellsInstancesApart() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        var stale = b.info
        stale.instance = "b0"
        for _ in ["without", "with a connection"] {
            #expect(await a.transport.ping(b.info, within: .milliseconds(500)))
            #expect(await a.transport.ping(stale, within: .milliseconds(500)) == false)
            _ = await a.call(b)
        }
        #expect(await a.transport.ping(a.info, within: .milliseconds(500)))
    }

    @Test(arguments: [false, true])
    @Loop func pingGivesUpInTime(connected: Bool) async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        if connected { _ = await a.call(b) }
        cluster.net.frozen = [b.info.record.port]
        var answer: Bool?
        Loop.spawn { answer = await a.transport.ping(b.info, within: .milliseconds(500)) }
        await cluster.advance(.milliseconds(490))
        #expect(answer == nil)
        await cluster.advance(.milliseconds(20))
        #expect(answer == false)
    }

    @Test @Loop func provingTheSecret() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        try await a.transport.proveSecret(to: b.info)
        let stranger = TestServer("x", instance: "x1", options: RPCOptions())
        try await stranger.start(cluster.cluster, secret: "wrong")
        stranger.directory.add([b.info])
        let refused = await #expect(throws: PomeloError.self) {
            try await stranger.transport.proveSecret(to: b.info)
        }
        #expect(refused?.code == .configuration && refused?.message.contains("secret") == true)
        let call = stranger.begin(b)
        await cluster.advance(.milliseconds(100))
        #expect(call.kind == "notSent")
        #expect(b.transport.counters.refused >= 2 && b.seen.isEmpty)
        await b.transport.stop(within: .zero)
        let absent = await #expect(throws: PomeloError.self) { try await a.transport.proveSecret(to: b.info) }
        #expect(absent?.code == .unreachable)
    }

    @Test @Loop func anotherClusterIsRefused() async throws {
        let cluster = MemoryCluster()
        let (_, b) = try await cluster.pair()
        let stranger = TestServer("x", instance: "x1", options: RPCOptions())
        try await stranger.start(cluster.cluster, name: "other")
        let refused = await #expect(throws: PomeloError.self) {
            try await stranger.transport.proveSecret(to: b.info)
        }
        #expect(refused?.code == .unreachable && refused?.message.contains("another cluster") == true)
    }
}
