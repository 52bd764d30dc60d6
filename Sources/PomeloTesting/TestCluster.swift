// SPDX-License-Identifier: MIT
public import PomeloCore
public import PomeloLoop
import Testing

/// Several servers in one process: a clock that tests move, calls over a `LoopbackNetwork`, clients without sockets,
/// and a registry in memory in the place of the cluster plugin.
///
/// With the manual loop driver a run is decided by its seed. Views are told at once; leases end when a test says so.
@Loop public final class TestCluster {
    /// Time of all servers.
    public let clock = ManualClock()
    /// What carries their calls: delays, losses, partitions.
    public let network: LoopbackNetwork
    /// Chance of all servers, seeded.
    public let random: RandomSource
    /// What `servers.json` holds, or would.
    public let records: [ServerRecord]
    /// The files that servers are made from; without a folder when there are none.
    public let configuration: Configuration
    private(set) var servers: [ServerID: TestServer] = [:]
    /// Kept, because dropped objects with tasks under way would be told about their own end.
    private var graveyard: [TestServer] = []
    private var registry: [ServerID: ServerInfo] = [:]
    private var everSeen: Set<ServerID> = []

    let time: TestTime
    let seed: UInt64
    var hasRegistry: Bool
    /// The plugins that every server has, before its own `setUp`.
    var common: (@Loop (Application) throws -> Void)?

    /// Makes no server yet; without a registry, `setUp` of each server uses the cluster plugin.
    public convenience init(_ records: [ServerRecord], seed: UInt64 = 1, hasRegistry: Bool = true) {
        self.init(Configuration(servers: records), records, seed, hasRegistry)
    }

    /// Makes no server yet, but those of a configuration folder can be: files are read as a program reads them.
    ///
    /// `servers.json` and `master.json` say which servers there are, under which names; `startAll` leaves the master
    /// out. `crons.json`, `limits.json`, the options of plugins and `loadConfig` work as ever. `rpc.json` and
    /// `redis.json` are not read: neither is there. No environment variable counts, and all servers have one secret.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file, and the key where there is one.
    public convenience init(
        configuration folder: String, environment: String = "development", seed: UInt64 = 1, hasRegistry: Bool = true
    ) throws {
        let files = try Configuration(folder: folder, env: environment, variables: EnvironmentVariables([:]))
        self.init(files, files.servers.filter { $0.type != .master }, seed, hasRegistry)
    }

    private init(_ configuration: Configuration, _ records: [ServerRecord], _ seed: UInt64, _ hasRegistry: Bool) {
        self.configuration = configuration
        self.records = records
        self.seed = seed
        self.hasRegistry = hasRegistry
        time = TestTime(clock)
        random = RandomSource(seed: seed)
        network = LoopbackNetwork(clock: clock, random: RandomSource(seed: seed &+ 1))
    }

    /// Records of `connector-1…`, which are frontends, and `chat-1…`, which are not.
    public nonisolated static func records(connectors: Int = 2, chats: Int = 1) -> [ServerRecord] {
        (0..<connectors).map {
            ServerRecord(
                id: ServerID("connector-\($0 + 1)"), type: "connector", port: 4001 + $0, clientPort: 3001 + $0,
                isFrontend: true)
        }
            + (0..<chats).map { ServerRecord(id: ServerID("chat-\($0 + 1)"), type: "chat", port: 6001 + $0) }
    }

    // MARK: servers

    /// The application of a server that runs.
    ///
    /// - Precondition: it was started.
    public subscript(_ id: ServerID) -> Application {
        guard let server = servers[id] else { preconditionFailure("\(id) does not run; there run: \(running)") }
        return server.application
    }

    /// Servers that run, sorted.
    public var running: [ServerID] { servers.keys.sorted() }

    /// Makes the application of a server without starting it; `env` stands above the cluster's own.
    public func make(
        _ id: ServerID, env: String? = nil, _ setUp: @Loop (Application) throws -> Void = { _ in }
    ) throws -> Application {
        let clock = ServerClock(self.clock, time)
        let files = Configuration(
            env: env ?? configuration.env, cluster: configuration.clusterName, servers: configuration.servers,
            folder: configuration.folder)
        let application = try Application(
            files, id: id,
            world: World(
                clock: clock, random: random,
                network: MemoryNetwork(clock: clock, random: random).endpoint(id.rawValue),
                transport: network.transport(of: id)))
        if !files.folder.isEmpty {
            application.limits = try files.options(Limits())
            application.secret = Array("the secret of a test".utf8)
        }
        var membership: TestMembership?
        if hasRegistry {
            let own = TestMembership(application.context, application.record, self)
            application.membership = own
            try application.load(own)
            membership = own
        }
        let connector = ManualConnector()
        if application.isFrontend { application.connector = connector }
        try common?(application)
        try setUp(application)
        servers[id] = TestServer(
            application: application, connector: connector, clock: clock, membership: membership)
        return application
    }

