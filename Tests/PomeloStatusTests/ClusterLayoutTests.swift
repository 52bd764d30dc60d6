// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloStatus
import PomeloTesting
import TestHelpers
import Testing

/// Status and bindings in Redis Cluster, where they are in other slots than their server's index and mark.
@Suite struct ClusterLayoutTests {
    private static let server: ServerID = "connector-1"
    private static let lease = "pomelo:{pomelo/connector-1}:lease"

    /// A port that lets another one do something between its calls.
    @Loop private final class InterruptedPort: RedisPort {
        let client: FakeRedisClient
        /// Called before each call, with the number of those before it.
        var before: @Loop (Int) async throws(RedisError) -> Void = { _ throws(RedisError) in }
        private(set) var calls = 0
        /// Over all keys.
        private(set) var walks = 0
        var isUp: Bool { client.isUp }
        var isCluster: Bool { client.isCluster }
        var runID: String { client.runID }
        var nodes: [any RedisPort] {
            walks += 1
            return client.nodes
        }

        init(_ client: FakeRedisClient) { self.client = client }

        private func call() async throws(RedisError) {
            calls += 1
            try await before(calls - 1)
        }
        func pipeline(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
            try await call()
            return try await client.pipeline(commands)
        }
        func execute(_ steps: [RedisStep]) async throws(RedisError) -> [RedisReply] {
            try await call()
            return try await client.execute(steps)
        }
        func run(
            _ script: RedisScript, keys: [String], args: [RedisArgument]
        ) async throws(RedisError) -> RedisReply {
            try await call()
            return try await client.run(script, keys: keys, args: args)
        }
        func observe(_ handler: @escaping @Loop (RedisEvent) -> Void) -> RedisObservation { client.observe(handler) }
        func unobserve(_ observation: RedisObservation) { client.unobserve(observation) }
    }

    @Loop private final class World {
        let redis = FakeRedis(clock: ManualClock(), isCluster: true)

        func store(
            _ instance: InstanceID, server: ServerID = ClusterLayoutTests.server, on port: (any RedisPort)? = nil
        ) async throws -> (store: RedisStatusStore, holder: Holder) {
            let store = RedisStatusStore(redis: port ?? redis.client())
            try await store.start(StoreOwner(server: server, instance: instance, cluster: "pomelo"))
            return (store, Holder(server: server, instance: instance, session: SessionID(1)))
        }

        func takes(_ instance: InstanceID) async throws(RedisError) {
            _ = try await redis.send(RedisCommand("HSET", ClusterLayoutTests.lease, "inst", instance.rawValue))
        }

        func binding(_ uid: UserID) async throws -> String? {
            try await redis.send(RedisCommand("HGET", "{POMELO:STATUS:\(uid)}:bind", "inst")).string
        }
    }

    /// Nothing demands that a user's keys share a slot: so a user id may hold braces.
    @Test(arguments: ["a{b}c", "{", "}", "{}", "{a}{b}"]) @Loop func aUserIDMayHoldBraces(_ uid: UserID) async throws {
        let world = World()
        let (store, holder) = try await world.store("one")
        try await world.takes("one")
        _ = try await store.publish(online: [uid, "ann"], offline: [], sequence: 1)
        #expect(try await store.claim(uid, holder, gone: nil) == .granted)
        #expect(try await store.servers(of: [uid]) == [[Self.server]])
        #expect(try await store.holders(of: [uid]) == [holder])
        try await store.cleanUp(Self.server, instance: "one") {}
        #expect(try await store.areOnline([uid, "ann"]) == [false, false])
        #expect(try await store.holders(of: [uid]) == [nil])
    }

