// SPDX-License-Identifier: MIT
public import PomeloLoop

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
    /// What listens.
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
