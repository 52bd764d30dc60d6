// SPDX-License-Identifier: MIT
public import Logging
public import PomeloLoop
public import PomeloUV

/// A server's access to Redis: one connection for commands, one for control, one for messages when first needed; to a
/// cluster one for commands and one for control to each of its primaries.
///
/// The control connection carries leases and nothing else, so that they never wait behind commands of users.
@Loop public final class RedisClient: RedisPort, RedisMessages {
    /// Where Redis is.
    public let configuration: RedisConfiguration
    /// The connection for leases.
    public var control: any RedisPort { part(of: controlRoute) }
    /// Told the channels on which messages may have been missed, once they are subscribed again.
    public var onGap: (@Loop ([String]) -> Void)? {
        didSet {
            guard let onGap else { return subscriptions.onGap = nil }
            let prefix = KeyPrefix(configuration.keyPrefix)
            subscriptions.onGap = { channels in onGap(channels.map(prefix.removed(from:))) }
        }
    }

    let subscriptions: RedisSubscriptions
    private let data: any RedisRoute
    private let controlRoute: any RedisRoute
    /// What commands go through: the connection, or the part of its keys that has the prefix.
    private lazy var port = part(of: data)
    /// The connection that they go to, where nothing stands between.
    private lazy var direct = configuration.keyPrefix.isEmpty ? data as? RedisConnection : nil
    /// Those that the routes have none of their own of.
    private let connections: [RedisConnection]
    /// What all connections ask, where sentinels name the primary.
    private let sentinels: SentinelLocator?
    private let watch: SentinelWatch?
    let monitor: HealthMonitor
    private let meter = RedisClientMeter()
    private let logger: Logger
    private var healthObservers: [(id: RedisObservation, handler: @Loop (RedisHealth) -> Void)] = []
    private var lastObserver = 0

    /// Does nothing until `start`; `name` is shown by `CLIENT LIST`.
    public init(
        _ configuration: RedisConfiguration, name: String = "pomelo", resolver: Resolver = Resolver(),
        random: RandomSource = RandomSource(), logger: Logger = Logger(label: "pomelo.redis")
    ) {
        self.configuration = configuration
        self.logger = logger
        func connection(_ suffix: String, _ locator: any RedisLocator) -> RedisConnection {
            let connection = RedisConnection(
                configuration, locator: locator, name: name + suffix, resolver: resolver, random: random,
                logger: logger, clock: SystemClock.shared)
            connection.tellsOfStart = false
            return connection
        }
        let locator = configuration.locator(resolver, logger)
        sentinels = locator as? SentinelLocator
        watch = sentinels.map {
            SentinelWatch(
                $0, configuration, name: name + ":sentinel", resolver: resolver, random: random, logger: logger)
        }
        let messages: RedisConnection
        if case .cluster(let seeds) = configuration.topology {
            func route(_ suffix: String) -> RedisClusterPort {
                RedisClusterPort(
                    configuration, seeds: seeds, name: name + suffix, resolver: resolver, random: random,
                    logger: logger)
            }
            let port = route("")
            (data, controlRoute) = (port, route(":control"))
            let any = RotatingLocator("redis: \(configuration.topology)", .anyClusterNode) { port.places }
            messages = connection(":messages", any)
            connections = [messages]
            let links = ClusterCarriers(port, plain: messages) { place in
                connection(":messages", FixedLocator(place, .clusterPrimary))
            }
            subscriptions = RedisSubscriptions(links, logger)
            links.onChange = { [weak subscriptions] in subscriptions?.followSlots() }
        } else {
            let (main, control) = (connection("", locator), connection(":control", locator))
            (data, controlRoute) = (main, control)
            messages = connection(":messages", locator)
            connections = [main, control, messages]
            subscriptions = RedisSubscriptions(SingleCarrier(messages), logger)
        }
        monitor = HealthMonitor(name: name, patience: configuration.commandTimeout, random: random, logger: logger)
        observeAll()
        if !configuration.ignoredKeys.isEmpty {
            logger.warning(
                "redis options that have no effect here", metadata: ["redis.keys": "\(configuration.ignoredKeys)"])
        }
    }

    private func part(of route: any RedisRoute) -> any RedisPort {
        configuration.keyPrefix.isEmpty ? route : PrefixedRedis(route, prefix: KeyPrefix(configuration.keyPrefix))
    }

