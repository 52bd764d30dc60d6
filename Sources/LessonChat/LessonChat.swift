// SPDX-License-Identifier: MIT
//
// LessonChat: the smallest application with a global channel; the README walks through it.
// Reading order: LessonAPI, LessonChat, LessonHandlers.
import Pomelo
import PomeloCluster
import PomeloCommand
import PomeloGlobalChannel
import PomeloRedis
import PomeloStatus

@main struct LessonChat: ServerProgram {
    static let folder = "config/lesson"

    static func setUp(_ app: Application, _ redis: RedisClient) throws {
        app.declare(LessonAPI.routes)
        try app.use(Cluster(redis))
        try app.configure("all", "connector|chat") { app in
            try app.use(GlobalChannel(redis: redis))
            var status = Status.Options()
            status.singleSession = .refuse
            try app.use(Status(redis: redis, options: status))
        }
        try app.configure("all", "connector") { app in
            app.connectors = [
                SocketIOConnector(try app.options(SocketIOOptions())),
                HybridConnector(try app.options(HybridOptions(heartbeat: .seconds(3)))),
            ]
            try app.handle(LoginHandler(app: app))
        }
        try app.configure("all", "chat") { app in
            try app.handle(LessonHandler(app: app))
        }
    }

    static func main() async { await run() }
}
