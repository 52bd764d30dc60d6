// SPDX-License-Identifier: MIT
//
// UDPServer: one room whose clients send datagrams, or come over TCP, for Tests/ProcessTests and a client in Python.
import Pomelo
import PomeloCommand
import PomeloRedis

@main struct UDPServer: ServerProgram {
    static let folder = "Tests/UDPServer/config"

    static func setUp(_ app: Application, _ redis: RedisClient) throws {
        try app.configure("all", "room") { app in
            app.connectors = [
                HybridConnector(try app.options(HybridOptions())), UDPConnector(try app.options(UDPOptions())),
            ]
            try app.handle(RoomHandler(app: app))
        }
    }

    static func main() async { await run() }
}

enum RoomAPI {
    static let enter = Call<Name, Name>("room.roomHandler.enter")
    static let say = Call<Line, Nothing>("room.roomHandler.say")
    static let leave = Call<Nothing, Nothing>("room.roomHandler.leave")
    static let onSay = Push<Line>("onSay")

    struct Name: Body { var name: String }
    struct Line: Body { var text: String }
}

struct RoomHandler: Handler {
    let app: Application

    var routes: [ServedRoute] {
        on(RoomAPI.enter, enter)
        on(RoomAPI.say, say)
        on(RoomAPI.leave, leave)
    }

    func enter(_ guest: RoomAPI.Name, _ session: Session) async throws -> RoomAPI.Name {
        try await session.bind(UserID(guest.name))
        return guest
    }

    /// Tells every client.
    func say(_ line: RoomAPI.Line, _ session: Session) async throws -> Nothing {
        try await app.channelService.broadcast(to: app.serverType, RoomAPI.onSay, line)
        return Nothing()
    }

    func leave(_ nothing: Nothing, _ session: Session) async throws -> Nothing {
        try await session.kick("bye")
        return Nothing()
    }
}