    /// Connects both connections, and waits for them: at most the connect timeout where nobody answers, at most
    /// `patience` for a server that is there but is slow, or loads its data; without one, `startTimeoutSeconds`.
    ///
    /// - Throws: the reason, naming host and port; a refused password, user or database names its key, and so does a
    ///   value of the configuration that cannot be, and a server that is too old its version; `.closed` when the task
    ///   is cancelled. The client is stopped then.
    public func start(within patience: Duration? = nil) async throws(RedisError) {
        if let objection = configuration.objection {
            await stop()
            throw objection
        }
        let clock = SystemClock.shared
        let deadline = clock.deadline(after: patience ?? configuration.startTimeout)
        controlRoute.startInBackground()
        do throws(RedisError) {
            for route in [data, controlRoute] { try await route.start(within: clock.left(until: deadline)) }
        } catch {
            await stop()
            throw error
        }
        tellOfStart()
        watch?.start()
        monitor.start()
    }

    /// One line; each connection tells of itself when it comes back.
    private func tellOfStart() {
        let place = (data as? RedisConnection)?.place ?? "redis: \(configuration.topology)\(configuration.sourceNote)"
        logger.notice(
            "redis is connected",
            metadata: ["redis.place": "\(place)", "redis.run": "\(runID)", "redis.connections": "commands, control"])
    }

    private func observeAll() {
        sentinels?.onMove = { [weak self] place in self?.follow(to: place) }
        watch?.onBeat = { [weak self] in self?.checkRoles() }
        subscriptions.onGapTold = { [meter] in meter.gap() }
        monitor.subject = self
        monitor.onChange = { [weak self] health in self?.tell(health) }
        let ports: [any RedisPort] = [data, controlRoute] + connections.suffix(1)
        for port in ports { port.observe { [weak self] _ in self?.monitor.connectionChanged() } }
    }

    /// Closes all connections; commands without a reply fail, later ones throw `.closed`.
    public func stop() async {
        monitor.stop()
        sentinels?.stop()
        await watch?.stop()
        await subscriptions.stop()
        await data.stop()
        await controlRoute.stop()
    }

    // MARK: health

    /// Whether commands and messages arrive: tried every ten seconds, known at once when a connection is lost.
    ///
    /// It heals by itself: channels are subscribed again, then connections made anew, then the server looked for again.
    /// Of a user who may not write the key `pomelo:health:<name>`, or hear channels of that beginning, less is known.
    public var health: RedisHealth { monitor.health }

    /// Calls back at every later change of `health`.
    @discardableResult
    public func observeHealth(_ handler: @escaping @Loop (RedisHealth) -> Void) -> RedisObservation {
        lastObserver += 1
        let id = RedisObservation(number: lastObserver)
        healthObservers.append((id, handler))
        return id
    }

    /// Forgets an observer of `health`; one already forgotten is ignored.
    public func unobserveHealth(_ observation: RedisObservation) { healthObservers.removeAll { $0.id == observation } }

    private func tell(_ health: RedisHealth) {
        meter.became(health)
        for (_, handler) in healthObservers { handler(health) }
    }

    // MARK: the primary

    private func follow(to place: SocketAddress) {
        for connection in connections { connection.leave(for: place) }
    }

    /// A primary that has become a replica tells writers and nobody else.
    private func checkRoles() {
        guard let main = connections.first, main.isUp, let place = main.located else { return }
        Loop.spawn {
            do throws(RedisError) {
                let role = try await main.send(RedisCommand("ROLE")).array?.first?.string
                guard role == "slave" else { return }
                for connection in self.connections where connection.located == place {
                    connection.reset("\(connection.place) is a replica now")
                }
            } catch {
                main.logger.debug("the role of redis is not known", metadata: ["redis.reason": "\(error)"])
            }
        }
    }

    // MARK: RedisPort, on the data connection

    /// Whether the connection for commands is up; the others may not be.
    public var isUp: Bool { data.isUp }
    /// The run id of the server connected to last; empty when it does not tell.
    public var runID: String { data.runID }

    /// Sends one command on the connection for commands; its error reply is thrown as `.reply`.
    ///
    /// - Throws: as `pipeline`.
    @discardableResult
    public func send(_ command: RedisCommand) async throws(RedisError) -> RedisReply {
        if let direct { return try await direct.send(command) }
        return try await port.send(command)
    }

