// SPDX-License-Identifier: MIT
import Logging
import PomeloCluster
import PomeloCore
import PomeloGlobalChannel
import PomeloLoop
import PomeloRedis
import PomeloTesting
import PomeloWire
import Testing

// The code of the documentation's article on testing, whole.

private let onSaid = Push<String>("onSaid")

/// Servers that share a room, on a Redis in memory.
@Loop private final class RoomWorld {
    let cluster = TestCluster(TestCluster.records(connectors: 2, chats: 1), hasRegistry: false)
    let redis: FakeRedis

    init() async throws {
        redis = FakeRedis(clock: cluster.clock)
        try await cluster.startAll { app in
            let client = redis.client()
            try app.use(Cluster(redis: client, messages: client))
            try app.use(GlobalChannel(redis: client))
        }
        await cluster.advance(by: .seconds(1))
    }

    /// A client at a connector, in the room.
    func enter(_ uid: UserID, _ connector: ServerID) async throws -> TestSocket {
        let client = try #require(cluster.connect(connector))
        try await cluster[connector].sessionService.bind(try #require(client.session).id, uid)
        try await cluster["chat-1"].globalChannel.add("room", uid, connector)
        return client
    }

    func say(_ text: String) async throws -> PushReport {
        try await cluster["chat-1"].globalChannel.pushMessage("connector", onSaid, text, "room")
    }

    func published(_ connector: ServerID) async throws -> [String]? {
        try await redis.send(RedisCommand("SMEMBERS", "POMELO:CHANNEL:room:\(connector)")).strings
    }
}

@Suite struct TestingArticleTests {
    @Test @Loop func theRoomGoesOnWithoutRedis() async throws {
        let world = try await RoomWorld()
        let ann = try await world.enter("ann", "connector-1")
        world.redis.down()
        #expect(try await world.say("hello").queued == 1)
        await world.cluster.settle()
        #expect(ann.pushes.map(\.text) == [#""hello""#])

        world.redis.up(empty: true)
        await world.cluster.advance(by: .seconds(5))
        #expect(try await world.published("connector-1") == ["ann"])
    }

    @Test @Loop func aDeadServersUsersLeave() async throws {
        let world = try await RoomWorld()
        _ = try await world.enter("ann", "connector-1")
        _ = try await world.enter("bob", "connector-2")
        await world.cluster.advance(by: .seconds(1))
        world.cluster.crash("connector-2")
        #expect(try await world.published("connector-2") == ["bob"])

        // The lease, and the time to clean up after it.
        await world.cluster.advance(by: .seconds(15))
        #expect(try await world.published("connector-2") == [])
    }

    @Test(.enabled("redis-server is not installed", { await RedisServer.isInstalled() }))
    @Loop func aRealRedisAnswers() async throws {
        let server = try await RedisServer.start(options: ["--requirepass", "secret"])
        var configuration = server.configuration
        configuration.password = "secret"
        let client = RedisClient(configuration)
        try await client.start()
        _ = try await client.send(RedisCommand("SET", "key", "value"))
        #expect(try await client.send(RedisCommand("GET", "key")).string == "value")
        await client.stop()
        await server.stop()
    }
}
