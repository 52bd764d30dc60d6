// SPDX-License-Identifier: MIT
//
// PomeloCore: what pomelo means, without sockets and without Redis.
// Reading order, by folder:
// Application/: Application, +SetUp, +RPCFilters, +Crons, +Lifecycle, +Slips, Component, Plugin, EventListener,
// LifecycleHooks, BoundedStep, ClientPlan, Limits, World, ServiceContext, PauseWatch.
// Admin/: AdminModule, AdminService. Log/: LineSafeLog, LimitedLog.
// Session/: Connector (the seam to clients), ClientSession, SessionService, Session, SettingsSnapshot,
// BackendSessionService, SessionProcedures, ConnectionStatistics.
// Dispatch/: Dispatcher, Request, OpenRequests, Handler, +Methods, RequestBody, Filter, Router, Forwarding,
// ForwardLane, ForwardedRequests.
// Filters/: SerialFilter, TimeFilter, TimeoutFilter, TooBusyFilter (LoopLag), RPCLogFilter.
// Transaction/: Transaction, TransactionRun.
// Channel/: ChannelService, Channel, Broadcast, Fanout, DeliveryQueue, PushReport, PushScheduler,
// LocalChannelStore (the seam to stores), ChannelPersister, ChannelChanges.
// RPC/: RPCTransport (the seam to servers), Procedure, ProcedureTable, RPCClient, RPCFilter.
// Watch/: whose last session has ended: SessionWatch, WatchNotifier, WatchedMembers.
// Cluster/: ServerDirectory, Membership (the seam to leases).
// Publication/: ChangeFlusher.
public import Logging
public import PomeloBytes
public import PomeloJSON
public import PomeloLoop

/// One server: what it is, what it serves, and its life from `start` to `stop`.
///
/// Several applications can live in one process, each with its own clock, network and services; there is no global
/// one. Set it up first (`configure`, `use`, `handle`, …), then `start`.
///
/// - Source: pomelo 2.2.7, lib/application.js.
@Loop public final class Application {
    /// How far an application is in its life.
    public enum State: Sendable { case created, starting, running, stopping, stopped }

    /// The files this server was made from.
    public let configuration: Configuration
    /// The environment, such as `development`, whose sections of the files count.
    public let env: String
    /// This server's record in `servers.json`; a port left open there is filled in by `start`.
    public internal(set) var record: ServerRecord
    /// A name for this start, different at every start.
    public let instance: InstanceID
    /// Time and timers; everything of this application asks this clock.
    public let clock: any LoopClock
    /// Randomness; everything of this application draws from it.
    public let random: RandomSource
    /// Where connections come from and go to.
    public let network: any Network
    /// Writes under the label `pomelo`, with this server's id.
    public let log: Logger
    /// How far this application is in its life.
    public internal(set) var state = State.created
    /// Bounds and deadlines; set them before `start`.
    public var limits: Limits {
        get { context.limits }
        set { context.limits = newValue }
    }
    /// The client side of a frontend, one or more; required when the record says it is one.
    ///
    /// Each listens on the port of its type in `clients` of servers.json, or all share `clientPort`.
    public var connectors: [any Connector] = []
    /// The first connector; set, it is the only one.
    public var connector: (any Connector)? {
        get { connectors.first }
        set { connectors = newValue.map { [$0] } ?? [] }
    }
    /// Addresses that no connector serves, from now on.
    public let blacklist = Blacklist()
    /// Shared by all servers of the cluster.
    public var secret: Bytes = []
    /// What the record's `bind` was said by, for messages.
    package var bindKey = "bind"

    /// The servers known here.
    public let servers = ServerDirectory()
    /// What other servers may call.
    public let procedures: ProcedureTable
    /// Sessions of this server's clients.
    public let sessionService: SessionService
    /// When pushes leave for this server's clients, by route.
    public let pushSchedulers: PushSchedulers
    /// Chooses servers for sessions.
    public let router: Router
    /// The cluster, when a plugin for it is used.
    public var membership: (any Membership)? {
        get { context.membership }
        set { context.membership = newValue }
    }

    /// Carries the calls between servers.
    public let transport: any RPCTransport
    var components: [any Component] = []
    var started: [any Component] = []
    /// Whether the start came to its last hooks: clients and peers may have been served.
    var hasServed = false
    var settings: [String: JSON] = [:]
    var services: [ObjectIdentifier: AnyObject] = [:]
    var plugins: Set<String> = []
    /// Files that options were read from, there or not.
    private var optionFiles: [String] = []
    var listeners: [any EventListener] = []
    var hooks = LifecycleHooks()
    var declaredRoutes: [Route] = []
    /// Served by values of a contract.
    var contractRoutes: [Route] = []
    /// What `configure` was asked for.
    var configured: (envs: Set<Text>, types: Set<Text>) = ([], [])
    var hasAnnouncedAll = false
    /// The step that `start` is at.
    var startStep: BoundedStep?
    var stopWaiters: [CheckedContinuation<Void, Never>] = []
    /// Why the application stopped by itself; nil when it was told to.
    public internal(set) var failure: (any Error)?
    /// Whether `requestStop` or `stop` was called.
    public internal(set) var stopRequested = false
    private(set) lazy var dispatcher = Dispatcher(record, context, backendSessionService, forwarding)
    private(set) lazy var forwarding = Forwarding(context, router, transport)
    private(set) lazy var forwardedRequests = ForwardedRequests(dispatcher, backendSessionService)
    /// Calls to other servers.
    public private(set) lazy var rpc = RPCClient(router, clock, transport)
    /// What services are given.
    public private(set) lazy var context = ServiceContext(self)
    /// Channels of this process.
    public private(set) lazy var channelService = ChannelService(
        context, watch: isFrontend ? SessionWatch(context) : nil
    ) { [unowned self] frontend in WatchNotifier(context, to: frontend, .sessionWatch) }
    /// Jobs that run at their times.
    public private(set) lazy var crons = CronService(clock, log, on: serverID)
    /// Pushes to users at known frontends.
    public var fanout: Fanout { context.fanout }
    /// Tells when this process did not run for a while.
    public private(set) lazy var pauseWatch = PauseWatch(clock)
    /// Modules of administration.
    public private(set) lazy var admin = AdminService(context)
    /// Sessions of other servers' clients.
    public private(set) lazy var backendSessionService = BackendSessionService(context)

