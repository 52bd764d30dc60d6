// SPDX-License-Identifier: MIT
import PomeloCluster
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloStatus
import PomeloTesting
import TestHelpers
import Testing

/// Frontends with the plugins for Redis, on a Redis in memory: leases, views and clean-up as in earnest.
@Loop final class RedisWorld {
    let cluster = TestCluster(TestCluster.records(connectors: 3, chats: 0), hasRegistry: false)
    let redis: FakeRedis
    private(set) var clients: [ServerID: FakeRedisClient] = [:]

    init() async throws {
        redis = FakeRedis(clock: cluster.clock, isCluster: RedisLayout.current.isCluster)
        redis.registerClusterScripts()
        redis.registerStatusScripts()
        for record in cluster.records { try await start(record.id) }
        await pass(2)
    }

    func start(_ id: ServerID) async throws {
        let client = redis.client()
        clients[id] = client
        var options = Status.Options()
        options.singleSession = .refuse
        try await cluster.start(id) { app in
            try app.use(Cluster(redis: client, messages: client))
            try app.use(Status(redis: client, options: options))
        }
    }

    func pass(_ seconds: Double) async { await cluster.advance(by: .seconds(seconds), step: .milliseconds(50)) }

    /// What a bind ends with, after so long.
    func bind(_ uid: UserID, _ frontend: ServerID, within seconds: Double = 1) async throws -> (TestSocket, String) {
        let socket = try #require(cluster.connect(frontend))
        let session = try #require(socket.session).id
        let outcome = Journal<String>()
        Loop.spawn {
            outcome.note(await failureCode { try await self.cluster[frontend].sessionService.bind(session, uid) })
        }
        await pass(seconds)
        return (socket, outcome.entries.joined())
    }

    func holder(of uid: UserID) async throws -> String? {
        try await redis.send(RedisCommand("HGET", "{POMELO:STATUS:\(uid)}:bind", "sid")).string
    }
}

/// A binding that was taken from a holder that lives: never two sessions of one user, once they see each other.
@Suite(.onEachLayout) struct ReboundTests {
    @Test @Loop func regressionAHolderMissingFromTheViewIsNotGone() async throws {
        let world = try await RedisWorld()
        #expect(try await world.bind("ann", "connector-1").1 == "none")
        world.cluster["connector-2"].servers.remove(["connector-1"])
        #expect(try await world.bind("ann", "connector-2", within: 0.1).1 == "binding")
        #expect(try await world.holder(of: "ann") == "connector-1")
    }

    @Test @Loop func aHolderThatTheRegistryHasLostIsGone() async throws {
        let world = try await RedisWorld()
        #expect(try await world.bind("ann", "connector-1").1 == "none")
        world.cluster.crash("connector-1")
        world.clients["connector-1"]?.cut()
        await world.pass(13)
        #expect(world.cluster["connector-2"].servers["connector-1"] == nil)
        #expect(try await world.bind("ann", "connector-2").1 == "none")
    }

    @Test @Loop func aFormerInstanceIsGoneAlsoForAViewThatLags() async throws {
        let world = try await RedisWorld()
        #expect(try await world.bind("ann", "connector-1").1 == "none")
        let former = try #require(world.cluster["connector-2"].servers["connector-1"])
        let binding = try await world.redis.send(RedisCommand("HGETALL", "{POMELO:STATUS:ann}:bind")).dictionary ?? [:]
        world.cluster.crash("connector-1")
        world.clients["connector-1"]?.cut()
        try await world.start("connector-1")
        await world.pass(2)
        // The binding comes back with older data.
        for (field, value) in binding {
            _ = try await world.redis.send(RedisCommand("HSET", "{POMELO:STATUS:ann}:bind", field, value))
        }
        #expect(world.cluster["connector-2"].servers["connector-1"]?.instance != former.instance)
        #expect(try await world.bind("ann", "connector-2").1 == "none")
    }

    /// The holder's peers lose sight of it, Redis does not.
    @Test @Loop func aHolderThatCouldNotBeAskedEndsItsSessionWhenItIsTaken() async throws {
        let world = try await RedisWorld()
        let (ann, _) = try await world.bind("ann", "connector-1")
        let (bob, _) = try await world.bind("bob", "connector-1")
        world.cluster.network.freeze("connector-1")
        let (other, outcome) = try await world.bind("ann", "connector-2", within: 0.6)
        #expect(outcome == "none")
        await world.pass(1.2)
        #expect(ann.isClosed && ann.kick == "rebound")
        #expect(!bob.isClosed && !other.isClosed)
        #expect(try await world.holder(of: "ann") == "connector-2")
        #expect(try await world.holder(of: "bob") == "connector-1")
        world.cluster.network.thaw("connector-1")
        await world.pass(3)
        #expect(!other.isClosed && world.cluster["connector-1"].status.backlog == 0)
        let left = try await world.redis.send(RedisCommand("SMEMBERS", "pomelo:{pomelo/connector-1}:revoked"))
        #expect(left.strings == [])
    }

