// SPDX-License-Identifier: MIT
import ArgumentParser
import Pomelo
import PomeloCluster
import PomeloRedis
import PomeloUV

/// `Chat list`: one line per server, for scripts: id, type, host, port, client port or nothing.
struct ListCommand<Program: ServerProgram>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(commandName: "list", abstract: "Prints the servers of an environment, tab-separated.")
    }

    @OptionGroup var options: ConfigurationOptions

    func run() async throws {
        try reported {
            for server in try options.load(Program.folder).servers {
                let clientPort = server.clientPort.map(String.init) ?? ""
                Console.line("\(server.id)\t\(server.type)\t\(server.host)\t\(server.port)\t\(clientPort)")
            }
        }
    }
}

/// `Chat redis`: where Redis is, for scripts: host and port of one server, or the path of its socket and 0; a line for
/// each sentinel or node that is named, with the word `sentinel` or `cluster` behind.
struct RedisSubcommand<Program: ServerProgram>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(commandName: "redis", abstract: "Prints where Redis is, tab-separated.")
    }

    @OptionGroup var options: ConfigurationOptions

    func run() async throws {
        try reported {
            switch try RedisSettings.load(try options.load(Program.folder)).topology {
            case .standalone(let place): Console.line("\(place.host)\t\(place.port)")
            case .sentinel(let address):
                for place in address.places { Console.line("\(place.host)\t\(place.port)\tsentinel") }
            case .cluster(let seeds):
                for place in seeds { Console.line("\(place.host)\t\(place.port)\tcluster") }
            }
        }
    }
}

/// `Chat health --id …`: whether the registry has that server up; for health checks of containers.
struct HealthCommand<Program: ServerProgram>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(commandName: "health", abstract: "Succeeds when a server is up in the registry.")
    }

    @OptionGroup var options: ConfigurationOptions

    @Option(help: "The server's id in servers.json; POMELO_ID when it is not given.")
    var id: String?

    func run() async throws {
        do {
            try await check()
        } catch {
            Console.error("error: \(error)")
            throw ExitCode(1)
        }
    }

    @Loop private func check() async throws {
        let configuration = try options.load(Program.folder)
        var arguments = ProcessArguments()
        arguments.id = (id ?? EnvironmentVariables.ofProcess.id).map { ServerID($0) }
        let (_, id) = try configuration.applying(arguments)
        let network = UVNetwork()
        network.resolver.hosts = try ServerEnvironment().hosts
        let settings = try RedisSettings.load(configuration)
        let redis = RedisClient(settings, name: settings.clientName(of: "health"), resolver: network.resolver)
        try await redis.start()
        let registry = ClusterRegistry(redis, cluster: configuration.clusterName)
        let state = try await registry.registeredState(of: id)
        await redis.stop()
        guard state == .up else {
            throw PomeloError(.notRunning, "\(id) is \(state.map(\.rawValue) ?? "not registered")")
        }
        Console.line("\(id) is up")
    }
}

/// Errors as one line and exit code 1.
private func reported(_ body: () throws -> Void) throws {
    do {
        try body()
    } catch {
        Console.error("error: \(error)")
        throw ExitCode(1)
    }
}
