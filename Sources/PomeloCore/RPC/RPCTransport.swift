// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloLoop

/// Calls between servers.
///
/// - Guarantee: every call completes exactly once, with its reply or an `RPCError`, at the latest at its deadline;
///   calls of one server to another arrive in call order while their connection stands.
@Loop public protocol RPCTransport: AnyObject {
    /// Begins to serve; returns when the port is bound.
    ///
    /// - Throws: `PomeloError` `.network` naming the address.
    func start(_ context: RPCContext) async throws
    /// Calls a procedure; the deadline covers connecting and queueing too.
    func call(
        _ server: ServerID, _ procedure: Procedure, _ payload: Bytes, within deadline: Duration
    ) async throws(RPCError) -> Bytes
    /// Calls a procedure without a task of the caller's; `reply` gets the one outcome, perhaps before this returns.
    ///
    /// It may come in the middle of the transport's work, so `reply` only notes it.
    func call(
        _ server: ServerID, _ procedure: Procedure, _ payload: Bytes, within deadline: Duration,
        reply: @escaping ProcedureTable.Reply)
    /// Whether the process at the server's address answers as this instance, within `deadline`.
    ///
    /// It is asked there, whatever the view says; also when the id is this server's own, unless the instance is too.
    func ping(_ server: ServerInfo, within deadline: Duration) async -> Bool
    /// Proves the cluster secret to the server at an address, whichever instance it is.
    ///
    /// - Throws: `PomeloError` `.configuration` when that server refuses us; `.unreachable` when it is not there:
    ///   nobody listens, or somebody else does; `.noAnswer` when it may be there, and said nothing in time.
    func proveSecret(to server: ServerInfo) async throws
    /// Tells peers to send nothing more, finishes what is in flight, closes.
    func stop(within deadline: Duration) async
    /// Where other servers reach this one, once started; tells the port when the record left it open.
    var localAddress: SocketAddress? { get }
}

extension RPCTransport {
    /// Not known: for transports without ports.
    public var localAddress: SocketAddress? { nil }

    /// Calls in a task of its own: for transports that know no better.
    public func call(
        _ server: ServerID, _ procedure: Procedure, _ payload: Bytes, within deadline: Duration,
        reply: @escaping ProcedureTable.Reply
    ) {
        Loop.spawn {
            do throws(RPCError) {
                reply(.success(try await self.call(server, procedure, payload, within: deadline)))
            } catch {
                reply(.failure(error))
            }
        }
    }
}

/// What an application gives its RPC transport.
@Loop public struct RPCContext {
    /// Where to listen and dial.
    public let network: any Network
    /// Measures every deadline.
    public let clock: any LoopClock
    /// Draws nonces and jitter.
    public let random: RandomSource
    /// The cluster's name; servers of different clusters refuse each other.
    public let cluster: String
    /// Shared by all servers of the cluster; it never travels.
    public let secret: Bytes
    /// This server: where it listens, and the instance it answers as.
    public let own: ServerInfo
    /// Who is there, and where.
    public let servers: ServerDirectory
    /// What this server answers.
    public let procedures: ProcedureTable

    /// Puts the parts together.
    public init(
        network: any Network, clock: any LoopClock, random: RandomSource, cluster: String, secret: Bytes,
        own: ServerInfo, servers: ServerDirectory, procedures: ProcedureTable
    ) {
        self.network = network
        self.clock = clock
        self.random = random
        self.cluster = cluster
        self.secret = secret
        self.own = own
        self.servers = servers
        self.procedures = procedures
    }
}