    /// The server's id in `servers.json`.
    public var serverID: ServerID { record.id }
    /// The server's type, the first part of the routes it serves.
    public var serverType: ServerType { record.type }
    /// The application's folder: the one above its configuration files.
    public var base: String { configuration.base }
    /// The record of the master in `master.json`; nil in a configuration made by hand without one.
    public var master: ServerRecord? { configuration.master }
    /// The types of the configured servers, and of those known here; the master's aside, sorted.
    public var serverTypes: [ServerType] {
        Set(configuration.serverTypes).union(servers.all.map(\.type)).subtracting([.master]).sorted()
    }
    /// Whether clients connect to this server.
    public var isFrontend: Bool { record.isFrontend }
    /// Whether this server serves other servers only; the master is neither a frontend nor this.
    public var isBackend: Bool { record.isBackend }
    /// Whether this server has the administrative role.
    public var isMaster: Bool { record.type == .master }
    /// Separates clusters that share one Redis: `name` in `master.json`, or `pomelo`.
    public var clusterName: String { configuration.clusterName }

    /// Makes the application of one server.
    ///
    /// - Throws: `PomeloError` `.configuration` when the id is not in the configuration; the message lists those that
    ///   are.
    public init(_ configuration: Configuration, id: ServerID, world: World) throws {
        self.configuration = configuration
        env = configuration.env
        record = try configuration.record(id)
        clock = world.clock
        random = world.random
        network = world.network
        transport = world.transport
        instance = InstanceID(world.random.instanceID())
        router = Router(servers, world.clock)
        procedures = ProcedureTable(instance: instance, clock: world.clock)
        sessionService = SessionService(world.clock, world.random)
        pushSchedulers = PushSchedulers(world.clock)
        var log = Logger(label: "pomelo").lineSafe
        log[metadataKey: "pomelo.server"] = "\(id)"
        self.log = log
        forwardedRequests.register(in: procedures)
        dispatcher.isServing = { [unowned self] in state == .running || state == .starting }
        _ = fanout
        _ = channelService
        _ = admin
        connectEvents()
        if record.isFrontend { SessionProcedures(sessions: sessionService).register(in: procedures) }
    }

    // MARK: settings

    /// Stores a value under a key.
    public func set(_ key: String, _ value: JSON) { settings[key] = value }
    /// Stores a number, a truth value, a text or a name under a key.
    @_disfavoredOverload
    public func set(_ key: String, _ value: some JSONValue) { settings[key] = value.json }
    /// The value of a key, or nil.
    public func get(_ key: String) -> JSON? { settings[key] }
    /// Sets a key to true.
    public func enable(_ key: String) { settings[key] = true }
    /// Sets a key to false.
    public func disable(_ key: String) { settings[key] = false }
    /// Whether the key's value is true in JavaScript's sense.
    public func enabled(_ key: String) -> Bool { settings[key]?.isTruthy ?? false }
    /// Whether the key is absent, or its value not true in JavaScript's sense.
    public func disabled(_ key: String) -> Bool { !enabled(key) }

    /// The options, with what their file in the configuration folder says above them; see `FileOptions`.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file, and the key that is unknown or has a wrong value.
    public func options<Options: FileOptions>(_ options: Options) throws -> Options {
        optionFiles.append(Options.fileName)
        return try configuration.options(options)
    }

    /// What to say of environment variables that mean nothing, once the program has asked for all its options.
    package var unknownVariables: [String] { configuration.unknownVariables(besides: optionFiles) }

    /// Reads `<config>/<name>.json`, this environment's section of it if it has one, and stores it under the name.
    ///
    /// The name may end in `.json`; the key does not.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file.
    @discardableResult
    public func loadConfig(_ name: String) throws -> JSON {
        let value = try configuration.section(name)
        settings[Configuration.plain(name)] = value
        return value
    }

    /// The same as a type, strictly; see `Configuration.decode(_:as:under:)`.
    ///
    /// Of `key`, if there is one, or else of all of it: so several types share a file, each with a key of its own.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file, and the path of the key that is missing, unknown or
    ///   has a wrong value; or line and column, when the file is not JSON.
    @discardableResult
    public func loadConfig<Value: Decodable>(
        _ name: String, as type: Value.Type, under key: String? = nil
    ) throws -> Value {
        let value = try configuration.decode(name, as: type, under: key)
        try loadConfig(name)
        return value
    }

    /// Keeps a service that plugins and handlers find by its type.
    public func setService<Service: AnyObject>(_ service: Service) {
        services[ObjectIdentifier(Service.self)] = service
    }

    /// The service of a type, or nil when no plugin gave one.
    public func service<Service: AnyObject>(_ type: Service.Type) -> Service? {
        services[ObjectIdentifier(type)] as? Service
    }
}
