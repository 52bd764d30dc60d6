// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCluster
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

/// Everything that needs a real server; skipped where none is installed.
@Suite("with redis-server", .enabled("redis-server is not installed", { await RedisServer.isInstalled() }))
struct WithRedis {}

/// The processes of one cluster, as far as pings and proofs can tell.
@Loop final class Fleet {
    let clock: any LoopClock
    /// Who answers at an address.
    var answering: [String: InstanceID] = [:]
    /// What it would say of itself; unknown of those that tests put there.
    fileprivate var processes: [String: RPCContext] = [:]
    fileprivate var lastPort = 50_000
    /// Instances that are stopped but not dead: their ports are bound, and nothing answers.
    var frozen: Set<InstanceID> = []
    /// When set, every server refuses the secret of new ones.
    var refusesSecrets = false
    /// Called when a frontend is about to listen for clients.
    var onListen: (@Loop () -> Void)?
    private(set) var secretsProved: [ServerID] = []
    private(set) var pings = 0
    private var seed: UInt64

    init(_ clock: any LoopClock, seed: UInt64 = 1) {
        self.clock = clock
        self.seed = seed
    }

    /// A server that has not been started; `port` decides its address.
    func server(
        _ id: ServerID, port: Int, cluster: String = "test", metadata: JSONObject = JSONObject(),
        knows: [ServerRecord] = [], isFrontend: Bool = false, options: ClusterOptions = ClusterOptions(),
        redis: any RedisPort, control: (any RedisPort)? = nil, messages: (any RedisMessages)? = nil
    ) throws -> Member {
        try server(
            id, port: port, cluster: cluster, metadata: metadata, knows: knows, isFrontend: isFrontend,
            Cluster(redis: redis, control: control, messages: messages, options: options))
    }

    /// The same, with a client of its own.
    func server(
        _ id: ServerID, port: Int, cluster: String = "test", at redis: RedisConfiguration,
        options: ClusterOptions
    ) throws -> Member {
        let client = RedisClient(redis, name: id.rawValue, logger: quiet)
        return try server(id, port: port, cluster: cluster, Cluster(client, options: options))
    }

    private func server(
        _ id: ServerID, port: Int, cluster: String, metadata: JSONObject = JSONObject(),
        knows: [ServerRecord] = [], isFrontend: Bool = false, _ plugin: Cluster
    ) throws -> Member {
        seed += 1
        let record = ServerRecord(
            id: id, type: isFrontend ? "connector" : "chat", port: port, clientPort: isFrontend ? port + 1000 : nil,
            isFrontend: isFrontend, metadata: metadata)
        let transport = FleetTransport(self)
        let application = try Application(
            Configuration(cluster: cluster, servers: [record] + knows), id: id,
            world: World(
                clock: clock, random: RandomSource(seed: seed), network: NoNetwork(), transport: transport))
        if isFrontend { application.connector = ListeningConnector { self.onListen?() } }
        return try Member(application, plugin)
    }

    func ping(_ server: ServerInfo, within deadline: Duration) async -> Bool {
        pings += 1
        return await answer(server, within: deadline) == server.instance && isThat(server)
    }

    /// What the process at the server's address answers.
    func call(
        _ server: ServerInfo, _ procedure: Procedure, _ payload: Bytes, by caller: ServerInfo,
        within deadline: Duration
    ) async throws(RPCError) -> Bytes {
        guard await answer(server, within: deadline) != nil, let process = processes[server.record.address] else {
            throw .notSent("nobody answers")
        }
        let caller = RPCCaller(
            server: caller.id, instance: caller.instance, deadline: clock.deadline(after: deadline))
        let result = await withCheckedContinuation { continuation in
            process.procedures.run(procedure, caller, payload) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }

    func prove(to server: ServerInfo, by caller: RPCContext) async throws {
        guard answering[server.record.address] != nil else {
            throw PomeloError(.unreachable, "server \(server.id) is not there")
        }
        guard await answer(server, within: .seconds(2)) != nil else {
            throw PomeloError(.noAnswer, "server \(server.id) did not answer")
        }
        let other = processes[server.record.address]
        guard isThat(server), other == nil || other?.cluster == caller.cluster else {
            throw PomeloError(.unreachable, "server \(server.id) is not there")
        }
        guard !refusesSecrets, other == nil || other?.secret == caller.secret else {
            throw PomeloError(.configuration, "server \(server.id) does not accept the cluster secret")
        }
        secretsProved.append(server.id)
    }

    private func answer(_ server: ServerInfo, within deadline: Duration) async -> InstanceID? {
        let instance = answering[server.record.address]
        guard let instance, frozen.contains(instance) else { return instance }
        await clock.sleep(for: deadline)
        return nil
    }

    /// Whether the process at the address has the server's id.
    private func isThat(_ server: ServerInfo) -> Bool {
        processes[server.record.address].map { $0.own.id == server.id } ?? true
    }
}

/// A transport whose calls arrive at once.
@Loop final class FleetTransport: RPCTransport {
    private let fleet: Fleet
    private var context: RPCContext?
    private(set) var localAddress: SocketAddress?

    init(_ fleet: Fleet) { self.fleet = fleet }

    func start(_ context: RPCContext) async throws {
        var record = context.own.record
        if record.port == 0 {
            fleet.lastPort += 1
            record.port = fleet.lastPort
        }
        guard fleet.answering[record.address] == nil else {
            throw PomeloError(.network, "\(record.address) is in use")
        }
        self.context = context
        localAddress = SocketAddress(host: record.host, port: record.port)
        fleet.answering[record.address] = context.own.instance
        fleet.processes[record.address] = context
    }