    /// Sends commands together on the connection for commands.
    ///
    /// - Complexity: one round trip.
    /// - Throws: `RedisError` when there is no reply; a command's own error is an `.error` reply.
    public func pipeline(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        try await port.pipeline(commands)
    }

    /// Sends commands, scripts and transactions together on the connection for commands.
    ///
    /// - Complexity: one round trip; one more when the server has forgotten a script, which is run last then.
    /// - Throws: as `pipeline`.
    public func execute(_ steps: [RedisStep]) async throws(RedisError) -> [RedisReply] {
        try await port.execute(steps)
    }

    /// Sends the commands between MULTI and EXEC on the connection for commands.
    ///
    /// - Throws: `.reply` when the server refused a command before executing any.
    public func transaction(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        try await port.transaction(commands)
    }

    /// Calls a script on the connection for commands.
    ///
    /// - Complexity: one round trip, one more when the server has forgotten the script.
    /// - Throws: `RedisError`; an error of the script as `.reply`.
    public func run(
        _ script: RedisScript, keys: [String], args: [RedisArgument]
    ) async throws(RedisError) -> RedisReply {
        try await port.run(script, keys: keys, args: args)
    }

    /// Whether keys are divided into slots: those of one script or transaction must share one.
    public var isCluster: Bool { data.isCluster }
    /// The servers that have a part of the keys each.
    public var nodes: [any RedisPort] { port.nodes }

    /// Calls back at every `up` and `down` of the connection for commands.
    @discardableResult
    public func observe(_ handler: @escaping @Loop (RedisEvent) -> Void) -> RedisObservation { data.observe(handler) }

    /// Forgets an observer; one already forgotten is ignored.
    public func unobserve(_ observation: RedisObservation) { data.unobserve(observation) }

    // MARK: messages

    /// Subscribes on the connection for messages, which the first call makes.
    ///
    /// - Throws: `RedisError` when the server did not confirm in time; then nothing is subscribed.
    public func subscribe(
        _ channel: String, _ handler: @escaping @Loop ([UInt8]) -> Void
    ) async throws(RedisError) {
        try await subscriptions.subscribe(configuration.keyPrefix + channel, handler)
    }

    /// Subscribes channels, and returns what is published to them from now on.
    ///
    /// A channel may have several readers, and a handler beside them. `bounds` hold for what a reader has not read yet.
    ///
    /// - Throws: `RedisError` when the server did not confirm all in time, or refused one; then nothing is read.
    public func messages(
        on channels: [String], bounds: RedisMessageBounds = RedisMessageBounds()
    ) async throws(RedisError) -> RedisMessageSequence {
        try await subscriptions.messages(
            on: channels.map { ChannelID(configuration.keyPrefix + $0) }, bounds,
            prefix: KeyPrefix(configuration.keyPrefix))
    }

    /// The same for channels that are published to with SPUBLISH: they live where their names' slot is.
    ///
    /// - Throws: as `messages`; `.reply` by a server before Redis 7.
    public func shardedMessages(
        on channels: [String], bounds: RedisMessageBounds = RedisMessageBounds()
    ) async throws(RedisError) -> RedisMessageSequence {
        try await subscriptions.messages(
            on: channels.map { ChannelID(configuration.keyPrefix + $0, isSharded: true) }, bounds,
            prefix: KeyPrefix(configuration.keyPrefix))
    }

    /// Stops calling the channel's handler at once; the server is told in the background.
    public func unsubscribe(_ channel: String) { subscriptions.unsubscribe(configuration.keyPrefix + channel) }
}

extension RedisClient: HealthSubject {
    var channelPrefix: String { configuration.keyPrefix }

    var outage: String? {
        [data, controlRoute].first { !$0.isUp }.map { "\($0.away)" }
    }

    var messageOutage: String? {
        let links = subscriptions.carriers.links
        return links.first { !$0.channels.isEmpty && !$0.connection.isUp }.map { "\($0.connection.away)" }
    }

    func resolveAgain(_ reason: String) {
        for connection in connections {
            if let place = connection.located { sentinels?.wasWrong(about: place) }
            connection.reset(reason)
        }
    }
}
