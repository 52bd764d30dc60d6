// SPDX-License-Identifier: MIT
import ArgumentParser
import Logging
import Pomelo
import PomeloCluster
import PomeloRedis
import PomeloUV

/// `Chat health --id …`: whether a server is up and well, for health checks of containers.
///
/// The registry says where it is, and it says itself how it is; one that does not answer is as the registry has it. A
/// degraded server heals by itself, so failing says that it is not well, and not that it should be started again.
struct HealthCommand<Program: ServerProgram>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "health",
            abstract: "Succeeds when a server is up and, asked itself, ready; without an answer the registry counts.")
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
        let environment = try ServerEnvironment()
        let network = UVNetwork()
        network.resolver.hosts = environment.hosts
        guard let server = try await registered(id, configuration, network) else {
            throw PomeloError(.notRunning, "\(id) is not registered")
        }
        guard server.state == .up else { throw PomeloError(.notRunning, "\(id) is \(server.state.rawValue)") }
        let question = HealthQuestion(configuration: configuration, environment: environment, network: network)
        switch await question.answer(of: server) {
        case .success(let health) where health.isReady: Console.line("\(id) is up and ready")
        case .success(let health): throw PomeloError(.notRunning, "\(id) is up, but \(health)")
        case .failure(let error): Console.line("\(id) is up in the registry, but did not answer: \(error)")
        }
    }

    /// What the registry has of a server whose lease has not ended.
    @Loop private func registered(
        _ id: ServerID, _ configuration: Configuration, _ network: UVNetwork
    ) async throws -> ServerInfo? {
        let settings = try RedisSettings.load(configuration)
        let redis = RedisClient(
            settings, name: settings.clientName(of: "health"), resolver: network.resolver, logger: .errorsOnly)
        try await redis.start()
        let servers: [RegisteredServer]
        do {
            servers = try await ClusterRegistry(redis, cluster: configuration.clusterName).list()
        } catch {
            await redis.stop()
            throw error
        }
        await redis.stop()
        return servers.first { $0.info.id == id && !$0.isExpired }?.info
    }
}

/// How a server says it is, asked by a process that is no server of the cluster, and listens for none.
@Loop private struct HealthQuestion {
    /// Health checks of containers end a command after a few seconds.
    private static let patience = Duration.seconds(1)

    let configuration: Configuration
    let environment: ServerEnvironment
    let network: UVNetwork

    func answer(of server: ServerInfo) async -> Result<ClusterHealth, any Error> {
        do {
            let transport = TCPTransport(options: try configuration.options(RPCOptions()), logger: .errorsOnly)
            try await transport.start(context(server))
            let answer = await asked(transport, server)
            await transport.stop(within: .zero)
            return answer
        } catch {
            return .failure(error)
        }
    }

    private func asked(_ transport: TCPTransport, _ server: ServerInfo) async -> Result<ClusterHealth, any Error> {
        do {
            return .success(ClusterHealth(try await transport.ask(server.id, "health", within: Self.patience)))
        } catch {
            return .failure(error)
        }
    }

    private func context(_ server: ServerInfo) -> RPCContext {
        let random = RandomSource()
        let instance = InstanceID(random.instanceID())
        let own = ServerRecord(id: ServerID("health-\(instance)"), type: "health", host: "127.0.0.1", port: 0)
        let servers = ServerDirectory()
        servers.add([server])
        return RPCContext(
            network: network, clock: SystemClock.shared, random: random, cluster: configuration.clusterName,
            secret: environment.secret, own: ServerInfo(record: own, instance: instance, state: .joining),
            servers: servers, procedures: ProcedureTable())
    }
}

extension Logger {
    /// What goes wrong is in the answer.
    fileprivate static var errorsOnly: Logger {
        var logger = Logger(label: "pomelo.health")
        logger.logLevel = .error
        return logger
    }
}
