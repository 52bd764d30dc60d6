// SPDX-License-Identifier: MIT
public import PomeloLoop
public import PomeloWire

/// One message from a client, after the connector's decoding.
public struct ClientMessage: Sendable {
    /// Chosen by the client, unique within its session; 0 for a notify.
    public let id: UInt32
    /// What the client asks for.
    public let route: Route
    /// As it came; decoded only where it is handled.
    public let body: Bytes
    /// When its bytes were read, in monotonic nanoseconds of the application's clock; nil means now.
    ///
    /// The time in which it must be answered counts from then, also while the connector held it back.
    public let arrival: UInt64?

    /// A message as the connector decoded it.
    public init(id: UInt32, route: Route, body: Bytes, arrival: UInt64? = nil) {
        self.id = id
        self.route = route
        self.body = body
        self.arrival = arrival
    }
}

/// A client connection, as the core sees it; the connector implements it.
///
/// - Guarantee: what is sent arrives in call order or the connection ends.
@Loop public protocol ClientSocket: AnyObject {
    /// Where the client connects from.
    var remoteAddress: SocketAddress { get }
    /// Bytes that wait for the client to read.
    var queuedBytes: Int { get }
    /// Whether the client has hung up already, also when that is still to be read.
    var hasHungUp: Bool { get }
    /// Answers a request; a closed socket ignores it.
    func respond(id: UInt32, body: Bytes)
    /// Sends a push; returns false when the socket cannot take it (closed, not yet open, too slow).
    @discardableResult
    func push(_ message: PushMessage) -> Bool
    /// Ends the connection after telling the client why, when there is a reason to tell.
    func close(kick reason: String?)
    /// Stops reading, when the session has too many requests in flight.
    func pauseReading()
    /// Reads on after `pauseReading`.
    func resumeReading()
}

extension ClientSocket {
    /// False: nobody can tell.
    public var hasHungUp: Bool { false }
}

/// Why a session ended.
public enum SessionEnd: Sendable, Equatable, CustomStringConvertible {
    /// The client left, or its connection broke.
    case disconnected(String)
    /// The server closed it for a reason told to the client.
    case kicked(String)
    /// The server stops.
    case stopped

    /// The reason in words, for logs.
    public var description: String {
        switch self {
        case .disconnected(let reason): reason
        case .kicked(let reason): "kicked: \(reason)"
        case .stopped: "server stopped"
        }
    }
}

/// What a connector reports to; implemented by the core.
@Loop public protocol ConnectorHost: AnyObject {
    /// A connection stands; nil refuses it (too many connections), and the connector closes it.
    func opened(_ socket: any ClientSocket) -> ClientSession?
    /// A whole message arrived, in order.
    func received(_ message: ClientMessage, from session: ClientSession)
    /// The route bytes of a client, as a route; known ones cost no allocation.
    func route(utf8 bytes: borrowing Span<UInt8>) -> Route?
    /// The last call for a session, once.
    func closed(_ session: ClientSession, _ reason: SessionEnd)
}

/// The client side of a frontend: listens, speaks a wire protocol, reports sockets and messages.
@Loop public protocol Connector: AnyObject {
    /// The address clients reach, once started.
    var localAddress: SocketAddress? { get }
    /// Begins to listen; returns when the port is bound.
    ///
    /// - Throws: `PomeloError` `.network` naming the port.
    func start(_ host: any ConnectorHost, _ context: ConnectorContext) async throws
    /// Stops listening, then closes every client.
    func stop() async
}

/// What an application gives its connector.
@Loop public struct ConnectorContext {
    /// Where to listen.
    public let network: any Network
    /// Measures heartbeats and deadlines.
    public let clock: any LoopClock
    /// Draws jitter.
    public let random: RandomSource
    /// Where to listen.
    public let address: SocketAddress
    /// How many connections there may be at once, counted from accept; nil without a limit.
    public let maxConnections: Int?

    /// Puts the parts together.
    public init(
        network: any Network, clock: any LoopClock, random: RandomSource, address: SocketAddress,
        maxConnections: Int? = nil
    ) {
        self.network = network
        self.clock = clock
        self.random = random
        self.address = address
        self.maxConnections = maxConnections
    }
}
