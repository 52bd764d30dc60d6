// SPDX-License-Identifier: MIT
//
// PomeloCluster: who is there. Servers register in Redis under leases, follow each other's changes, and remove those
// that are gone.
// Reading order: Cluster, ClusterOptions, ClusterMembership, ClusterMembership+Lifecycle; LeaseRenewer, LeaseHealth,
// ClusterHealth, ClusterView, ClusterFeed, RollCall, Introduction, Reaper; ClusterRegistry, ClusterScripts with
// Scripts/*.lua, ClusterKeys, RegistryEntry; PeriodicTask; Election, ElectionStore, FencingTokens, CronElection.
public import PomeloCore
public import PomeloLoop
public import PomeloRedis

/// Makes an application a member of its cluster; used before the plugins that publish state.
///
/// - Guarantee: one instance holds a server id per history of Redis; a change reaches all views within `scanEvery`
///   while Redis answers, and that of a new frontend those that answer it before its clients come; a server that died
///   is removed within `lease` + 2 s.
@Loop public final class Cluster: Plugin {
    /// The plugin's name.
    public let name = "cluster"
    /// Called when another instance has taken this server's id, just before the application stops itself; the plugin
    /// must be kept for it.
    public var onReplaced: (@Loop () -> Void)?
    /// Set by `use`.
    public private(set) var membership: ClusterMembership?
    private let ports: @Loop (any RPCTransport) -> ClusterPorts
    private let options: ClusterOptions

    /// Uses connections that are up when the application starts.
    ///
    /// `control` carries leases and nothing else, so that they never wait behind commands of users; without
    /// `messages`, changes are found by looking.
    public init(
        redis: any RedisPort, control: (any RedisPort)? = nil, messages: (any RedisMessages)? = nil,
        options: ClusterOptions = ClusterOptions()
    ) {
        ports = { transport in
            ClusterPorts(
                redis: redis, control: control ?? redis, messages: messages, transport: transport, client: nil
            )
        }
        self.options = options
    }

    /// Uses a client that is started before everything else and stopped after it.
    public init(_ client: RedisClient, options: ClusterOptions = ClusterOptions()) {
        ports = { transport in
            ClusterPorts(
                redis: client, control: client.control, messages: client, transport: transport, client: client
            )
        }
        self.options = options
    }

    /// Loads the membership and gives it to the application.
    ///
    /// What `cluster.json` says stands above the options given at creation.
    ///
    /// - Throws: `PomeloError` `.configuration` when `cluster.json` is wrong, or the application is a member already.
    public func install(into application: Application, _: inout PluginOptions) throws {
        guard application.membership == nil else {
            throw PomeloError(.configuration, "\(application.serverID) is a member of a cluster already")
        }
        let options = try application.options(options)
        let membership = ClusterMembership(
            application.context, application.record, configured: application.configuration.servers,
            ports(application.transport), options)
        // The context has the membership.
        membership.onReplaced = { [weak self, unowned context = application.context] in
            self?.onReplaced?()
            context.fail(PomeloError(.notRunning, "another instance has taken the id \(context.serverID)"))
        }
        try application.load(membership)
        try application.registerAdmin(HealthModule(membership), isNeeded: true)
        application.membership = membership
        application.crons.office = CronElection(membership, application.serverType)
        self.membership = membership
    }
}

/// The connections of one membership.
@Loop struct ClusterPorts {
    let redis: any RedisPort
    let control: any RedisPort
    let messages: (any RedisMessages)?
    let transport: any RPCTransport
    /// Started and stopped with the membership.
    let client: RedisClient?

    var areUp: Bool { redis.isUp && control.isUp }
}
