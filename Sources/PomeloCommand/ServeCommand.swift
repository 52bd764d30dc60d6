// SPDX-License-Identifier: MIT
import ArgumentParser
import Foundation
import Logging
import Pomelo
import PomeloOperations
import PomeloRedis
import PomeloUV

/// `Chat --env development --id connector-server-1`, or as pomelo writes it `Chat env=development id=…`.
struct ServeCommand<Program: ServerProgram>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "serve", abstract: "Runs one server until SIGTERM.", usage: usage)
    }

    static var usage: String { "\(Program.self) --id <id> [--env <env>] [--config <folder>] [<key=value> ...]" }

    @OptionGroup var options: ConfigurationOptions

    @Option(help: "The server's id in servers.json, which is needed here or in POMELO_ID.")
    var id: String?

    /// The file that `start` lets its output go to.
    @Option(help: .hidden)
    var logFile: String?

    @Flag(
        inversion: .prefixedNo,
        help: "Whether tasks that are not the framework's run on the event loop too, or on Swift's thread pool.")
    var processExecutor = true

    @Argument(
        help: ArgumentHelp(
            "pomelo's form: env=…, id=…, serverType=…, config=…, and fields of the server's record.",
            valueName: "key=value"))
    var pairs: [String] = []

    func run() async throws {
        do {
            await ProgramProcess.prepare(processExecutor: processExecutor)
            _ = try LogLevel.read()
            if let word = pairs.first(where: { !$0.contains("=") }) {
                let (verbs, shown) = (
                    ProgramCommand<Program>.verbs.joined(separator: ", "), word.escapedForLog(maxBytes: 128)
                )
                throw PomeloError(
                    .configuration,
                    "\"\(shown)\" is neither key=value nor one of the commands \(verbs); a server is named by --id")
            }
            var arguments = try ProcessArguments(pairs)
            arguments.env = options.env ?? arguments.env
            arguments.id = (id ?? arguments.id?.rawValue ?? EnvironmentVariables.ofProcess.id).map { ServerID($0) }
            arguments.config = options.config ?? arguments.config
            try await serve(arguments)
        } catch {
            await end("error: \(error)")
        }
    }

    /// One line: whoever started us shows it.
    ///
    /// No turn of the loop follows, in which what is given up might be logged.
    @Loop private func end(_ line: String) -> Never {
        Console.error(line)
        Foundation.exit(1)
    }

    @Loop private func serve(_ arguments: ProcessArguments) async throws {
        let files = try options.load(Program.folder, env: arguments.env, config: arguments.config)
        let (configuration, id) = try files.applying(arguments)
        let app = try Program.application(configuration, id, log: logFile)
        // It keeps no servers: those that it is asked to start or stop it refuses.
        if app.isMaster { _ = try app.takeCommands(configuration, audit: nil) }
        try await app.run()
    }
}

/// What a process of a program does before anything else.
enum ProgramProcess {
    static func prepare(processExecutor: Bool) async {
        if processExecutor, await !ProcessWideExecutor.install() {
            Console.error("note: this Swift runtime has no executor hooks; own tasks run on its thread pool")
        }
    }
}

extension ServerProgram {
    /// The application of one server, set up and not started; `log` is the file that its output goes to.
    @Loop static func application(
        _ configuration: Configuration, _ id: ServerID, log: String? = nil
    ) throws -> Application {
        let network = UVNetwork()
        let app = try Application(configuration, id: id, environment: try ServerEnvironment(), network: network)
        let settings = try RedisSettings.load(configuration)
        let redis = RedisClient(
            settings, name: settings.clientName(of: id), resolver: network.resolver, random: app.random,
            logger: Logger(label: "pomelo.redis").lineSafe)
        try app.registerAdmin(NodeInfo(app.context, version: version), isNeeded: true)
        try app.registerAdmin(WatchServer(app), isNeeded: true)
        try app.registerAdmin(SystemInfo())
        try app.registerAdmin(OnlineUser(app.context))
        try app.registerAdmin(Profiler())
        try app.registerAdmin(ServerLog(log))
        try setUp(app, redis)
        for line in app.unknownVariables { app.log.warning("\(line)") }
        if app.isMaster { reportServers(of: app) }
        return app
    }
}

extension Application {
    /// Lets people give this master commands, each of which is written to a file, or to the log only.
    @Loop func takeCommands(_ configuration: Configuration, audit path: String?) throws -> OperationsModule {
        let audit = AuditLog(path, log, clock)
        let operations = OperationsModule(context, admin, try Operators(configuration), audit: audit)
        try registerAdmin(operations, isNeeded: true)
        return operations
    }
}

/// The master says who is there, at every change.
@Loop private func reportServers(of app: Application) {
    app.servers.observe { [unowned app] _ in
        let states = app.servers.all.map { "\($0.id) \($0.state)" }.joined(separator: ", ")
        app.log.info("servers", metadata: ["pomelo.servers": "\(states)"])
    }
}
