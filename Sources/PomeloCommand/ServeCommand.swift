// SPDX-License-Identifier: MIT
import ArgumentParser
import Logging
import Pomelo
import PomeloRedis
import PomeloUV

/// `Chat --env development --id connector-server-1`, or as pomelo writes it `Chat env=development id=…`.
struct ServeCommand<Program: ServerProgram>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(commandName: "serve", abstract: "Runs one server until SIGTERM.")
    }

    @OptionGroup var options: ConfigurationOptions

    @Option(help: "The server's id in servers.json.")
    var id: String?

    @Flag(help: "Brings the program's own tasks onto the event loop too.")
    var processExecutor = false

    @Argument(help: ArgumentHelp("pomelo's form: env=…, id=…, config=…", valueName: "key=value"))
    var pairs: [String] = []

    func run() async throws {
        do {
            if processExecutor, await !ProcessWideExecutor.install() {
                Console.error("note: this Swift runtime has no executor hooks; own tasks run on its thread pool")
            }
            try await serve(try parsed())
        } catch {
            // One line: whoever started us shows it.
            Console.error("error: \(error)")
            throw ExitCode(1)
        }
    }

    private func parsed() throws -> [String: String] {
        var values: [String: String] = [:]
        for pair in pairs {
            let parts = pair.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, ["env", "id", "config"].contains(parts[0]) else {
                throw PomeloError(.configuration, "expected env=…, id=… or config=…, got \"\(pair)\"")
            }
            values[parts[0]] = parts[1]
        }
        return values
    }

    @Loop private func serve(_ pairs: [String: String]) async throws {
        let configuration = try options.load(Program.folder, env: pairs["env"], config: pairs["config"])
        guard let id = id ?? pairs["id"] else {
            let known = configuration.servers.map(\.id.rawValue).joined(separator: ", ")
            throw PomeloError(.configuration, "which server? Give --id with one of: \(known)")
        }
        let network = UVNetwork()
        let app = try Application(
            folder: configuration.folder, env: configuration.env, id: ServerID(id),
            environment: try ServerEnvironment(), network: network)
        let settings = try RedisSettings.load(configuration)
        let redis = RedisClient(settings, name: "pomelo:\(id)", resolver: network.resolver, random: app.random)
        try Program.setUp(app, redis)
        if app.isMaster { reportServers(of: app) }
        try await app.run()
    }
}

/// What the master does so far: it says who is there, at every change.
@Loop private func reportServers(of app: Application) {
    app.servers.observe { [unowned app] _ in
        let states = app.servers.all.map { "\($0.id) \($0.state)" }.joined(separator: ", ")
        app.log.info("servers", metadata: ["pomelo.servers": "\(states)"])
    }
}

/// `redis.json`, with errors that name the file.
enum RedisSettings {
    static func load(_ configuration: Configuration) throws -> RedisConfiguration {
        let section = try configuration.section("redis")
        do {
            return try JSONCoder.decode(RedisConfiguration.self, from: section)
        } catch let error as DecodingError {
            throw PomeloError(.configuration, "\(configuration.path("redis")): \(error.plainText)", cause: error)
        }
    }
}

extension DecodingError {
    /// The key and what is wrong with it, in one line.
    fileprivate var plainText: String {
        switch self {
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            let path = context.codingPath.map(\.stringValue).joined(separator: ".")
            return path.isEmpty ? context.debugDescription : "\(path): \(context.debugDescription)"
        case .keyNotFound(let key, _): return "\(key.stringValue) is missing"
        @unknown default: return "\(self)"
        }
    }
}
