import Logging
import Pomelo
import PomeloCluster
import PomeloCommand
import PomeloRedis

/// What clients and servers say to each other.
enum GreeterAPI {
    static let greet = Call<Name, Greeting>("connector.greeter.greet")
    static let routes = [greet.route]

    struct Name: Body { var name: String }
    struct Greeting: Body { var text: String }
}

/// What a connector answers by itself.
struct GreetHandler: Handler {
    let app: Application

    var routes: [ServedRoute] { on(GreeterAPI.greet, greet) }

    func greet(_ query: GreeterAPI.Name, _ session: Session) async throws -> GreeterAPI.Greeting {
        guard !query.name.isEmpty else { throw Fault(400, "a name is missing") }
        app.log.info("greeted", metadata: ["name": "\(query.name)"])
        return .init(text: "Hello, \(query.name)!")
    }
}

@main struct Greeter: ServerProgram {
    static let folder = "config"

    static func setUp(_ app: Application, _ redis: RedisClient) throws {
        app.declare(GreeterAPI.routes)
        try app.use(Cluster(redis))
        try app.configure("all", "connector") { app in
            app.connector = HybridConnector(try app.options(HybridOptions(heartbeat: .seconds(30))))
            try app.handle(GreetHandler(app: app))
        }
    }

    static func main() async {
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = .info
            return handler
        }
        await run()
    }
}