    /// Two that cannot see each other, but Redis, must not take the user from each other in turns.
    @Test @Loop func aPartitionOfTwoDoesNotMakeTheUserWander() async throws {
        let world = try await RedisWorld()
        let (ann, _) = try await world.bind("ann", "connector-1")
        world.cluster.network.partition("connector-1", "connector-2")
        let (other, outcome) = try await world.bind("ann", "connector-2")
        #expect(outcome == "none")
        await world.pass(30)
        #expect(ann.isClosed && !other.isClosed)
        #expect(try await world.holder(of: "ann") == "connector-2")
    }

    /// Cut off from Redis and from its peers, taken for gone, and cleaned up after, while its clients stay.
    @Test @Loop func aHolderThatWasTakenForGoneEndsItsSessionWhenItReturns() async throws {
        let world = try await RedisWorld()
        let (ann, _) = try await world.bind("ann", "connector-1")
        let (bob, _) = try await world.bind("bob", "connector-1")
        world.clients["connector-1"]?.cut()
        world.cluster.network.freeze("connector-1")
        await world.pass(14)
        #expect(world.cluster["connector-2"].servers["connector-1"] == nil)
        let (other, outcome) = try await world.bind("ann", "connector-2")
        #expect(outcome == "none" && !ann.isClosed)
        world.cluster.network.thaw("connector-1")
        world.clients["connector-1"]?.mend()
        await world.pass(6)
        #expect(ann.kick == "rebound" && !other.isClosed && !bob.isClosed)
        #expect(try await world.holder(of: "ann") == "connector-2")
        #expect(try await world.holder(of: "bob") == "connector-1")
    }

    @Test @Loop func anEmptiedRedisLeavesTheUserToWhoeverHasTheBinding() async throws {
        let world = try await RedisWorld()
        let (ann, _) = try await world.bind("ann", "connector-1")
        world.clients["connector-1"]?.cut()
        world.redis.down()
        world.redis.up(empty: true)
        await world.pass(0.2)
        let (other, outcome) = try await world.bind("ann", "connector-2", within: 0.2)
        #expect(outcome == "none")
        world.clients["connector-1"]?.mend()
        await world.pass(8)
        #expect([ann.isClosed, other.isClosed].count { $0 } == 1)
        let holder = try await world.holder(of: "ann")
        #expect(holder == (ann.isClosed ? "connector-2" : "connector-1"))
    }

    /// A replica that was behind names a holder that has given the user up since.
    @Test @Loop func olderDataDoesNotEndTheSessionOfAUserWhoHasMoved() async throws {
        let world = try await RedisWorld()
        let (ann, _) = try await world.bind("ann", "connector-1")
        await world.pass(1)
        let replica = world.redis.state
        ann.disconnect()
        await world.pass(1)
        let (moved, outcome) = try await world.bind("ann", "connector-2")
        #expect(outcome == "none")
        world.redis.failOver(to: replica)
        await world.pass(6)
        #expect(!moved.isClosed)
        #expect(try await world.holder(of: "ann") == "connector-2")
    }

    /// Redis goes back to before the holder's server died, while that one starts again: it cannot be asked yet.
    @Test @Loop func olderDataThatNamesAServerThatStartsDoesNotEndTheSession() async throws {
        let world = try await RedisWorld()
        #expect(try await world.bind("ann", "connector-1").1 == "none")
        await world.pass(1)
        let replica = world.redis.state
        world.cluster.crash("connector-1")
        world.clients["connector-1"]?.cut()
        let (moved, outcome) = try await world.bind("ann", "connector-2", within: 1.2)
        #expect(outcome == "none")
        world.redis.failOver(to: replica)
        await world.pass(4)
        #expect(!moved.isClosed)
        try await world.start("connector-1")
        await world.pass(6)
        #expect(!moved.isClosed)
        #expect(try await world.holder(of: "ann") == "connector-2")
    }

    /// Asked in the moment in which Redis is back, with less than it had, and the membership has not told yet.
    @Test @Loop func whoIsAskedForRightAfterAReturnIsNotSaidToBeOffline() async throws {
        let world = try await RedisWorld()
        await world.pass(1)
        let replica = world.redis.state
        #expect(try await world.bind("ann", "connector-1").1 == "none")
        // Long enough for the doubt of the start to be over.
        await world.pass(12)
        let status = world.cluster["connector-2"].status
        let journal = Journal<String>()
        world.redis.failOver(to: replica)
        Loop.spawn {
            do { journal.note("\(try await status.getStatusByUid("ann"))") } catch { journal.note("\(error)") }
        }
        await world.pass(1)
        #expect(journal.entries == ["true"])
    }

    // MARK: isolation

    @Test @Loop func anIsolatedServerRefusesBindsAtOnceAndComesBackByItself() async throws {
        let world = try await RedisWorld()
        let (ann, _) = try await world.bind("ann", "connector-1")
        world.clients["connector-1"]?.cut()
        await world.pass(21)
        let membership = try #require(world.cluster["connector-1"].membership)
        #expect(membership.health == .isolated && !ann.isClosed)
        #expect(try await world.bind("bob", "connector-1", within: 0).1 == "redisUnavailable")
        world.clients["connector-1"]?.mend()
        await world.pass(4)
        #expect(membership.health == .healthy && !ann.isClosed)
        #expect(try await world.bind("bob", "connector-1").1 == "none")
        #expect(try await world.holder(of: "ann") == "connector-1")
    }
}
