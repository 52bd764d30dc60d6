// SPDX-License-Identifier: MIT
public import Logging
public import PomeloBytes
public import PomeloCore
import PomeloLoop
public import PomeloTLS
import PomeloWire

/// Serves clients of a codec of one's own over TCP and WebSocket: the form on the wire is new, the sockets are ours.
///
/// It shares a port with others if it has a path that none of them has; what is no HTTP is a hybrid connector's then,
/// or that of the shortest path.
///
/// - Isolation: the loop; a connection costs three objects and a timer, and a task only while a codec waits.
public final class CodecConnector: PortConnector {
    /// What its clients may cost, and how they are spoken to.
    public struct Options: Sendable {
        /// How messages lie in a stream of TCP.
        public var framing = Framing.lines
        /// Whether a WebSocket message that is sent is text; either is taken.
        public var isText = true
        /// How the paths of its WebSockets begin; empty takes every path that is nobody else's.
        public var path = ""
        /// As with every connector; what `slowReaders` leaves out is counted in ``CodecConnector/clients``.
        public var limits = ClientLimits()
        /// What is shown to clients, where an entry of servers.json says `tls`.
        public var tls: TLSServerOptions?
        /// What waits for the codec; its own codec is not looked at, and its `maxOutboundBytes`, `slowReaders` and
        /// `rate` are those of the limits.
        public var custom = CustomOptions<Bytes>()
        /// What a client is told when the server ends the connection, also when that stops, as the codec's clients
        /// understand it.
        ///
        /// Nil, and what the framing cannot carry, tells nothing; over WebSocket, a close frame follows.
        public var farewell: (@Loop @Sendable (SessionEnd) -> Bytes?)?

        /// Everything at its default: lines, texts.
        public init() {}
    }

    /// As given at creation.
    public let options: Options

    /// Listens only once the application starts it, on the port of its type in servers.json.
    public nonisolated init(
        type: String, _ options: Options = Options(), decode: MessageCodec<Bytes>.Decode,
        encode: MessageCodec<Bytes>.Encode, logger: Logger = Logger(label: "pomelo.connector")
    ) {
        let logger = logger.lineSafe
        self.options = options
        super.init(type, options.limits, tls: options.tls, logger) { host, context in
            try options.check(type)
            var custom = options.custom
            custom.maxOutboundBytes = options.limits.maxOutboundBytes
            custom.slowReaders = options.limits.slowReaders
            custom.rate = options.limits.rate
            // The port counts connections.
            let unlimited = ConnectorContext(
                network: context.network, clock: context.clock, random: context.random, address: context.address)
            let clients = CustomClients<FramedSocket>(
                custom, decode, options.framing.checked(encode), host, unlimited, type, logger)
            return FramedProtocol(options, clients)
        }
    }

    /// What its clients have done since the start.
    @Loop public var clients: CustomStatistics {
        (service as? FramedProtocol)?.clients.statistics ?? CustomStatistics()
    }
}

/// Gives each connection of a port to a socket that cuts what it says into messages.
@Loop final class FramedProtocol: PortProtocol {
    let options: CodecConnector.Options
    let clients: CustomClients<FramedSocket>
    let limits: SharedLimits
    let servesBytes = true
    var path: String { options.path }

    init(_ options: CodecConnector.Options, _ clients: CustomClients<FramedSocket>) {
        self.options = options
        self.clients = clients
        // Messages wait where they are still whole, and not behind it as bytes.
        var limits = options.limits
        limits.slowReaders = .disconnect
        self.limits = SharedLimits(limits)
    }

    func serveBytes(of connection: StreamConnection) -> (any StreamUser)? { serve(connection) }

    func serveWebSocket(of connection: StreamConnection, _ request: UpgradeRequest) -> (any StreamUser)? {
        serve(connection)
    }

    private func serve(_ connection: StreamConnection) -> (any StreamUser)? {
        let socket = FramedSocket(options, connection)
        clients.accept(socket)
        return socket.delegate == nil ? nil : socket
    }

    /// What a codec still has for clients leaves, to a deadline; then each is told.
    func stop() async {
        let timer = clients.clock.schedule(after: Self.codecDeadline) { self.clients.cutOff() }
        await clients.stop()
        clients.clock.cancel(timer)
    }

    private static let codecDeadline = Duration.seconds(1)
}

extension CodecConnector.Options {
    fileprivate func check(_ type: String) throws(PomeloError) {
        if case .lengthPrefixed(let width) = framing, !(1...4).contains(width) {
            throw PomeloError(.configuration, "\(type): a length takes 1 to 4 bytes, not \(width)")
        }
        guard path.isEmpty || path.utf8.first == UInt8(ascii: "/") else {
            throw PomeloError(.configuration, "\(type): the path \"\(path)\" does not begin with a slash")
        }
    }
}

extension Framing {
    /// What cannot travel is an error of the codec, and nothing is sent.
    ///
    /// Over WebSocket too, for a push is encoded once.
    fileprivate func checked(_ encode: MessageCodec<Bytes>.Encode) -> MessageCodec<Bytes>.Encode {
        func check(_ buffer: Bytes?) throws -> Bytes? {
            if let buffer { try self.check(buffer) }
            return buffer
        }
        switch encode {
        case .immediate(let encode): return .immediate { try check(try encode($0)) }
        case .waiting(let encode): return .waiting { try check(try await encode($0)) }
        }
    }
}
