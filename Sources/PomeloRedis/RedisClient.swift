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

    private let data: any RedisRoute
    private let controlRoute: any RedisRoute
    private let subscriptions: RedisSubscriptions
    /// What commands go through: the connection, or the part of its keys that has the prefix.
    private lazy var port = part(of: data)

    /// Does nothing until `start`; `name` is shown by `CLIENT LIST`.
    public init(
        _ configuration: RedisConfiguration, name: String = "pomelo", resolver: Resolver = Resolver(),
        random: RandomSource = RandomSource(), logger: Logger = Logger(label: "pomelo.redis")
    ) {
        self.configuration = configuration
        func connection(_ suffix: String, _ locator: any RedisLocator) -> RedisConnection {
            RedisConnection(
                configuration, locator: locator, name: name + suffix, resolver: resolver, random: random,
                logger: logger, clock: SystemClock.shared)
        }
        if case .cluster(let seeds) = configuration.topology {
            func route(_ suffix: String) -> RedisClusterPort {
                RedisClusterPort(
                    configuration, seeds: seeds, name: name + suffix, resolver: resolver, random: random,
                    logger: logger)
            }
            let port = route("")
            (data, controlRoute) = (port, route(":control"))
            let any = RotatingLocator("redis: \(configuration.topology)", .anyClusterNode) { port.places }
            subscriptions = RedisSubscriptions(connection(":messages", any))
        } else {
            data = connection("", configuration.topology.locator())
            controlRoute = connection(":control", configuration.topology.locator())
            subscriptions = RedisSubscriptions(connection(":messages", configuration.topology.locator()))
        }
        if !configuration.ignoredKeys.isEmpty {
            logger.warning(
                "redis options that have no effect here", metadata: ["redis.keys": "\(configuration.ignoredKeys)"])
        }
    }

    private func part(of route: any RedisRoute) -> any RedisPort {
        configuration.keyPrefix.isEmpty ? route : PrefixedRedis(route, prefix: configuration.keyPrefix)
    }

    /// Connects both connections, and waits for them: at most the connect timeout where nobody answers, at most
    /// `patience` for a server that is there but is slow, or loads its data; without one, `startTimeoutSeconds`.
    ///
    /// - Throws: the reason, naming host and port; a refused password, user or database names its key, and a server
    ///   that is too old its version; `.closed` when the task is cancelled. The client is stopped then.
    public func start(within patience: Duration? = nil) async throws(RedisError) {
        let clock = SystemClock.shared
        let deadline = clock.deadline(after: patience ?? configuration.startTimeout)
        controlRoute.startInBackground()
        do throws(RedisError) {
            for route in [data, controlRoute] { try await route.start(within: clock.left(until: deadline)) }
        } catch {
            await stop()
            throw error
        }
    }

    /// Closes all connections; commands without a reply fail, later ones throw `.closed`.
    public func stop() async {
        await subscriptions.stop()
        await data.stop()
        await controlRoute.stop()
    }

    // MARK: RedisPort, on the data connection

    /// Whether the connection for commands is up; the others may not be.
    public var isUp: Bool { data.isUp }
    /// The run id of the server connected to last; empty when it does not tell.
    public var runID: String { data.runID }

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

    /// Stops calling the channel's handler at once; the server is told in the background.
    public func unsubscribe(_ channel: String) { subscriptions.unsubscribe(configuration.keyPrefix + channel) }
}
