// SPDX-License-Identifier: MIT
import Logging
import Pomelo
import PomeloCluster
import PomeloRedis
import PomeloUV

/// What a process asks of servers that is no server of the cluster, and listens for none.
@Loop struct ClusterQuestion {
    private let name: String
    private let configuration: Configuration
    private let environment: ServerEnvironment
    private let network: UVNetwork

    /// A question of a command of that name.
    init(_ name: String, _ configuration: Configuration) throws {
        self.name = name
        self.configuration = configuration
        environment = try ServerEnvironment()
        network = UVNetwork()
        network.resolver.hosts = environment.hosts
    }

    /// What the registry has of the servers whose leases have not ended.
    ///
    /// - Throws: `PomeloError` `.unreachable` when Redis does not say so within 10 s.
    func registered() async throws -> [ServerInfo] {
        let infos = try await SystemClock.shared.within(Self.patience) { try await listed() }
        guard let infos else { throw PomeloError(.unreachable, "Redis does not answer within \(Self.patience)") }
        return infos
    }

    private static let patience = Duration.seconds(10)

    private func listed() async throws -> [ServerInfo] {
        let settings = try RedisSettings.load(configuration)
        let redis = RedisClient(
            settings, name: settings.clientName(of: name), resolver: network.resolver, logger: .errorsOnly(name))
        try await redis.start()
        let servers: [RegisteredServer]
        do {
            servers = try await ClusterRegistry(redis, cluster: configuration.clusterName).list()
        } catch {
            await redis.stop()
            throw error
        }
        await redis.stop()
        return servers.filter { !$0.isExpired }.map(\.info)
    }

    /// What a server answers while the body asks modules of its administration.
    func of<Answer: Sendable>(
        _ server: ServerInfo, _ body: @Loop (any RPCTransport) async throws -> Answer
    ) async throws -> Answer { try await of([server], body) }

    /// The same of several.
    func of<Answer: Sendable>(
        _ servers: [ServerInfo], _ body: @Loop (any RPCTransport) async throws -> Answer
    ) async throws -> Answer {
        let transport = TCPTransport(options: try configuration.options(RPCOptions()), logger: .errorsOnly(name))
        try await transport.start(context(servers))
        let answer: Result<Answer, any Error>
        do {
            answer = .success(try await body(transport))
        } catch {
            answer = .failure(error)
        }
        await transport.stop(within: .zero)
        return try answer.get()
    }

    private func context(_ infos: [ServerInfo]) -> RPCContext {
        let random = RandomSource()
        let instance = InstanceID(random.instanceID())
        let own = ServerRecord(id: ServerID("\(name)-\(instance)"), type: ServerType(name), host: "127.0.0.1", port: 0)
        let servers = ServerDirectory()
        servers.add(infos)
        return RPCContext(
            network: network, clock: SystemClock.shared, random: random, cluster: configuration.clusterName,
            secret: environment.secret, own: ServerInfo(record: own, instance: instance, state: .joining),
            servers: servers, procedures: ProcedureTable())
    }
}

extension Logger {
    /// What goes wrong is in the answer.
    fileprivate static func errorsOnly(_ name: String) -> Logger {
        var logger = Logger(label: "pomelo.\(name)")
        logger.logLevel = .error
        return logger
    }
}