    func call(
        _ server: ServerID, _ procedure: Procedure, _ payload: Bytes, within deadline: Duration
    ) async throws(RPCError) -> Bytes {
        guard let context, let server = context.servers[server] else { throw .notSent("not known") }
        return try await fleet.call(server, procedure, payload, by: context.own, within: deadline)
    }

    func ping(_ server: ServerInfo, within deadline: Duration) async -> Bool {
        guard let own = context?.own else { return false }
        if server.id == own.id, server.instance == own.instance { return true }
        return await fleet.ping(server, within: deadline)
    }

    func proveSecret(to server: ServerInfo) async throws {
        guard let context else { throw PomeloError(.notRunning, "not running") }
        try await fleet.prove(to: server, by: context)
    }

    func stop(within deadline: Duration) async {
        guard let context, let address = localAddress.map({ "\($0.host):\($0.port)" }) else { return }
        self.context = nil
        guard fleet.answering[address] == context.own.instance else { return }
        fleet.answering[address] = nil
        fleet.processes[address] = nil
    }
}

/// A connector to which nobody comes.
@Loop private final class ListeningConnector: Connector {
    let type = "hybrid"
    let localAddress: SocketAddress? = nil
    private let onListen: @Loop () -> Void

    init(onListen: @escaping @Loop () -> Void) { self.onListen = onListen }

    func start(_ host: any ConnectorHost, _ context: ConnectorContext) async throws { onListen() }
    func stop() async {}
}

@Loop final class NoNetwork: Network {
    func listen(
        on address: SocketAddress, accept: @escaping @Loop (any ByteStream) -> Void
    ) async throws(NetworkError) -> any StreamListener {
        throw NetworkError(code: "ENETDOWN", description: "no network")
    }

    func connect(to address: SocketAddress, within deadline: Duration) async throws(NetworkError)
        -> any ByteStream
    {
        throw NetworkError(code: "ENETDOWN", description: "no network")
    }
}

/// One server under test, with a cleaner and a publisher that take notes.
@Loop final class Member {
    private(set) var application: Application?
    private(set) var plugin: Cluster?
    let notes = Notes()
    let id: ServerID
    let instance: InstanceID
    private(set) var replaced = 0
    private(set) var changes: [String] = []

    init(_ application: Application, _ plugin: Cluster) throws {
        self.application = application
        self.plugin = plugin
        id = application.serverID
        instance = application.instance
        try application.use(plugin)
        application.membership?.addCleaner(notes)
        application.membership?.addPublisher(notes)
        plugin.onReplaced = { [weak self] in self?.replaced += 1 }
        application.servers.observe { [weak self] change in
            switch change {
            case .added(let records): self?.changes += records.map { "+\($0.id)" }
            case .removed(let ids): self?.changes += ids.map { "-\($0)" }
            case .replaced: self?.changes.append("=")
            }
        }
    }

    func start() async throws { try await application?.start() }
    func stop() async { await application?.stop() }

    /// Ends as SIGKILL does: nothing is said to anybody.
    func crash(in fleet: Fleet) {
        for (address, instance) in fleet.answering where instance == self.instance {
            fleet.answering[address] = nil
            fleet.processes[address] = nil
        }
        application = nil
        plugin = nil
    }

    var isJoined: Bool { application?.membership?.isJoined ?? false }
    /// The view: ids with the first letter of their states.
    var view: String {
        (application?.servers.all ?? []).map { "\($0.id):\($0.state.rawValue.prefix(1))" }.joined(
            separator: " ")
    }
    func sees(_ id: ServerID) -> ServerInfo? { application?.servers[id] }
}

/// What was asked of a cleaner and a publisher.
@Loop final class Notes: LeaseCleaner, LeasePublisher {
    let name = "notes"
    private(set) var cleaned: [ServerID] = []
    private(set) var published = 0
    var isBehind = false
    /// The work of the cleaner, when there is any.
    var work: (@Loop (_ server: ServerID, _ proceed: @Loop () async throws -> Void) async throws -> Void)?

    func cleanUp(
        _ server: ServerID, instance: InstanceID, proceed: @escaping @Loop () async throws -> Void
    ) async throws {
        try await proceed()
        try await work?(server, proceed)
        cleaned.append(server)
    }

    func redisReturned() async { published += 1 }
}

extension ServerRecord {
    var address: String { "\(host):\(port)" }
}

/// Lets everything that is ready run, until nothing is.
@Loop func settle() async {
    for _ in 0..<60 { await Loop.yield() }
}

extension ManualClock {
    /// Moves time on, timer by timer, and lets each one's consequences happen before the next.
    func pass(_ duration: Duration) async {
        let end = deadline(after: duration)
        await settle()
        while now < end {
            advance(to: min(end, nextDeadline ?? end))
            await settle()
        }
    }

    /// Moves time on until `body` is done; at most a minute.
    func drive(_ body: @escaping @Loop @Sendable () async throws -> Void) async throws {
        let task = Outcome()
        Loop.spawn {
            do {
                try await body()
                task.result = .success(())
            } catch {
                task.result = .failure(error)
            }
        }
        await settle()
        for _ in 0..<600 where task.result == nil { await pass(.milliseconds(100)) }
        guard let result = task.result else {
            Issue.record("not done after a minute")
            return
        }
        try result.get()
    }
}

@Loop private final class Outcome {
    var result: Result<Void, any Error>?
}

/// The error a call ended with, for calls that are expected to fail.
@Loop func failure(_ body: @Loop () async throws -> Void) async -> PomeloError? {
    await thrown(by: body) as? PomeloError
}