    /// The index names what is there at every moment: a server that dies between two steps leaves nothing unnamed.
    @Test(arguments: 0..<8) @Loop func whatAServerHasIsInItsIndexWhereverItDies(_ steps: Int) async throws {
        let world = World()
        try await world.takes("one")
        let port = InterruptedPort(world.redis.client())
        let (store, holder) = try await world.store("one", on: port)
        port.before = { count throws(RedisError) in
            if count >= steps { throw .connection("the process is dead") }
        }
        _ = await failureCode {
            _ = try await store.publish(online: ["ann"], offline: [], sequence: 1)
            _ = try await store.claim("ann", holder, gone: nil)
            _ = try await store.publish(online: [], offline: ["ann"], sequence: 2)
            try await store.release(["ann"])
        }
        let (next, _) = try await world.store("two", server: "connector-2")
        try await next.cleanUp(Self.server, instance: "one") {}
        #expect(try await next.areOnline(["ann"]) == [false])
        #expect(try await next.holders(of: ["ann"]) == [nil])
    }

    /// The instance stood still between its look at the mark and its write; the next one hears of it.
    @Test @Loop func aLatePublicationIsToldToTheNextInstance() async throws {
        let world = World()
        try await world.takes("one")
        let port = InterruptedPort(world.redis.client())
        let (late, _) = try await world.store("one", on: port)
        let (next, _) = try await world.store("two")
        port.before = { count throws(RedisError) in if count == 1 { try await world.takes("two") } }
        #expect(
            await failureCode {
                _ = try await late.publish(online: ["ann"], offline: ["bob"], sequence: 1)
            } == "replaced")
        #expect(try await next.publish(online: [], offline: [], sequence: 1).revoked.sorted() == ["ann", "bob"])
        #expect(try await next.publishedSequence() == 1)
    }

    @Test @Loop func aLateClaimIsGivenBack() async throws {
        let world = World()
        try await world.takes("one")
        let port = InterruptedPort(world.redis.client())
        let (late, holder) = try await world.store("one", on: port)
        port.before = { count throws(RedisError) in if count == 1 { try await world.takes("two") } }
        #expect(await failureCode { _ = try await late.claim("ann", holder, gone: nil) } == "replaced")
        #expect(try await world.binding("ann") == nil)
    }

    /// Asleep at any of its steps: the next instance's binding stays, and of its status it hears.
    @Test(arguments: 1...4) @Loop func aLateCleanerRemovesNoBindingOfTheNextInstance(_ step: Int) async throws {
        let world = World()
        try await world.takes("one")
        let (old, before) = try await world.store("one")
        _ = try await old.publish(online: ["ann"], offline: [], sequence: 1)
        _ = try await old.claim("ann", before, gone: nil)
        let (next, holder) = try await world.store("two")
        let port = InterruptedPort(world.redis.client())
        let cleaner = try await world.store("other", server: "connector-2", on: port).store
        var isBack = false
        port.before = { count throws(RedisError) in
            // The first two calls ask for the index and its length.
            guard count == 1 + step else { return }
            isBack = true
            do {
                try await world.takes("two")
                try await next.cleanUp(Self.server, instance: "two") {}
                _ = try await next.claim("ann", holder, gone: nil)
                _ = try await next.publish(online: ["ann"], offline: [], sequence: 1)
            } catch {
                throw .protocolError("\(error)")
            }
        }
        #expect(await failureCode { try await cleaner.cleanUp(Self.server, instance: "one") {} } == "replaced")
        #expect(isBack)
        #expect(try await world.binding("ann") == "two")
        let isOnline = try await next.areOnline(["ann"]) == [true]
        let hears = try await next.publish(online: [], offline: [], sequence: 2).revoked == ["ann"]
        #expect(isOnline || hears)
        #expect(try await next.publishedUsers() == ["ann"])
    }

    /// A node came back, with users of a former instance, while the next one started, which has cleaned up and knows of
    /// no other start of the node: whoever walks over all keys tells it.
    @Test @Loop func whatANodeBringsBackDuringAStartIsToldToTheServer() async throws {
        let world = World()
        try await world.takes("one")
        let (former, holder) = try await world.store("one")
        let (other, _) = try await world.store("other", server: "connector-2")
        _ = try await former.publish(online: ["ann"], offline: [], sequence: 1)
        _ = try await former.claim("ann", holder, gone: nil)
        let replica = world.redis.state
        try await former.cleanUp(Self.server, instance: "one") {}
        world.redis.failOver(to: replica, node: FakeRedis.node(of: "POMELO:STATUS:ann"))
        try await world.takes("two")
        let (next, _) = try await world.store("two")
        #expect(try await other.publishedSequence() == nil)
        _ = try await other.publishedUsers()
        #expect(try await next.publish(online: [], offline: [], sequence: 1).revoked == ["ann"])
        // Who is named already is left in peace.
        try await next.forget(revoked: ["ann"])
        let again = try await world.store("again", server: "connector-2").store
        world.redis.failOver(to: world.redis.state, node: FakeRedis.node(of: "POMELO:STATUS:ann"))
        _ = try await again.publishedSequence()
        _ = try await again.publishedUsers()
        #expect(try await next.publish(online: [], offline: [], sequence: 2).revoked == [])
    }

    @Test @Loop func aSecondServerOfTheSameRunDoesNotWalkAgain() async throws {
        let world = World()
        let (one, two) = (InterruptedPort(world.redis.client()), InterruptedPort(world.redis.client()))
        let (first, _) = try await world.store("one", on: one)
        let (second, _) = try await world.store("two", server: "connector-2", on: two)
        for store in [first, second] {
            #expect(try await store.publishedSequence() == nil)
            _ = try await store.publishedUsers()
        }
        #expect(one.walks == 1 && two.walks == 0)
        // Another run may have other keys.
        world.redis.failOver(to: world.redis.state, node: 0)
        #expect(try await second.publishedSequence() == nil)
        _ = try await second.publishedUsers()
        #expect(two.walks == 1)
    }

    /// A late release by an instance of its own: what the next one holds is not its own.
    @Test @Loop func aLateReleaseLeavesTheNextInstancesBinding() async throws {
        let world = World()
        let (next, holder) = try await world.store("two")
        try await world.takes("two")
        _ = try await next.claim("ann", holder, gone: nil)
        let (late, _) = try await world.store("one")
        try await late.release(["ann"])
        #expect(try await world.binding("ann") == "two")
        #expect(try await next.publishedUsers() == ["ann"])
    }

    /// The sequence is at the server's node: what another one loses it does not tell, another start of that does.
    @Test @Loop func aNodeThatLostItsDataIsALoss() async throws {
        let world = World()
        try await world.takes("one")
        let (store, _) = try await world.store("one")
        _ = try await store.publish(online: ["ann"], offline: [], sequence: 1)
        let replica = world.redis.state
        _ = try await store.publish(online: ["bob"], offline: [], sequence: 2)
        #expect(try await store.publishedSequence() == 2)
        let other = (FakeRedis.node(of: Self.lease) + 1) % FakeRedis.nodeCount
        world.redis.failOver(to: replica, node: other)
        #expect(try await store.publishedSequence() == nil)
        #expect(try await store.publishedSequence() == 2)
        world.redis.failOver(to: world.redis.state, node: other)
        #expect(try await store.publish(online: [], offline: [], sequence: 3).previous == nil)
        #expect(try await store.publish(online: [], offline: [], sequence: 4).previous == 3)
    }
}

