// SPDX-License-Identifier: MIT
//
// PomeloConnectors: the client side of a frontend server.
// Reading order: HybridOptions, +File, HybridState, HybridConnector, ClientConnections, PendingConnections, TurnShares,
// HybridConnection, +Packages, +Backlog, +Sending, +Timer, RouteCodes, ConnectorStatistics.
public import PomeloJSON
import PomeloLoop

/// How the hybrid connector treats its clients; the defaults are safe on the open internet.
///
/// - Source: pomelo 2.2.7, lib/connectors/hybridconnector.js (`heartbeat`, `timeout`, `checkClient`,
///   `handshake`, `useDict`); the limits are ours, the original has none.
public struct HybridOptions: Sendable {
    /// How often clients say that they live; nil turns heartbeats off.
    ///
    /// Clients are told whole seconds, rounded up.
    public var heartbeat: Duration?
    /// How long a client may keep silent; nil means twice the heartbeat.
    public var timeout: Duration?
    /// Whether any package counts as a sign of life; pomelo counts heartbeats only.
    public var resetOnData = false
    /// How long a connection without heartbeats may be idle.
    ///
    /// A TCP client is closed when nothing was read or written for so long. A WebSocket client is asked with
    /// a ping after half of it, which every WebSocket client answers by itself, so only a dead one is closed.
    public var idleTimeout: Duration = .seconds(90)
    /// From accept to acknowledged handshake, the hook included.
    public var handshakeTimeout: Duration = .seconds(10)
    /// Connections without an acknowledged handshake, all together; beyond it the oldest of them is closed.
    ///
    /// Never more than half of what may be connected at all, so that who says nothing leaves room for who does.
    public var maxPending = 2048
    /// The same from one address, or one /64 network of IPv6; beyond it the oldest of that address is closed.
    ///
    /// Many clients may come from one address: through a proxy, or from one large network.
    public var maxPendingPerAddress = 512
    /// The longest package body and WebSocket message before the handshake is acknowledged, in bytes.
    public var maxBytesBeforeAck = 64 * 1024
    /// The longest package body and WebSocket message afterwards, in bytes.
    public var maxMessageBytes = 1024 * 1024
    /// What all clients together may have sent that is not decoded yet, in bytes; beyond it those that hold most are
    /// closed.
    ///
    /// Parts of packages and messages, and what waits for its client's next turn.
    public var maxHeldBytes = 64 * 1024 * 1024
    /// What may wait for a client to read, in bytes; a client that is slower is closed.
    ///
    /// One message longer than that is let through to a client that has read everything before it.
    public var maxOutboundBytes = 1024 * 1024
    /// Packages out of place (data before the acknowledgement, a second handshake) before the client is
    /// closed.
    public var maxIgnoredPackages = 16
    /// Turns route compression on: the handler routes of the cluster and the extra ones, pushes for instance.
    public var dictionary: (handlers: [String], extra: [String])?
    /// Says which clients are served, by the type and version they name; others are answered 501.
    public var checkClient: (@Loop @Sendable (_ type: String?, _ version: String?) -> Bool)?
    /// Has the last word on a handshake: gets the client's whole message and returns the `user` part of the
    /// answer.
    ///
    /// A throw is answered 500, and so is a hook that takes longer than `handshakeTimeout`.
    public var handshake: (@Loop @Sendable (JSON) async throws -> JSON?)?

    /// Everything at its default but the heartbeat; no dictionary.
    public init(heartbeat: Duration?) { self.heartbeat = heartbeat }

    /// What the handshake answer says; nil without heartbeats.
    var heartbeatSeconds: Int? {
        guard let heartbeat, heartbeat > .zero else { return nil }
        let (seconds, rest) = heartbeat.components
        return Int(seconds) + (rest > 0 ? 1 : 0)
    }

    /// The silence after which a client counts as dead; nil without heartbeats.
    var heartbeatTimeout: Duration? {
        heartbeatSeconds.map { timeout ?? .seconds(2 * $0) }
    }
}
