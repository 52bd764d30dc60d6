// SPDX-License-Identifier: MIT

/// Which datagram goes when more wait for the kernel than may.
public enum DatagramOverflow: String, Sendable, CaseIterable {
    /// The one that comes: what waits is sent in its order.
    case dropNewest
    /// Those that have waited longest: what is newest counts, as with positions.
    case dropOldest
}

/// How a datagram socket treats what comes and goes.
public struct DatagramOptions: Sendable {
    /// What a datagram that waits counts besides its bytes: empty ones need room too.
    package static let overhead = 64

    /// Longer datagrams are dropped when they arrive, in bytes; no datagram of UDP is longer than 65 507.
    public var maxBytes = 65_535
    /// What may wait for the kernel, in bytes; each datagram counts some for itself.
    public var maxQueuedBytes = 1024 * 1024
    /// What happens beyond.
    public var overflow = DatagramOverflow.dropNewest

    /// Everything at its default.
    public init() {}
}

/// What a datagram socket has lost, since it was bound.
public struct DatagramLosses: Sendable, Equatable {
    /// Arrived longer than they may be.
    public var truncated = 0
    /// Had no room while others waited for the kernel.
    public var overflowed = 0
    /// Refused by the system: too long for it, or there is no way to the address.
    public var unsendable = 0
    /// Times that the system reported an error instead of a datagram.
    public var receiveErrors = 0

    /// Nothing lost.
    public init() {}
}

/// Receives what happens on a datagram socket; calls come on the loop, outside any other call into the socket.
@Loop public protocol DatagramSocketDelegate: AnyObject {
    /// A whole datagram arrived; its bytes are valid during the call only.
    ///
    /// The address is what the datagram says, and anybody can say any.
    func datagramSocket(
        _ socket: any DatagramSocket, didReceive bytes: borrowing Span<UInt8>, from peer: SocketAddress)
    /// Nothing waits for the kernel any more.
    func datagramSocketDidDrain(_ socket: any DatagramSocket)
}

/// A socket of UDP, or one in memory: what is sent may be lost, come twice, or in another order.
///
/// - Guarantee: nothing that peers or the network do closes it.
@Loop public protocol DatagramSocket: AnyObject {
    /// Held strongly until the socket is closed; receiving begins when it is set.
    var delegate: (any DatagramSocketDelegate)? { get set }
    /// Where it is bound, with the port that was found free for port 0.
    var localAddress: SocketAddress { get }
    /// What waits for the kernel, in bytes.
    var queuedBytes: Int { get }
    /// What was lost here; what the network loses nobody knows.
    var losses: DatagramLosses { get }
    /// Sends one datagram to a numeric address; false when it was dropped at once, which is counted.
    @discardableResult
    func send(_ bytes: [UInt8], to peer: SocketAddress) -> Bool
    /// Closes at once, and frees the port; what waits is dropped.
    func close()
}