/// Servers on a cluster one of whose nodes loses data, and servers that move to another Redis.
@Suite struct NodeLossTests {
    @Test(arguments: 0..<3) @Loop func whatANodeLostIsPublishedAgain(_ node: Int) async throws {
        try await RedisLayout.$current.withValue(.cluster) {
            let world = try await RedisWorld()
            let empty = FakeRedisState()
            let users = (0..<30).map { UserID("u\($0)") }
            for uid in users { #expect(try await world.bind(uid, "connector-1", within: 0.05).1 == "none") }
            await world.pass(1)
            world.redis.failOver(to: empty, node: node)
            await world.pass(6)
            let store = RedisStatusStore(redis: world.redis.client())
            #expect(try await store.servers(of: users).allSatisfy { $0 == ["connector-1"] })
            for uid in users { #expect(try await world.holder(of: uid) == "connector-1") }
        }
    }

    /// Of a server that runs, and of one that was cleaned up after, which no index names any more.
    @Test(arguments: 0..<3) @Loop func whatANodeBringsBackIsRemoved(_ node: Int) async throws {
        try await RedisLayout.$current.withValue(.cluster) {
            let world = try await RedisWorld()
            let users = (0..<30).map { UserID("u\($0)") }
            var sockets: [TestSocket] = []
            for (index, uid) in users.enumerated() {
                let (socket, outcome) = try await world.bind(
                    uid, index % 2 == 0 ? "connector-1" : "connector-2", within: 0.05)
                #expect(outcome == "none")
                sockets.append(socket)
            }
            await world.pass(1)
            let replica = world.redis.state
            for socket in sockets { socket.disconnect() }
            await world.pass(1)
            world.cluster.crash("connector-2")
            world.clients["connector-2"]?.cut()
            await world.pass(15)
            world.redis.failOver(to: replica, node: node)
            await world.pass(20)
            let store = RedisStatusStore(redis: world.redis.client())
            #expect(try await store.areOnline(users).contains(true) == false)
            #expect(try await store.holders(of: users).allSatisfy { $0 == nil })
        }
    }

    /// Its index is at another node, which has not gone back: nobody knows of the user.
    @Test @Loop func whoStartsLooksAtANodeThatWentBackWhileNobodyRan() async throws {
        try await RedisLayout.$current.withValue(.cluster) {
            let world = try await RedisWorld()
            let uid = try #require(
                (0..<9).map { UserID("u\($0)") }.first {
                    FakeRedis.node(of: "POMELO:STATUS:\($0)")
                        != FakeRedis.node(of: "pomelo:{pomelo/connector-1}:lease")
                })
            #expect(try await world.bind(uid, "connector-1").1 == "none")
            await world.pass(1)
            let replica = world.redis.state
            for id in world.cluster.records.map(\.id) { await world.cluster.stop(id) }
            let store = RedisStatusStore(redis: world.redis.client())
            #expect(try await store.areOnline([uid]) == [false])
            world.redis.failOver(to: replica, node: FakeRedis.node(of: "POMELO:STATUS:\(uid)"))
            #expect(try await store.areOnline([uid]) == [true])
            try await world.start("connector-1")
            await world.pass(5)
            #expect(try await store.areOnline([uid]) == [false])
        }
    }

    /// What others have found and told of, at a frontend that has nobody: it looks for that all the same.
    @Test @Loop func aServerWithoutUsersHearsOfThoseThatANodeBroughtBack() async throws {
        try await RedisLayout.$current.withValue(.cluster) {
            let world = try await RedisWorld()
            await world.pass(2)
            let store = RedisStatusStore(redis: world.redis.client())
            for key in ["POMELO:STATUS:ann", "pomelo:{pomelo/connector-1}:uids", "pomelo:{pomelo/connector-1}:revoked"]
            {
                let member = key.hasPrefix("POMELO") ? "connector-1" : "ann"
                _ = try await world.redis.send(RedisCommand("SADD", key, member))
            }
            #expect(try await store.areOnline(["ann"]) == [true])
            await world.pass(3)
            #expect(try await store.areOnline(["ann"]) == [false])
        }
    }

    /// Servers were stopped, the address was changed, and they are started: there is nothing to carry over.
    @Test @Loop func anotherLayoutIsFilledByTheServersThemselves() async throws {
        for layout in RedisLayout.allCases {
            try await RedisLayout.$current.withValue(layout) {
                let world = try await RedisWorld()
                #expect(try await world.bind("ann", "connector-1").1 == "none")
                #expect(try await world.holder(of: "ann") == "connector-1")
                #expect(
                    try await RedisStatusStore(redis: world.redis.client()).servers(of: ["ann"]) == [["connector-1"]])
            }
        }
    }
}
