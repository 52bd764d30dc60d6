// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop

/// What clients may cost, with every connector; the defaults are safe on the open internet.
///
/// - Source: ours; the originals have none.
public struct ClientLimits: Sendable {
    /// From accept to a client that is known: pomelo's acknowledged handshake, the hook included.
    public var handshakeTimeout: Duration = .seconds(10)
    /// Connections whose client is not known yet, all together; beyond it the oldest of them is closed.
    ///
    /// Never more than half of what may be connected at all, so that who says nothing leaves room for who does.
    public var maxPending = 2048
    /// The same from one address, or one /64 network of IPv6; beyond it the oldest of that address is closed.
    ///
    /// Many clients may come from one address: through a proxy, or from one large network.
    public var maxPendingPerAddress = 512
    /// The longest package body and WebSocket message before a client is known, in bytes.
    public var maxBytesBeforeAck = 64 * 1024
    /// The longest package body and WebSocket message afterwards, in bytes.
    public var maxMessageBytes = 1024 * 1024
    /// What all clients of a port together may have sent that is not decoded yet, in bytes; beyond it those that hold
    /// most are closed.
    ///
    /// Parts of packages and messages, and what waits for its client's next turn.
    public var maxHeldBytes = 64 * 1024 * 1024
    /// What may wait for a client to read, in bytes; what happens to one that is slower is `slowReaders`.
    ///
    /// One message longer than that is let through to a client that has read everything before it.
    public var maxOutboundBytes = 1024 * 1024
    /// What happens to a client that reads slower than it is sent to.
    public var slowReaders = SlowReaderPolicy.disconnect
    /// How long a connection without heartbeats may be idle.
    ///
    /// A TCP client is closed when nothing was read or written for so long. A WebSocket client is asked with
    /// a ping after half of it, which every WebSocket client answers by itself, so only a dead one is closed.
    public var idleTimeout: Duration = .seconds(90)
    /// Whether messages over WebSocket are compressed; off.
    public var compression = CompressionOptions()
    /// Whether what is written to a client leaves at once (`TCP_NODELAY`), as pomelo has it with `setNoDelay`.
    ///
    /// Off, what is shorter than a packet waits until the client has acknowledged what was sent before: a push behind
    /// another comes up to 40 ms later, and fewer packets are sent. What is written in one turn leaves together in any
    /// case. On a port that connectors share, the first's counts.
    public var noDelay = true
    /// How much one client may say in a time; nothing is limited by default.
    public var rate = RateLimits()
    /// Who may connect, and which proxies are believed.
    public var access = AccessRules()

    /// Everything at its default.
    public init() {}

    /// Reads the keys, all of them optional; durations have `Seconds` behind their name.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file and the key.
    mutating func read(_ reader: inout OptionReader) throws {
        let bytes = 64...1 << 30
        handshakeTimeout = try reader.seconds("handshakeTimeoutSeconds") ?? handshakeTimeout
        maxPending = try reader.int("maxPending", in: 1...1 << 20) ?? maxPending
        maxPendingPerAddress = try reader.int("maxPendingPerAddress", in: 1...1 << 20) ?? maxPendingPerAddress
        maxBytesBeforeAck = try reader.int("maxBytesBeforeAck", in: bytes) ?? maxBytesBeforeAck
        maxMessageBytes = try reader.int("maxMessageBytes", in: bytes) ?? maxMessageBytes
        maxHeldBytes = try reader.int("maxHeldBytes", in: bytes) ?? maxHeldBytes
        maxOutboundBytes = try reader.int("maxOutboundBytes", in: bytes) ?? maxOutboundBytes
        slowReaders = try reader.choice("slowReaders") ?? slowReaders
        idleTimeout = try reader.seconds("idleTimeoutSeconds") ?? idleTimeout
        noDelay = try reader.bool("setNoDelay") ?? noDelay
        try compression.read(&reader)
        try rate.read(&reader)
        try access.read(&reader)
    }
}

/// What happens to a client that reads slower than it is sent to.
///
/// Answers and kicks are never left out: a client that does not even read those is closed.
public enum SlowReaderPolicy: String, Sendable, CaseIterable {
    /// It is closed, for it would miss something.
    case disconnect
    /// The oldest pushes that wait for it are left out.
    case dropOldest
    /// Of the pushes that wait for it the newest of each route stays, as positions and scores want it.
    case latestOnly
}

/// The limits of one connector, as each of its connections refers to them.
final class SharedLimits: Sendable {
    let maxBytesBeforeAck: Int
    let maxMessageBytes: Int
    let maxOutboundBytes: Int
    let slowReaders: SlowReaderPolicy
    /// In nanoseconds.
    let idleTimeout: UInt64
    let compression: CompressionOptions
    /// Nil where nothing is limited.
    let rates: SharedRates?

    init(_ limits: ClientLimits) {
        maxBytesBeforeAck = limits.maxBytesBeforeAck
        maxMessageBytes = limits.maxMessageBytes
        maxOutboundBytes = limits.maxOutboundBytes
        slowReaders = limits.slowReaders
        idleTimeout = limits.idleTimeout.clampedNanoseconds
        compression = limits.compression
        rates = SharedRates(limits.rate)
    }
}
