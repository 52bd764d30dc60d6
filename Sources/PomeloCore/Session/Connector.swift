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
    /// What `clients` of servers.json and a gate call connectors of its kind, `hybrid` for instance.
    ///
    /// `*` stands for all types, as a stand-in for tests does.
    var type: String { get }
    /// Whether it listens on a port of servers.json; one of pipes or memory does not.
    var takesPort: Bool { get }
    /// Whether it can encrypt: an entry of `clients` that says `tls` is refused otherwise.
    var speaksTLS: Bool { get }
    /// Whether its port is one of UDP, which may have the number of one of TCP.
    var takesDatagrams: Bool { get }
    /// The address clients reach, once started.
    var localAddress: SocketAddress? { get }
    /// Begins to listen; returns when the port is bound.
    ///
    /// - Throws: `PomeloError` `.network` naming the port.
    func start(_ host: any ConnectorHost, _ context: ConnectorContext) async throws
    /// Begins to listen for itself and others on one port, and tells them apart by what clients say.
    ///
    /// - Throws: as `start`; `PomeloError` `.configuration` when that cannot be.
    func start(_ host: any ConnectorHost, _ context: ConnectorContext, with others: [any Connector]) async throws
    /// Stops listening, then closes every client; called also when another listens for it.
    func stop() async
}

extension Connector {
    /// The name of the Swift type.
    public var type: String { String(describing: Self.self) }
    /// True.
    public var takesPort: Bool { true }
    /// False.
    public var speaksTLS: Bool { false }
    /// False: streams.
    public var takesDatagrams: Bool { false }

    /// Throws: it cannot share a port.
    public func start(_ host: any ConnectorHost, _ context: ConnectorContext, with others: [any Connector]) async throws
    {
        let names = ([self] + others).map(\.type).joined(separator: ", ")
        throw PomeloError(.configuration, "\(names) cannot share the port \(context.address.port)")
    }
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
    /// How many connections there may be at once, over all connectors of the server.
    public let room: ConnectionRoom
    /// What the entry of servers.json says of TLS; nil where it says nothing.
    public let tls: Bool?
    /// Whom no connector of the server serves.
    public let blacklist: Blacklist

    /// Puts the parts together; without a limit of connections there is none.
    public init(
        network: any Network, clock: any LoopClock, random: RandomSource, address: SocketAddress,
        maxConnections: Int? = nil, tls: Bool? = nil, blacklist: Blacklist = Blacklist()
    ) {
        self.init(
            network: network, clock: clock, random: random, address: address, room: ConnectionRoom(maxConnections),
            tls: tls, blacklist: blacklist)
    }

    init(
        network: any Network, clock: any LoopClock, random: RandomSource, address: SocketAddress, room: ConnectionRoom,
        tls: Bool?, blacklist: Blacklist
    ) {
        self.network = network
        self.clock = clock
        self.random = random
        self.address = address
        self.room = room
        self.tls = tls
        self.blacklist = blacklist
    }
}

/// How many connections a server may have at once, counted from accept over all its connectors.
@Loop public final class ConnectionRoom {
    /// `Int.max` without a limit.
    public let limit: Int
    /// Connections open now, those that are closing included.
    public private(set) var count = 0
    private var watchers: [@Loop () -> Void] = []

    /// Room for as many, or for any number.
    public nonisolated init(_ limit: Int?) { self.limit = max(1, limit ?? .max) }

    /// Whether who comes now must wait.
    public var isFull: Bool { count >= limit }

    /// Calls back when the room has become full, or has room again.
    public func onChange(_ watcher: @escaping @Loop () -> Void) { watchers.append(watcher) }

    /// Counts a connection; one that could not wait is counted also beyond the limit.
    public func enter() { change(by: 1) }

    /// A connection is gone.
    public func leave() { change(by: -1) }

    private func change(by number: Int) {
        let wasFull = isFull
        count += number
        if isFull != wasFull { for watcher in watchers { watcher() } }
    }
}
