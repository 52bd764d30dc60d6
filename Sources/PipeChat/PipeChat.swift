// SPDX-License-Identifier: MIT
//
// PipeChat: one server whose clients are programs of the same machine, see the article "Write a connector".
// Reading order: PipeConnector, PipeChat.
import Pomelo
import PomeloCommand
import PomeloRedis

@main struct PipeChat: ServerProgram {
    static let folder = "config/pipe"

    static func setUp(_ app: Application, _ redis: RedisClient) throws {
        try app.configure("all", "chat") { app in
            let path = try app.loadConfig("pipe.json", as: Pipe.self).path
            app.connector = ConnectorAdapter(PipeConnector(path: path), try app.options(CustomOptions()))
            try app.handle(ChatHandler(app: app))
        }
    }

    /// Where clients find the server.
    struct Pipe: Decodable { var path: String }

    static func main() async { await run() }
}

enum PipeAPI {
    static let say = Call<Line, Nothing>("chat.chatHandler.say")
    static let onSay = Push<Line>("onSay")

    struct Line: Body { var text: String }
}

struct ChatHandler: Handler {
    let app: Application

    var routes: [ServedRoute] {
        on(PipeAPI.say, say)
    }

    /// Tells every client.
    func say(_ line: PipeAPI.Line, _ session: Session) async throws -> Nothing {
        try await app.channelService.broadcast(to: app.serverType, PipeAPI.onSay, line)
        return Nothing()
    }
}
