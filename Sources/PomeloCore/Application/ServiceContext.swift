// SPDX-License-Identifier: MIT
public import Logging
public import PomeloLoop

/// What an application gives its services: who this server is, and those a service works with.
///
/// A service is handed this and needs no application. What is still being set up when it is made, `limits` and
/// `membership`, is looked up when it is needed.
@Loop public final class ServiceContext {
    /// This server.
    public let serverID: ServerID
    /// This start of this server.
    public let instance: InstanceID
    /// Whether clients connect to this server.
    public let isFrontend: Bool
    /// Whether it is one of the cluster's masters.
    let isMaster: Bool
    /// Separates clusters that share one Redis.
    public let clusterName: String
    /// Time and timers.
    public let clock: any LoopClock
    /// Draws jitter, and names nobody can guess.
    public let random: RandomSource
    /// Writes with this server's id.
    public let log: Logger
    /// Who is there.
    public let servers: ServerDirectory
    /// What other servers may call.
    public let procedures: ProcedureTable
    /// Calls to other servers.
    public let rpc: RPCClient
    /// The same without a task of the caller's.
    let transport: any RPCTransport
    /// Sessions of this server's clients.
    public let sessions: SessionService
    /// When pushes leave for this server's clients.
    public let pushSchedulers: PushSchedulers
    /// Tells when this process did not run for a while.
    public let pauseWatch: PauseWatch
    /// Pushes to users at known frontends.
    public private(set) lazy var fanout = Fanout(self)
    /// Bounds and deadlines.
    public internal(set) var limits = Limits()
    /// This server's place in the cluster; nil without one.
    public internal(set) var membership: (any Membership)?
    private let stop: @Loop (any Error) -> Void

    init(_ application: Application) {
        serverID = application.serverID
        instance = application.instance
        isFrontend = application.isFrontend
        isMaster = application.isMaster
        clusterName = application.clusterName
        clock = application.clock
        random = application.random
        log = application.log
        servers = application.servers
        procedures = application.procedures
        rpc = application.rpc
        transport = application.transport
        sessions = application.sessionService
        pushSchedulers = application.pushSchedulers
        pauseWatch = application.pauseWatch
        stop = { [weak application] error in application?.fail(error) }
    }

    /// Stops the server because it must not go on; what runs it is told why.
    public func fail(_ error: any Error) { stop(error) }

    /// Whether this server knows of every server that lives, as far as is known here; true without a cluster.
    public var isViewComplete: Bool { membership?.isViewComplete ?? true }
}
