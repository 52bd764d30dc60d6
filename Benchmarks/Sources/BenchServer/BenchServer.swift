// SPDX-License-Identifier: MIT
//
// BenchServer: the application under measurement. Reading order: BenchAPI, BenchServer, Handlers, LagMeter.
import Pomelo
import PomeloCluster
import PomeloCommand
import PomeloExtensions
import PomeloGlobalChannel
import PomeloKeel
import PomeloRedis
import PomeloStatus

@main struct BenchServer: ServerProgram {
    static let folder = "Benchmarks/config"

    static func setUp(_ app: Application, _ redis: RedisClient) throws {
        try app.use(Cluster(redis))
        try app.use(GlobalChannel(redis: redis))
        try app.use(Status(redis: redis))
        app.route(.chat, by: "room")
        let lag = LagMeter(clock: app.clock)
        try app.configure("all", "connector") { app in
            // So long that clients which never answer a heartbeat last through any measurement.
            var socketIO = SocketIOOptions()
            socketIO.heartbeatInterval = .seconds(600)
            socketIO.heartbeatTimeout = .seconds(600)
            socketIO.origins = ["*"]
            app.connectors = [
                HybridConnector(try app.options(HybridOptions(heartbeat: .seconds(600)))),
                SocketIOConnector(socketIO),
            ]
            app.declare([Route(BenchAPI.forwardedEcho), BenchAPI.send.route, BenchAPI.chatLag.route])
            try app.handle(EntryHandler(app: app, lag: lag))
        }
        try app.configure("all", "chat") { app in
            // Of the points that are asked, one is nobody's, one a body's in this process, one a plugin's.
            app.extensions.implement(.beforeJoin, as: "bench") { _ in .ok }
            if app.record.metadata["keelPort"] != nil { try app.use(Keel(redis)) }
            try app.handle(ChatHandler(app: app, lag: lag))
        }
    }

    static func main() async { await run() }
}
