// SPDX-License-Identifier: MIT
import Foundation
import Pomelo
import PomeloCluster
import PomeloGlobalChannel
import PomeloRedis
import PomeloStatus
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

// The code of the documentation's article on testing, whole: a game, then its tests.

private enum GameAPI {
    static let enter = Call<Name, Nothing>("connector.entry.enter")
    static let move = Call<Step, Place>("area.hero.move")
    static let wave = Call<Nothing, Nothing>("area.hero.wave")
    static let routes = [enter.route, move.route, wave.route]
    static let onMoved = Push<Moved>("onMoved")
    static let onWave = Push<Name>("onWave")

    struct Name: Body, Equatable { var name: String }
    struct Step: Body { var x: Int }
    struct Place: Body, Equatable { var x: Int }
    struct Moved: Body, Equatable {
        var name: String
        var x: Int
    }
}

private struct EntryHandler: Handler {
    let app: Application
    var routes: [ServedRoute] { on(GameAPI.enter, enter) }

    func enter(_ query: GameAPI.Name, _ session: Session) async throws -> Nothing {
        try await session.bind(UserID(query.name))
        try await app.globalChannel.add("world", UserID(query.name), session.frontend)
        return Nothing()
    }
}

@Loop private final class HeroHandler: Handler {
    private let app: Application
    private var size: Int64

    init(_ app: Application) throws {
        self.app = app
        size = try app.loadConfig("game")["size"]?.int ?? 100
    }

    var routes: [ServedRoute] {
        on(GameAPI.move, move)
        on(GameAPI.wave, wave)
        on(cron: "gameCron.grow") { [unowned self] in size += 1 }
    }

    func move(_ query: GameAPI.Step, _ session: Session) async throws -> GameAPI.Place {
        guard let uid = session.uid else { throw Fault(401, "enter first") }
        guard query.x <= size else { throw Fault(400, "the world ends at \(size)") }
        try await tell(GameAPI.onMoved, .init(name: uid.rawValue, x: query.x))
        return .init(x: query.x)
    }

    func wave(_ query: Nothing, _ session: Session) async throws -> Nothing {
        try await tell(GameAPI.onWave, .init(name: session.uid?.rawValue ?? ""))
        return Nothing()
    }

    private func tell<Message>(_ push: Push<Message>, _ message: Message) async throws {
        _ = try await app.globalChannel.pushMessage("connector", push, message, "world")
    }
}

/// What each server serves; the program's `setUp` makes the connector and the plugins for Redis, and calls it.
@Loop private func serve(_ app: Application) throws {
    app.declare(GameAPI.routes)
    try app.configure("all", "connector") { app in try app.handle(EntryHandler(app: app)) }
    try app.configure("all", "area") { app in try app.handle(try HeroHandler(app)) }
}

private let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Game"

/// The servers of the game's own configuration, on a Redis in memory.
@Loop private final class GameWorld {
    let cluster: TestCluster
    let redis: FakeRedis

    init() async throws {
        cluster = try TestCluster(configuration: folder, environment: "development")
        redis = cluster.useRedis()
        try await cluster.startAll(serve)
        await cluster.advance(by: .seconds(1))
    }

    /// A client that has entered.
    func enter(_ name: String, _ connector: ServerID) async throws -> TestSocket {
        let client = try #require(cluster.connect(connector))
        try await client.request(GameAPI.enter, .init(name: name))
        return client
    }

    func published(_ connector: ServerID) async throws -> [String]? {
        try await redis.send(RedisCommand("SMEMBERS", "POMELO:CHANNEL:world:\(connector)")).strings
    }
}

