// SPDX-License-Identifier: MIT
//
// A game of seven processes, as somebody would write it who knows pomelo and depends on this package from outside.
// Reading order: GameAPI, Game, Gate, Entry, Atlas, Areas, AreaHandlers, Chat, Filters, Pulse, Census.
import Logging
import Pomelo
import PomeloCluster
import PomeloCommand
import PomeloGlobalChannel
import PomeloRedis
import PomeloStatus

@main struct Game: ServerProgram {
    static let folder = "config"

    static func setUp(_ app: Application, _ redis: RedisClient) throws {
        app.declare(GameAPI.routes)
        try app.use(Cluster(redis))
        try app.use(Pulse(), ["attendance": ["keep": 100], "topology": ["without": ["gate"]]])
        app.route(.area, by: "area")

        try app.configure("all", "gate|connector") { app in
            app.connector = HybridConnector(try app.options(HybridOptions(heartbeat: .seconds(30))))
            app.globalFilter(.time())
            app.globalErrorHandler = Errors.atFrontend
        }
        try app.configure("all", "gate") { app in
            try app.handle(GateHandler(app: app))
        }
        try app.configure("all", "connector|chat") { app in
            try app.use(GlobalChannel(redis: redis))
            var status = Status.Options()
            status.singleSession = .refuse
            try app.use(Status(redis: redis, options: status))
        }
        try app.configure("all", "connector") { app in try setUpConnector(app, redis) }
        try app.configure("all", "area") { app in try setUpArea(app, redis) }
        try app.configure("all", "chat") { app in
            app.filter(.timeout(.seconds(3)))
            let atlas = try app.loadConfig("world", as: Atlas.self)
            try app.handle(ChatHandler(app: app, atlas: atlas))
            try app.handle(MasterHandler(app: app, atlas: atlas))
        }
        try app.configure("all", "master") { app in try app.registerAdmin(Census()) }
    }

    @Loop private static func setUpConnector(_ app: Application, _ redis: RedisClient) throws {
        let meter = CallMeter()
        app.rpcFilter(meter)
        app.globalFilter(LoginFilter())
        app.route(.chat, waiting: { try await chatServer(for: $0, redis) })
        try app.handle(EntryHandler(app: app))
        try app.handle(PulseHandler(app: app, meter: meter))
    }

    /// Which chat server has the world's channel is written in Redis; who asks first decides.
    @Loop private static func chatServer(for request: RoutingRequest, _ redis: RedisClient) async throws -> ServerID {
        let first = request.servers[0].id
        try await redis.send(RedisCommand("SET", "game:chat", first.rawValue, "NX", "EX", "60"))
        let chosen = try await redis.send(RedisCommand("GET", "game:chat")).string.map { ServerID($0) }
        return request.servers.map(\.id).first { $0 == chosen } ?? first
    }

    @Loop private static func setUpArea(_ app: Application, _ redis: RedisClient) throws {
        let areas = try Areas(app, redis)
        try app.load(areas)
        app.listen(areas)
        app.errorHandler = Errors.inArea
        app.filter(.serial(timeout: .seconds(2), maxWaiting: 3))
        app.before(.timeout(.seconds(1)))
        try app.handle(AreaHandler(app: app, areas: areas))
        try app.handle(ShopHandler(app: app, areas: areas))
        try app.handle(AreaRemote(app: app, areas: areas))
        try app.registerAdmin(Census(areas))
        app.afterStartup { app.log.info("the areas are open") }
    }

    static func main() async {
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        await run()
    }
}
