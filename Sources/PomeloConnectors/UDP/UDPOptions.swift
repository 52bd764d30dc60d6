// SPDX-License-Identifier: MIT
public import PomeloCore
public import PomeloJSON
public import PomeloLoop

/// How the connector of datagrams treats its clients.
///
/// - Source: pomelo 2.2.7, lib/connectors/udpconnector.js (`heartbeat`, `timeout`, `checkClient`, `handshake`), whose
///   defaults are these numbers, but of milliseconds that it takes for seconds; the limits are ours.
public struct UDPOptions: Sendable {
    /// The longest body that a package of one datagram can have, in bytes.
    public static let longestMessage = 65_503

    /// How often clients say that they live; nil turns heartbeats off.
    ///
    /// Clients are told whole seconds, rounded up.
    public var heartbeat: Duration? = .seconds(20)
    /// How long a client may keep silent; the only way in which the end of one shows that says nothing.
    public var timeout: Duration = .seconds(100)
    /// Whether any package counts as a sign of life; pomelo counts heartbeats only.
    public var resetOnData = false
    /// From a peer's first handshake to its acknowledgement, the hook included.
    public var handshakeTimeout: Duration = .seconds(10)
    /// Peers that have not acknowledged, all together; beyond it the oldest of them is forgotten.
    public var maxPending = 16_384
    /// The same from one address, or one /64 network of IPv6.
    public var maxPendingPerAddress = 512
    /// Clients at once; who comes when there are as many is not answered.
    public var maxClients = 16_384
    /// The longest package body from a peer that has not acknowledged, in bytes.
    public var maxBytesBeforeAck = 8 * 1024
    /// The longest package body afterwards, in bytes; no more than `longestMessage` has room in a datagram.
    public var maxMessageBytes = UDPOptions.longestMessage
    /// The longest datagram that is sent, in bytes; a package that is longer is not sent.
    ///
    /// A datagram that is longer than what the network carries in one piece is lost when one of its pieces is, and some
    /// networks carry no pieces at all. 1400 bytes fit 1500 less the heads of IPv6 and UDP, and of a tunnel.
    public var maxDatagramBytes = 1400
    /// What one client may have sent that waits for its turn, in bytes; datagrams beyond it are dropped.
    public var maxBacklogBytes = 64 * 1024
    /// The same of all clients together.
    public var maxHeldBytes = 64 * 1024 * 1024
    /// What may wait for the kernel to send it, to all clients together, in bytes.
    public var maxOutboundBytes = 4 * 1024 * 1024
    /// Which datagram goes beyond `maxOutboundBytes`.
    public var overflow = DatagramOverflow.dropNewest
    /// Whether what a client is sent in one turn shares datagrams, as with pomelo's buffered scheduler.
    ///
    /// Off, each package has its own: some clients read only the first of a datagram.
    public var joinsPackages = false
    /// Whether only clients are served that repeat, as the body of their acknowledgement, the text `sys.proof` of the
    /// answer to their handshake.
    ///
    /// Pomelo's own acknowledgement is empty, so somebody who never saw the answer can send one in another's name: who
    /// is then served is somebody who asked for nothing. No pomelo client does that by itself.
    public var requiresProof = false
    /// Whether bodies that clients have compressed are inflated, to `maxMessageBytes`; see
    /// `HybridOptions.inflatesBodies`.
    public var inflatesBodies = true
    /// Turns route compression on: the handler routes of the cluster and the extra ones, pushes for instance.
    ///
    /// The answer to a handshake has it in one datagram: it must fit `maxDatagramBytes`.
    public var dictionary: (handlers: [String], extra: [String])?
    /// How much one client may say in a time; nothing is limited by default.
    ///
    /// Beyond `maxRefusals` it is not ended, for anybody may have sent what bears its address: nothing of it is
    /// answered until it has been quiet.
    public var rate = RateLimits()
    /// Says which clients are served, by the type and version they name; others are answered 501.
    public var checkClient: (@Loop @Sendable (_ type: String?, _ version: String?) -> Bool)?
    /// Has the last word on a handshake: gets the client's whole message and returns the `user` part of the answer.
    ///
    /// It is called for peers that may not be who they say, as often as they like: it should cost little. A throw is
    /// answered 500. No more than `maxPending` run at once.
    public var handshake: (@Loop @Sendable (JSON) async throws -> JSON?)?

    /// Everything at its default.
    public init() {}

    /// The same for what speaks packages over any connection.
    var hybrid: HybridOptions {
        var hybrid = HybridOptions(heartbeat: heartbeat)
        hybrid.timeout = timeout
        hybrid.resetOnData = resetOnData
        hybrid.limits.idleTimeout = timeout
        hybrid.limits.maxBytesBeforeAck = maxBytesBeforeAck
        hybrid.limits.rate = rate
        hybrid.limits.maxMessageBytes = min(maxMessageBytes, Self.longestMessage)
        // A datagram may come twice: what is out of place says nothing about who sent it.
        hybrid.maxIgnoredPackages = .max
        hybrid.inflatesBodies = inflatesBodies
        hybrid.dictionary = dictionary
        hybrid.checkClient = checkClient
        hybrid.handshake = handshake
        return hybrid
    }
}

extension UDPOptions: FileOptions {
    /// `udp.json`.
    public static var fileName: String { "udp" }

    /// Reads the keys, all of them optional; durations have `Seconds` behind their name, 0 turns heartbeats off.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file and the key.
    public mutating func read(_ reader: inout OptionReader) throws {
        if let given = try reader.seconds("heartbeatSeconds", orZero: true) { heartbeat = given > .zero ? given : nil }
        timeout = try reader.seconds("timeoutSeconds") ?? timeout
        resetOnData = try reader.bool("resetOnData") ?? resetOnData
        handshakeTimeout = try reader.seconds("handshakeTimeoutSeconds") ?? handshakeTimeout
        let (count, bytes, body) = (1...1 << 20, 64...1 << 30, 64...Self.longestMessage)
        maxPending = try reader.int("maxPending", in: count) ?? maxPending
        maxPendingPerAddress = try reader.int("maxPendingPerAddress", in: count) ?? maxPendingPerAddress
        maxClients = try reader.int("maxClients", in: count) ?? maxClients
        maxBytesBeforeAck = try reader.int("maxBytesBeforeAck", in: body) ?? maxBytesBeforeAck
        maxMessageBytes = try reader.int("maxMessageBytes", in: body) ?? maxMessageBytes
        maxDatagramBytes = try reader.int("maxDatagramBytes", in: 64...Self.longestMessage + 4) ?? maxDatagramBytes
        maxBacklogBytes = try reader.int("maxBacklogBytes", in: bytes) ?? maxBacklogBytes
        maxHeldBytes = try reader.int("maxHeldBytes", in: bytes) ?? maxHeldBytes
        maxOutboundBytes = try reader.int("maxOutboundBytes", in: bytes) ?? maxOutboundBytes
        overflow = try reader.choice("overflow") ?? overflow
        joinsPackages = try reader.bool("joinsPackages") ?? joinsPackages
        requiresProof = try reader.bool("requiresProof") ?? requiresProof
        inflatesBodies = try reader.bool("inflatesBodies") ?? inflatesBodies
        let routes = try reader.strings("dictionary")
        // As in connector.json: the place is the code.
        if !routes.isEmpty { dictionary = (handlers: [], extra: routes) }
        try rate.read(&reader)
    }
}