    /// Starts a server; what it awaits of other servers and of Redis comes when time is moved.
    @discardableResult
    public func start(
        _ id: ServerID, _ setUp: @Loop (Application) throws -> Void = { _ in }
    ) async throws -> Application {
        let application = try make(id, setUp)
        try await keepIfStarted(id) { try await application.start() }
        return application
    }

    /// Starts every server of the records, one after the other; time passes as far as a start needs it.
    public func startAll(_ setUp: @Loop (Application) throws -> Void = { _ in }) async throws {
        for record in records {
            let application = try make(record.id, setUp)
            try await keepIfStarted(record.id) { try await time.pass { try await application.start() } }
        }
    }

    private func keepIfStarted(_ id: ServerID, _ start: @Loop () async throws -> Void) async throws {
        do {
            try await start()
        } catch {
            servers[id] = nil
            throw error
        }
    }

    /// Stops a server in order.
    public func stop(_ id: ServerID) async {
        await servers[id]?.application.stop()
        servers[id] = nil
    }

    /// Stops every server, one after the other; time passes as far as a stop needs it, and then only when it is moved.
    public func stopAll() async {
        for id in running { await time.pass { await self.stop(id) } }
        time.end()
    }

    /// Ends a server without a word: no timer of it fires, no call is answered, its clients get nothing more.
    ///
    /// Its entry stays in the registry until `endLease`, or its next start.
    public func crash(_ id: ServerID) {
        guard let server = servers.removeValue(forKey: id) else { return }
        graveyard.append(server)
        server.clock.isDead = true
        server.connector.crash()
        network.crash(id)
    }

    /// A server's process does not run, as under SIGSTOP: what is sent to it waits, and its timers come late.
    public func pause(_ id: ServerID) {
        servers[id]?.clock.isPaused = true
        network.freeze(id)
    }

    /// Ends a pause: first what was sent arrives, then the timers fire.
    public func resume(_ id: ServerID) {
        network.thaw(id)
        servers[id]?.clock.resume()
    }

    /// The registry has lost all servers, whose views still have them.
    public var hasForgottenAll = false
    /// What each server's `isViewComplete` says.
    public var isViewComplete = true

    /// The lease of a crashed server ends: it leaves all views, and one live server cleans up after it.
    public func endLease(of id: ServerID) async throws {
        guard servers[id] == nil, let instance = registry[id]?.instance else { return }
        if let cleaner = running.first.flatMap({ servers[$0] }) {
            try await cleaner.membership?.cleanUp(id, instance)
        }
        // REENTRANCY: it may have been started again meanwhile.
        guard registry[id]?.instance == instance else { return }
        registry[id] = nil
        for server in running { servers[server]?.application.servers.remove([id]) }
    }

    /// Connects a client to a frontend; nil when it was refused, or the frontend does not run.
    ///
    /// An id that no frontend has is an issue of the test, which names those there are.
    public func connect(_ id: ServerID) -> TestSocket? {
        let frontends = (records + servers.values.map(\.application.record)).filter(\.isFrontend).map(\.id)
        if !frontends.contains(id) {
            let known = Set(frontends).sorted().map(\.rawValue).joined(separator: ", ")
            Issue.record("no frontend of the cluster is called \(id.rawValue.debugDescription); there are: \(known)")
        }
        return servers[id]?.connector.connect()
    }

    /// Tells every server's publishers that Redis is back; returns at once.
    public func redisReturned() {
        for membership in running.compactMap({ servers[$0]?.membership }) {
            Loop.spawn { await membership.redisReturned() }
        }
    }

    // MARK: registry

    func register(_ info: ServerInfo) {
        // As the cluster plugin tells it: another instance is another server.
        if let former = registry[info.id], former.instance != info.instance { leave(former) }
        registry[info.id] = info
        everSeen.insert(info.id)
        for id in running { servers[id]?.application.servers.add([info]) }
    }

    func leave(_ info: ServerInfo) {
        guard registry[info.id]?.instance == info.instance else { return }
        registry[info.id] = nil
        for id in running { servers[id]?.application.servers.remove([info.id]) }
    }

    var view: [ServerInfo] { registry.values.sorted { $0.id < $1.id } }
    var everServers: [ServerID] { everSeen.sorted() }
}

/// One server of a `TestCluster`.
@Loop struct TestServer {
    let application: Application
    let connector: ManualConnector
    let clock: ServerClock
    let membership: TestMembership?
}
