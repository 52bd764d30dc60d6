// SPDX-License-Identifier: MIT
//
// PomeloRPC: authenticated TCP between the servers of a cluster.
// Reading order: RPCOptions, +File, Handshake, HandshakeStates, Noise, FrameCoder; TCPTransport, ConnectionTable, Peer,
// OutboundConnection, InboundConnection, LocalCalls; then PendingCall, AgeMeter, SilenceMeter, ChunkQueue.

/// Which connections between servers are sealed: nobody on the way can read, change, repeat or leave out anything.
public enum Seal: String, Sendable, CaseIterable {
    /// All of them.
    case always
    /// Those of which an end is not on the loopback interface. The others prove the secret to each other, and trust
    /// that the machine does not carry their bytes elsewhere.
    case offLoopback
}

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
    /// Which connections are sealed.
    public var seal = Seal.offLoopback
    /// A call that is older than this when it is read waits until its caller has confirmed that it is still awaited:
    /// this process, or the network, stood still meanwhile.
    public var confirmAfter: Duration = .milliseconds(250)
    /// Time from opening a connection until both sides have proved the secret.
    public var handshakeTimeout: Duration = .seconds(2)
    /// Connections that have not proved the secret yet; with a further one the oldest of them is closed.
    public var maxPendingHandshakes = 256
    /// Of these, connections from one address; with a further one the oldest from there is closed.
    public var maxPendingHandshakesPerAddress = 128
    /// A caller that has sent nothing for so long is gone without a word; its connection is closed.
    public var callerSilence: Duration = .seconds(30)
    /// The longest time that `stop` waits for what is in flight.
    public var drainAtMost: Duration = .seconds(10)

    /// The defaults.
    public init() {}
}