@Suite struct TestingArticleTests {
    @Test @Loop func aClientSpeaksInTypes() async throws {
        let world = try await GameWorld()
        let ann = try await world.enter("ann", "connector-1")
        let bob = try await world.enter("bob", "connector-2")
        #expect(try await ann.request(GameAPI.move, .init(x: 3)) == .init(x: 3))
        #expect(try await bob.next(GameAPI.onMoved) == .init(name: "ann", x: 3))

        await #expect(throws: Fault(400, "the world ends at 10")) {
            try await bob.request(GameAPI.move, .init(x: 11))
        }
        try await bob.notify(GameAPI.wave, Nothing())
        #expect(try await ann.next(GameAPI.onWave) == .init(name: "bob"))
        #expect(try ann.takeAll(GameAPI.onMoved).count == 1)
        await world.cluster.stopAll()
    }

    @Test @Loop func aClientAsksInJSON() async throws {
        let world = try await GameWorld()
        let ann = try await world.enter("ann", "connector-1")
        #expect(await ann.ask("area.hero.move", ["x": 2]) == #"{"x":2}"#)
        #expect(await ann.ask("area.hero.move", ["x": "2"]) == #"{"code":400,"message":"x is not a whole number"}"#)
        #expect(await ann.ask("area.hero.fly") == #"{"code":500}"#)
        await world.cluster.stopAll()
    }

    @Test @Loop func theFilesCount() async throws {
        let world = try await GameWorld()
        let area = world.cluster["area-1"]
        #expect(area.record.metadata["map"] == "meadow")
        #expect(area.clusterName == "game" && area.limits.clientRequest == .seconds(5))

        // crons.json: the world grows each minute; status.json: nobody is there twice.
        let ann = try await world.enter("ann", "connector-1")
        await world.cluster.advance(by: .seconds(60))
        #expect(try await ann.request(GameAPI.move, .init(x: 11)) == .init(x: 11))
        await #expect(throws: Fault(500)) { _ = try await world.enter("ann", "connector-2") }
        await world.cluster.stopAll()
    }

    @Test @Loop func anotherEnvironmentHasItsOwnServers() async throws {
        let cluster = try TestCluster(configuration: folder, environment: "production")
        #expect(cluster.records.map(\.type) == ["area", "area", "connector", "connector", "connector"])
        cluster.useRedis(status: nil)
        try await cluster.startAll(serve)
        #expect(cluster["cluster-server-area-1"].env == "production")
        await cluster.stopAll()
        let error = #expect(throws: PomeloError.self) { try TestCluster(configuration: folder, environment: "test") }
        let message = error?.message ?? ""
        #expect(message.hasPrefix(#"there is no environment "test" in the folder "#), "\(message)")
        #expect(message.hasSuffix("; it has: development, production"), "\(message)")
    }

    @Test @Loop func theWorldGoesOnWithoutRedis() async throws {
        let world = try await GameWorld()
        let ann = try await world.enter("ann", "connector-1")
        world.redis.down()
        try await ann.request(GameAPI.move, .init(x: 1))
        #expect(try await ann.next(GameAPI.onMoved).x == 1)

        world.redis.up(empty: true)
        await world.cluster.advance(by: .seconds(5))
        #expect(try await world.published("connector-1") == ["ann"])
        await world.cluster.stopAll()
    }

    @Test @Loop func aDeadServersUsersLeave() async throws {
        let world = try await GameWorld()
        _ = try await world.enter("bob", "connector-2")
        await world.cluster.advance(by: .seconds(1))
        world.cluster.crash("connector-2")
        #expect(try await world.published("connector-2") == ["bob"])

        // The lease, and the time to clean up after it.
        await world.cluster.advance(by: .seconds(15))
        #expect(try await world.published("connector-2") == [])
        await world.cluster.stopAll()
    }

    @Test @Loop func aNetworkMayBreak() async throws {
        let world = try await GameWorld()
        let ann = try await world.enter("ann", "connector-1")
        let bob = try await world.enter("bob", "connector-2")
        world.cluster.network.delay = .milliseconds(20) ... .milliseconds(40)
        world.cluster.network.partition("connector-2", "area-1")
        try await ann.request(GameAPI.move, .init(x: 1))
        #expect(bob.pushes.isEmpty)

        world.cluster.network.heal("connector-2", "area-1")
        try await ann.request(GameAPI.move, .init(x: 2))
        #expect(try await bob.next(GameAPI.onMoved).x == 2)
        await world.cluster.stopAll()
    }

    @Test @Loop func pluginsCanBeUsedOneByOne() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 2, chats: 1), hasRegistry: false)
        let redis = FakeRedis(clock: cluster.clock)
        try await cluster.startAll { app in
            let client = redis.client()
            try app.use(Cluster(redis: client, messages: client))
            try app.configure("all", "connector") { try $0.use(Status(redis: client)) }
        }
        redis.delay = .milliseconds(1) ... .milliseconds(5)
        redis.failCall(0)
        await cluster.advance(by: .seconds(1))
        #expect(cluster["chat-1"].servers.all.count == 3)
        await cluster.stopAll()
    }

    @Test @Loop func aClientOnARealSocket() async throws {
        let configuration = Configuration(servers: [
            ServerRecord(id: "connector-1", type: "connector", port: 0, clientPort: 0, isFrontend: true)
        ])
        let network = UVNetwork()
        let app = try Application(configuration, id: "connector-1", world: .system(network: network))
        let connector = HybridConnector(HybridOptions())
        app.connector = connector
        try app.use(GlobalChannel(store: MemoryChannelStore(MemoryChannelStore.Entries())))
        try serve(app)
        try await app.start()

        let address = try #require(connector.localAddress)
        let client = try await TestClient.connect(to: address, over: network, as: .webSocket)
        try await client.handshake()
        try await client.request(GameAPI.enter, .init(name: "ann"))
        try await client.leave()
        await app.stop()
    }

    @Test(.enabled("redis-server is not installed", { await RedisServer.isInstalled() }))
    @Loop func aClusterOnARealRedis() async throws {
        let server = try await RedisServer.start(options: ["--requirepass", "secret"])
        var configuration = server.configuration
        configuration.password = "secret"
        let cluster = try TestCluster(configuration: folder, hasRegistry: false)
        cluster.followSystemTime()
        try await cluster.startAll { app in
            let redis = RedisClient(configuration)
            try app.use(Cluster(redis))
            try app.use(GlobalChannel(redis: redis))
            try serve(app)
        }
        let client = try #require(cluster.connect("connector-1"))
        try await client.request(GameAPI.enter, .init(name: "ann"))
        try await client.request(GameAPI.move, .init(x: 1))
        #expect(try await client.next(GameAPI.onMoved) == .init(name: "ann", x: 1))
        await cluster.stopAll()
        await server.stop()
    }
}
