// SPDX-License-Identifier: MIT
//
// PomeloPlugins: services in other processes, in any language, as plugins of the cluster; no HTTP.
// Reading order: KeelOptions, PluginHost; Model: PluginID, PluginVersion, PluginIdentity, PluginStatus, PluginAnswer,
// PluginRecord, PluginView; Registry: PluginStore with Scripts/change.lua, PluginFollower, PluginRegistry, +Rules,
// +Leaving, KeySeal, RegistryVerbs; Routing: CallPath, CallSource, HeaderRules, PluginRouter, +Points, Instances,
// TokenDesk, ClusterVerbs, the seams PluginCaller, PluginTokens, PluginDecision; Health; Delivery.
import Logging
public import PomeloBytes
public import PomeloCluster
public import PomeloCore
public import PomeloExtensions
import PomeloJSON
public import PomeloLoop
public import PomeloRedis

/// The part of a server that knows the cluster's outside plugins: finds out what becomes of each request, and lets
/// plugins take part in what servers do.
///
/// One process of the cluster at a time, by an election, asks plugins for their status, brings them what they are told,
/// and renews the keys of tokens; all of them route.
@Loop public final class PluginHost: Component {
    /// `plugins`.
    public let name = "plugins"
    private static let keyCheck = Duration.seconds(60)

    let follower: PluginFollower
    let registry: PluginRegistry
    private let router: PluginRouter
    private let desk: TokenDesk
    private let health: PluginHealth
    private let outbox: PluginOutbox
    private let delivery: PluginDelivery
    private let election: Election
    let streams: PluginStreams
    let instances: Instances
    private let clock: any LoopClock
    private let log: Logger
    private let implementers: PluginImplementers
    let options: KeelOptions
    private let extensions: ExtensionService
    /// Whether it may be the one that does for all what one does.
    private let isCandidate: Bool
    private var keeping: Task<Void, Never>?

    /// A host for the points of `extensions`, whose keys of tokens are sealed with the cluster's secret; `use` of an
    /// application loads it as a component.
    ///
    /// - Throws: `PomeloError` `.configuration` for options that cannot be.
    public init(
        _ context: ServiceContext, _ options: KeelOptions, redis: any RedisPort, messages: (any RedisMessages)? = nil,
        caller: any PluginCaller, tokens: any PluginTokens, election: Election, extensions: ExtensionService,
        cluster: (any PluginClusterDesk)? = nil, secret: Bytes = [], isCandidate: Bool = true
    ) throws {
        try options.check()
        let store = PluginStore(redis, cluster: context.clusterName, seal: KeySeal(secret: secret))
        follower = PluginFollower(store, messages, context)
        instances = Instances(context.clock, context.random)
        registry = PluginRegistry(follower, options, caller, context)
        desk = TokenDesk(tokens, follower, context)
        router = PluginRouter(follower, instances, caller, options, desk, context)
        health = PluginHealth(registry, options, caller, context)
        outbox = PluginOutbox(redis, follower, context)
        delivery = PluginDelivery(router, redis, context)
        streams = PluginStreams(redis, cluster: context.clusterName)
        implementers = PluginImplementers(router, outbox)
        self.election = election
        self.extensions = extensions
        self.isCandidate = isCandidate
        self.options = options
        clock = context.clock
        log = context.log
        let verbs = RegistryVerbs(registry: registry, instances: instances, desk: desk, options: options)
        router.serveRegistry = { call async throws(PluginAnswer) in try await verbs.serve(call) }
        if let cluster {
            let verbs = ClusterVerbs(cluster, context, options)
            router.serveCluster = { call async throws(PluginAnswer) in try await verbs.serve(call) }
        }
        connect(context.serverID)
    }

    private func connect(_ server: ServerID) {
        extensions.outside = implementers
        election.onElected = { [extensions] _ in
            extensions.tell(.leaderChanged, ["server_id": server.json], key: "leader")
        }
        let isOurs: @Loop () -> Bool = { [election] in election.token != nil }
        health.isOurs = isOurs
        delivery.isOurs = isOurs
        outbox.onCoalesced = { [delivery] event in delivery.tell(event) }
        registry.onGone = { [streams, log] id in
            do {
                try await streams.forget(id)
            } catch {
                log.warning("what a plugin was to be told stays", metadata: ["plugin": "\(id)", "error": "\(error)"])
            }
        }
        var keys: [PluginKey] = []
        follower.onChange = { [instances, desk, follower] view in
            instances.keep { place in
                view.records[place.plugin].map { view.addresses(of: $0, at: follower.now).contains(place.address) }
                    ?? false
            }
            guard view.keys != keys else { return }
            keys = view.keys
            Loop.spawn { await desk.use(view.keys) }
        }
    }

    /// Whether this process does for all what one does.
    var isLeader: Bool { election.token != nil }

    /// What is known of the registry.
    var view: PluginView { follower.view }

    /// What becomes of a request.
    public func decide(_ head: PluginHead) async -> PluginDecision { await router.decide(head) }

    /// Reads the registry, and begins.
    public func start() async throws {
        await follower.start()
        await renewKeys()
        if isCandidate { election.stand() }
        health.start()
        delivery.start()
        keeping = Loop.spawn { [weak self, clock] in
            while !Task.isCancelled {
                await clock.sleep(for: Self.keyCheck)
                if !Task.isCancelled { await self?.renewKeys() }
            }
        }
    }

    private func renewKeys() async {
        do throws(PluginAnswer) {
            try await desk.renewKeys()
        } catch {
            log.warning("keys of tokens are not renewed", metadata: ["plugins.reason": "\(error.msg)"])
        }
    }

    /// Gives up what this process does for all, and writes what plugins are to be told.
    public func stop() async {
        keeping?.cancel()
        health.stop()
        delivery.stop()
        // From here on nobody would write what is told.
        if extensions.outside === implementers { extensions.outside = nil }
        await outbox.stop(within: .seconds(2))
        await election.resign()
        follower.stop()
    }
}
