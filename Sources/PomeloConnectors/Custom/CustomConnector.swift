// SPDX-License-Identifier: MIT
//
// A connector of your own: any way to carry whole messages.
// Reading order: CustomConnector, MessageCodec, CustomOptions, +File, ConnectorAdapter, CustomClients, CustomClient,
// +Sending, PushEncoding, CustomStatistics; then a codec of your own on our sockets: CodecConnector, Framing,
// FramedSocket.
public import PomeloBytes
public import PomeloCore
public import PomeloLoop

/// Listens in a way of its own, and shows each client as a socket; an application has it through ``ConnectorAdapter``.
///
/// It carries messages and nothing else: sessions, limits, statistics, the order of waiting codecs are the adapter's.
///
/// - Source: pomelo's "custom connector": `start`, `stop`, the event `connection`, `encode`, `decode`.
@Loop public protocol CustomConnector: AnyObject {
    /// One client's connection.
    associatedtype Socket: CustomSocket

    /// Where clients reach it, once started; nil, the default, for what has no host and port.
    var localAddress: SocketAddress? { get }
    /// Its own encoding and decoding, below the options'; neither by default.
    var codec: MessageCodec<Socket.Buffer> { get }
    /// Begins to listen and returns when clients can connect; calls `connection` once for each of them, from then on.
    ///
    /// A connector that was stopped may be started again.
    ///
    /// - Throws: whatever says why it cannot; the start of the application fails with it.
    func start(_ context: ConnectorContext, _ connection: @escaping @Loop (Socket) -> Void) async throws
    /// Stops listening; every socket has been told to disconnect, and unless `force` their last bytes may leave first.
    func stop(force: Bool) async
    /// Shows no new client until `resumeAccepting`; without an effect by default: then those too many are refused.
    func pauseAccepting()
    /// Shows new clients again.
    func resumeAccepting()
}

extension CustomConnector {
    /// Nil: it has no host and port.
    public var localAddress: SocketAddress? { nil }
    /// Neither encoding nor decoding.
    public var codec: MessageCodec<Socket.Buffer> { MessageCodec() }
    /// Does nothing.
    public func pauseAccepting() {}
    /// Does nothing.
    public func resumeAccepting() {}
}

/// One client's connection, whatever carries it.
///
/// - Guarantee: what is sent arrives in call order, each buffer whole, or the connection ends.
/// - Source: pomelo's "custom connector": `send`, `sendBatch`, `disconnect`; the event `closing`.
@Loop public protocol CustomSocket: AnyObject {
    /// One whole message as it travels: bytes, a text, an object.
    associatedtype Buffer: Sendable

    /// Who is told what happens; setting it begins to read, and it is nil again when the connection has ended.
    var delegate: (any CustomSocketDelegate<Buffer>)? { get set }
    /// Where the client connects from.
    var remoteAddress: SocketAddress { get }
    /// Bytes that wait for the client to read; the adapter holds them to their bound.
    var queuedBytes: Int { get }
    /// Whether the client has hung up already; false, the default, where nobody can tell.
    var hasHungUp: Bool { get }

    /// Sends one message.
    func send(_ buffer: Buffer)
    /// Sends several at once, in this order; one after the other by default.
    func sendBatch(_ buffers: [Buffer])
    /// Offers what is queued to the client before the end of the turn, to see whether it reads; nothing by default.
    func flushEarly()
    /// Called before this side disconnects, also after an `error`, so that the client can be told why.
    ///
    /// Does nothing by default.
    func willClose(_ reason: SessionEnd)
    /// Ends the connection after what was sent; a second call does nothing.
    func disconnect()
    /// Tells no more messages, as far as it can; what comes all the same waits in the adapter, to its bound.
    ///
    /// Does nothing by default.
    func pauseReading()
    /// Tells messages again.
    func resumeReading()

    /// How much memory a buffer takes, roughly, in bytes.
    static func size(of buffer: Buffer) -> Int
}

extension CustomSocket {
    /// False: nobody can tell.
    public var hasHungUp: Bool { false }
    /// Sends one after the other.
    public func sendBatch(_ buffers: [Buffer]) { for buffer in buffers { send(buffer) } }
    /// Does nothing.
    public func flushEarly() {}
    /// Tells nobody.
    public func willClose(_ reason: SessionEnd) {}
    /// Does nothing.
    public func pauseReading() {}
    /// Does nothing.
    public func resumeReading() {}
}

extension CustomSocket where Buffer == Bytes {
    /// Its length.
    public static func size(of buffer: Bytes) -> Int { buffer.count }
}

extension CustomSocket where Buffer == String {
    /// Its length in UTF-8.
    public static func size(of buffer: String) -> Int { buffer.utf8.count }
}

extension CustomSocket where Buffer == DecodedMessage {
    /// The length of its parts.
    public static func size(of buffer: DecodedMessage) -> Int { buffer.route.utf8.count + buffer.body.count }
}

/// Is told what happens on a socket.
///
/// - Guarantee: the first `disconnect` or `error` ends the connection; whatever is told afterwards is ignored.
@Loop public protocol CustomSocketDelegate<Buffer>: AnyObject {
    /// One whole message as it travels.
    associatedtype Buffer: Sendable

    /// Exactly one whole message has come: neither half of one nor two.
    func message(_ buffer: Buffer)
    /// The client is gone, or this side has disconnected.
    func disconnect(_ reason: String)
    /// The connection is of no more use.
    func error(_ error: any Error)
    /// Nothing is queued any more; a socket that never says so serves a client that reads slowly only when something
    /// more is sent to it.
    func drained()
}
