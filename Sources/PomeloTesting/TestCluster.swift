// SPDX-License-Identifier: MIT
public import PomeloCore
public import PomeloLoop

/// Several servers in one process: a clock that tests move, calls over a `LoopbackNetwork`, clients without sockets,
/// and a registry in memory in the place of the cluster plugin.
///
/// With the manual loop driver a run is decided by its seed. Views are told at once; leases end when a test says so.
@Loop public final class TestCluster {
    /// Time of all servers.
    public let clock = ManualClock()
    /// What carries their calls.
    public let network: LoopbackNetwork
    /// Chance of all servers, seeded.
    public let random: RandomSource
    /// What `servers.json` would hold.
    public let records: [ServerRecord]
    private(set) var servers: [ServerID: TestServer] = [:]
    /// Kept, because dropped objects with tasks under way would be told about their own end.
    private var graveyard: [TestServer] = []
    private var registry: [ServerID: ServerInfo] = [:]
    private var everSeen: Set<ServerID> = []

    private let hasRegistry: Bool

    /// Makes no server yet; without a registry, `setUp` of each server uses the cluster plugin.
    public init(_ records: [ServerRecord], seed: UInt64 = 1, hasRegistry: Bool = true) {
        self.records = records
        self.hasRegistry = hasRegistry
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
        guard let server = servers[id] else { preconditionFailure("\(id) does not run") }
        return server.application
    }

    /// Servers that run, sorted.
    public var running: [ServerID] { servers.keys.sorted() }

    /// Makes the application of a server without starting it.
    public func make(
        _ id: ServerID, env: String = "development", _ setUp: @Loop (Application) throws -> Void = { _ in }
    ) throws -> Application {
        let clock = ServerClock(self.clock)
        let application = try Application(
            Configuration(env: env, servers: records), id: id,
            world: World(
                clock: clock, random: random,
                network: MemoryNetwork(clock: clock, random: random).endpoint(id.rawValue),
                transport: network.transport(of: id)))
        var membership: TestMembership?
        if hasRegistry {
            let own = TestMembership(application.context, application.record, self)
            application.membership = own
            try application.load(own)
            membership = own
        }
        let connector = ManualConnector()
        if application.isFrontend { application.connector = connector }
        try setUp(application)
        servers[id] = TestServer(
            application: application, connector: connector, clock: clock, membership: membership)
        return application
    }

    /// Starts a server.
    @discardableResult
    public func start(
        _ id: ServerID, _ setUp: @Loop (Application) throws -> Void = { _ in }
    ) async throws -> Application {
        let application = try make(id, setUp)
        do {
            try await application.start()
        } catch {
            servers[id] = nil
            throw error
        }
        return application
    }

    /// Starts every server of the records.
    public func startAll(_ setUp: @Loop (Application) throws -> Void = { _ in }) async throws {
        for record in records { try await start(record.id, setUp) }
    }

    /// Stops a server in order.
    public func stop(_ id: ServerID) async {
        await servers[id]?.application.stop()
        servers[id] = nil
    }

