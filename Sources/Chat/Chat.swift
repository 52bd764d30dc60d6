// SPDX-License-Identifier: MIT
//
// Chat: rooms over several connectors and chat servers. Reading order: ChatAPI, Chat, GateHandler, EntryHandler,
// ChatHandlers, SpokenLine, Rooms, GuestBook, Moderation.
import Pomelo
import PomeloCluster
import PomeloCommand
import PomeloExtensions
import PomeloGlobalChannel
import PomeloRedis
import PomeloStatus

#if Keel
    import PomeloKeel
    import PomeloPlugins
#endif

@main struct Chat: ServerProgram {
    static let folder = "config"

    static func setUp(_ app: Application, _ redis: RedisClient) throws {
        app.declare(ChatAPI.routes)
        try app.use(Cluster(redis))
        try app.use(Extensions())

        try app.configure("all", "gate|connector") { app in
            // Clients of three kinds on one port.
            app.connectors = [
                HybridConnector(try app.options(HybridOptions(heartbeat: .seconds(3)))),
                SocketIOConnector(try app.options(SocketIOOptions())),
                MQTTConnector(try app.options(MQTTOptions())),
            ]
        }
        try app.configure("all", "gate") { app in
            try app.handle(GateHandler(app: app))
        }
        try app.configure("all", "connector|chat") { app in
            var channel = GlobalChannel.Options()
            channel.goneServerType = .chat
            try app.use(GlobalChannel(redis: redis, options: channel))
            Rooms.follow(app)
            var status = Status.Options()
            status.singleSession = .refuse
            try app.use(Status(redis: redis, options: status))
            app.route(.chat, by: "rid")
        }
        try app.configure("all", "connector") { app in
            #if Keel
                // Guests are bound here: plugins that judge who may be are asked here.
                if try app.options(KeelOptions()).bootstrap != nil { try app.use(Keel(redis, listens: false)) }
            #endif
            try app.handle(EntryHandler(app: app))
        }
        try app.configure("all", "chat") { app in
            let closed = try Moderation.begin(app)
            #if Keel
                // Without a secret nobody is admitted: then there is nothing to serve.
                if try app.options(KeelOptions()).bootstrap != nil { try app.use(Keel(redis)) }
            #endif
            let book = try GuestBook.open(app, redis)
            try app.handle(ChatHandler(app: app, book: book, closedRooms: closed))
            try app.handle(ChatRemote(app: app, book: book))
        }
    }

    static func main() async { await run() }
}
