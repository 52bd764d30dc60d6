// SPDX-License-Identifier: MIT

/// Why a connector closed a client by itself.
public enum ConnectionFault: String, Sendable, CaseIterable {
    /// An unknown package type, a package cut short, or a kick from the client.
    case badPackage
    /// A package, message or request head over its limit.
    case tooLarge
    /// A message cut short, or with an id over 2^31-1.
    case badMessage
    /// Against the WebSocket protocol.
    case badFrame
    /// Bytes, or a path, that nothing on the port speaks; a proxy's header of who is none that is trusted.
    case notSpoken
    /// On an encrypted port no handshake of TLS, a broken one, or records that are none.
    case brokenTLS
    /// A plain or broken HTTP request.
    case notAnUpgrade
    /// A handshake that was no JSON, or that the hook refused.
    case handshakeRefused
    /// A type or version of client that is not served.
    case clientRejected
    /// Too many packages out of place.
    case outOfPlace
    /// No acknowledged handshake in time.
    case handshakeTimeout
    /// No heartbeat in time.
    case heartbeatTimeout
    /// No traffic in time.
    case idleTimeout
    /// More bytes waiting than the client may leave unread.
    case slowConsumer
    /// Without a handshake while too many others came: it made room.
    case crowdedOut
    /// Holding the most while all clients together held more than they may.
    case heldTooMuch
    /// On a blacklist, or blocked by the hook.
    case blocked
    /// Saying more than it may in a time, after it was told so.
    case overRate
}

/// What a connector has seen since it started.
public struct ConnectorStatistics: Sendable, Equatable {
    /// Connections open now that speak TCP.
    public internal(set) var openTCP = 0
    /// Connections open now that speak WebSocket.
    public internal(set) var openWebSocket = 0
    /// Connections open now that bring HTTP requests: polling clients.
    public internal(set) var openHTTP = 0
    /// Clients now that send datagrams.
    public internal(set) var openUDP = 0
    /// Connections open now that have not shown what they speak.
    public internal(set) var undetected = 0
    /// Connections open now whose client is not known yet: its handshake is not acknowledged.
    public internal(set) var pending = 0
    /// Memory that what clients have sent takes before it is decoded, in bytes.
    public internal(set) var heldBytes = 0
    /// Times that no connection could be accepted, mostly for want of descriptors.
    public internal(set) var acceptErrors = 0
    /// Times that accepting was paused because as many were connected as may be.
    public internal(set) var acceptPauses = 0
    /// Connections accepted.
    public internal(set) var accepted = 0
    /// WebSockets that were refused to a web page, for its origin.
    public internal(set) var refusedOrigins = 0
    /// Requests of health checkers and the like that were answered.
    public internal(set) var plainAnswers = 0
    /// Times that the hook threw which says who is blocked; the client was served.
    public internal(set) var failedFilters = 0
    /// Connections the core did not want, for their number.
    public internal(set) var refused = 0
    /// Packages ignored because they were out of place.
    public internal(set) var ignoredPackages = 0
    /// Pushes left out for clients that read too slowly, as the policy says.
    public internal(set) var droppedPushes = 0
    /// Messages dropped: unknown route code, unreadable route, unknown kind, a compressed body that cannot be inflated,
    /// or is not to be.
    public internal(set) var droppedMessages = 0
    /// Messages that were deflated, or found to get no smaller, each once for all that it was sent to.
    public internal(set) var deflated = 0
    /// Messages of clients, or their bodies, that were inflated.
    public internal(set) var inflated = 0
    /// Messages whose signature was missing or wrong; they count among those dropped.
    public internal(set) var badSignatures = 0
    /// Messages that were too many in their time: requests that were answered so, and notifies that were dropped.
    public internal(set) var overRate = 0
    /// Messages dropped because they are none of their schema.
    public internal(set) var undecodableMessages = 0
    /// Answers and pushes that went out empty because what was to be sent is no message of their schema; a push counts
    /// once for each kind of connection and version of the schemas.
    public internal(set) var unencodableMessages = 0
    /// Connections closed by the connector, by reason.
    public internal(set) var faults: [ConnectionFault: Int] = [:]

    /// Nothing seen.
    public init() {}

    /// Connections open now.
    public var open: Int { openTCP + openWebSocket + openHTTP + openUDP + undetected }
    /// Clients closed because they did not read.
    public var slowConsumers: Int { faults[.slowConsumer] ?? 0 }
}