    /// Stops every server.
    public func stopAll() async {
        for id in running { await stop(id) }
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

    /// Connects a client to a frontend; nil when it was refused.
    public func connect(_ id: ServerID) -> TestSocket? { servers[id]?.connector.connect() }

    /// Tells every server's publishers that Redis is back; returns at once.
    public func redisReturned() {
        for membership in running.compactMap({ servers[$0]?.membership }) {
            Loop.spawn { await membership.redisReturned() }
        }
    }

    // MARK: time

    /// Lets everything run that is ready; the bound ends a run that never comes to rest.
    public func settle(turns: Int = 40) async {
        for _ in 0..<turns { await Loop.yield() }
    }

    /// Moves time in steps, so that what each timer sets off happens before the next one.
    public func advance(by duration: Duration, step: Duration = .milliseconds(20)) async {
        await settle()
        let end = clock.deadline(after: duration)
        while clock.now < end {
            clock.advance(to: min(end, clock.deadline(after: step)))
            await settle(turns: 6)
        }
        await settle()
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

/// A server's view of the common clock; after a crash nothing fires any more.
@Loop final class ServerClock: LoopClock {
    private let clock: ManualClock
    var isDead = false
    var isPaused = false
    private var buried: [@Loop () -> Void] = []
    private var late: [LateTimer] = []

    init(_ clock: ManualClock) { self.clock = clock }

    var now: UInt64 { clock.now }
    var wallMilliseconds: Int64 { clock.wallMilliseconds }

    func schedule(at deadline: UInt64, _ action: @escaping @Loop () -> Void) -> TimerID {
        let timer = LateTimer(action)
        let id = clock.schedule(at: deadline) {
            // Kept: a waiter that was dropped unanswered would be reported as a fault of the program.
            if self.isDead { return self.buried.append(action) }
            if self.isPaused { self.late.append(timer) } else { action() }
        }
        timer.id = id
        return id
    }

    func cancel(_ timer: TimerID) {
        late.removeAll { $0.id == timer }
        clock.cancel(timer)
    }

    /// Fires in order what has become due meanwhile, when what was sent has arrived.
    func resume() {
        isPaused = false
        _ = clock.schedule(at: clock.now) {
            // One by one: each may cancel others.
            while !self.late.isEmpty, !self.isPaused { self.late.removeFirst().action() }
        }
    }
}

/// A timer of a server that may be paused when it is due.
@Loop private final class LateTimer {
    var id: TimerID?
    let action: @Loop () -> Void

    init(_ action: @escaping @Loop () -> Void) { self.action = action }
}

/// A place in the registry of a `TestCluster`.
@Loop final class TestMembership: Membership, Component {
    let name = "testMembership"
    private let record: ServerRecord
    /// Has this membership.
    private unowned let context: ServiceContext
    private let cluster: TestCluster
    private var cleaners: [any LeaseCleaner] = []
    private var publishers: [any LeasePublisher] = []
    private(set) var isJoined = false
    let health = MembershipHealth.healthy
    let lease = Duration.seconds(10)
    var isViewComplete: Bool { cluster.isViewComplete }

    init(_ context: ServiceContext, _ record: ServerRecord, _ cluster: TestCluster) {
        self.context = context
        self.record = record
        self.cluster = cluster
    }

    var instance: InstanceID { context.instance }
    func isAlive(_ server: ServerID, _ instance: InstanceID) async throws -> Bool {
        !cluster.hasForgottenAll && cluster.view.contains { $0.id == server && $0.instance == instance }
    }
    func everServers() async throws -> [ServerID] { cluster.everServers }
    func addCleaner(_ cleaner: any LeaseCleaner) { cleaners.append(cleaner) }
    func addPublisher(_ publisher: any LeasePublisher) { publishers.append(publisher) }

    func start() async throws {
        context.servers.add(cluster.view)
        enter(.joining)
        isJoined = true
    }

    /// When every service is there, as the cluster plugin does it.
    func afterStart() async throws { try await cleanUp(context.serverID, instance) }

    func didStart() async throws { enter(.up) }
    func willStop() async { enter(.draining) }

    func stop() async {
        isJoined = false
        // As the cluster plugin: what could not be removed is left to the others.
        if !publishers.contains(where: \.isBehind) { cluster.leave(info(.draining)) }
    }

    func cleanUp(_ id: ServerID, _ instance: InstanceID) async throws {
        for cleaner in cleaners { try await cleaner.cleanUp(id, instance: instance) {} }
    }

    func redisReturned() async {
        for publisher in publishers { await publisher.redisReturned() }
    }

    private func enter(_ state: ServerState) { cluster.register(info(state)) }

    private func info(_ state: ServerState) -> ServerInfo {
        let services = cleaners.map(\.name).sorted()
        return ServerInfo(record: record, instance: context.instance, state: state, services: services)
    }
}
