// SPDX-License-Identifier: MIT
//
// PomeloRPC: authenticated TCP between the servers of a cluster.
// Reading order: RPCOptions, Handshake, HandshakeStates; TCPTransport, TransportCore, Peer, CallerConnection,
// CalleeConnection, LocalCalls; then PendingCall, DeadlineSweep, SilenceMeter, ChunkQueue, Backoff.

/// The bounds and delays of the transport between servers; the defaults suit one data centre.
public struct RPCOptions: Sendable, Equatable {
    /// Calls to one server that wait or are under way; a further one fails at once.
    ///
    /// Also the number of calls of one connection that are run here at the same time.
    public var maxInFlightPerPeer = 4096
    /// Bytes waiting to be sent to one server; a call beyond fails at once, a reply beyond becomes an error.
    public var maxQueuedBytesPerPeer = 16 << 20
    /// The longest call, and the longest reply, in bytes.
    public var maxFrameBytes = 16 << 20
    /// Longer replies travel in pieces of this size, so that short ones pass between.
    public var chunkBytes = 65_536
    /// Silence after which a connected server is pinged.
    public var pingInterval: Duration = .seconds(1)
    /// Time a server has to answer a ping.
    public var pingTimeout: Duration = .milliseconds(500)
    /// Pings in a row, or connection attempts in a row, without success that make a server suspect.
    public var suspectAfterMisses = 2
    /// The pause after the first failed connection; it doubles with each further one.
    public var reconnectAfter: Duration = .milliseconds(50)
    /// The longest pause between connection attempts.
    public var reconnectAtMost: Duration = .seconds(2)
    /// Time from opening a connection until both sides have proved the secret.
    public var handshakeTimeout: Duration = .seconds(2)
    /// Connections that have not proved the secret yet; further ones are closed.
    public var maxPendingHandshakes = 256
    /// A caller that has sent nothing for so long is gone without a word; its connection is closed.
    public var callerSilence: Duration = .seconds(30)
    /// The longest time that `stop` waits for what is in flight.
    public var drainAtMost: Duration = .seconds(10)

    /// The defaults.
    public init() {}
}
