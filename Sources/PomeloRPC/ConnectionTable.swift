// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// What a transport has done since its start.
public struct RPCCounters: Sendable, Equatable {
    /// Calls written to a connection.
    public var sent = 0
    /// Calls begun for other servers.
    public var served = 0
    /// Calls of other servers that were given up before they were begun.
    public var late = 0
    /// Calls of this process that failed because a bound was reached.
    public var overloaded = 0
    /// Connections to this server that did not prove who they are.
    public var refused = 0
    /// Connections closed because the peer broke the protocol.
    public var violations = 0
    /// Times a server was found not to answer.
    public var suspicions = 0

    /// All zero.
    public init() {}
}

/// What the parts of one transport share.
@Loop final class ConnectionTable {
    /// The time given to the last bytes of a connection that closes in order.
    static let closeTimeout: Duration = .seconds(1)
    /// Lines about servers that stop answering, or answer again, in each window: on a machine that is overloaded
    /// everybody doubts everybody, and lines make it worse.

    let context: RPCContext
    let options: RPCOptions
    let logger: Logger
    var counters = RPCCounters()
    /// Set once nothing may be begun any more.
    var isStopped = false
    /// Connections of this side as caller, by age; until their stream has ended.
    var outbound: [Int: OutboundConnection] = [:]
    /// Connections of this side as callee, by age; until their stream has ended.
    var inbound: [Int: InboundConnection] = [:]
    /// The connection by which a server is called now.
    var connection: @Loop (ServerID) -> OutboundConnection? = { _ in nil }
    /// Called after a call has ended, while someone waits for all to end.
    var whenSettled: (@Loop () -> Void)?
    private var serial = 0
    /// Anyone can knock.
    private let refusals: LimitedLog
    /// On a machine that is short of time every server may doubt every other.
    let unreachable: LimitedLog
    let silent: LimitedLog
    let answering: LimitedLog

    init(_ context: RPCContext, _ options: RPCOptions, _ logger: Logger) {
        self.context = context
        self.options = options
        self.logger = logger
        refusals = LimitedLog(logger, context.clock, "a connection was refused", lines: 1)
        func doubts(_ text: String, _ level: Logger.Level) -> LimitedLog {
            LimitedLog(logger, context.clock, text, level: level, lines: 20, per: .seconds(10))
        }
        unreachable = doubts("a server cannot be reached", .notice)
        silent = doubts("a server does not answer", .warning)
        answering = doubts("a server answers again", .notice)
    }

    var clock: any LoopClock { context.clock }

    func nextSerial() -> Int {
        serial += 1
        return serial
    }

    /// 128 random bits as text.
    func nonce() -> String { context.random.instanceID() + context.random.instanceID() }

    func settled() { whenSettled?() }

    /// A server lives that is called by another connection than it calls by.
    func pinged(by peer: Hello, _ token: PingToken) {
        guard let own = connection(peer.server), own.instance == peer.instance else { return }
        own.peerPinged(token)
    }

    /// Connects and shakes hands; the result is open, and belongs to the caller of this function.
    func open(
        _ server: ServerInfo, expecting instance: InstanceID?, until limit: UInt64
    ) async -> Result<OutboundConnection, HandshakeFailure> {
        let address = SocketAddress(host: server.record.host, port: server.record.port)
        let stream: any ByteStream
        do throws(NetworkError) {
            stream = try await context.network.connect(to: address, within: clock.left(until: limit))
        } catch {
            return .failure(
                error.code == "ECONNREFUSED" ? .absent(error.description) : .unreachable(error.description))
        }
        // REENTRANCY: the transport may have been stopped while the connection was made.
        guard !isStopped else {
            stream.close()
            return .failure(.unreachable("this server is stopping"))
        }
        if lacksSecret(for: stream) {
            stream.close()
            return .failure(.refused(.secret, Self.secretIsNeeded))
        }
        let hello = Hello(
            cluster: context.cluster, server: context.own.id, instance: context.own.instance,
            callee: server.id, expected: instance, nonce: nonce(), sent: clock.now)
        let connection = OutboundConnection(self, stream, hello)
        do throws(HandshakeFailure) {
            try await connection.shakeHands(until: limit)
            return .success(connection)
        } catch {
            return .failure(error)
        }
    }

    // MARK: sealing

    static let secretIsNeeded = "a cluster secret is needed where an address is not of the loopback interface"

    /// Whether nothing protects a connection that leaves the machine.
    func lacksSecret(for stream: any ByteStream) -> Bool { context.secret.isEmpty && !stream.isOnLoopback }

    func mustSeal(_ stream: any ByteStream) -> Bool { options.seal == .always || !stream.isOnLoopback }

    var sealedStart: SealedStart { SealedStart(secret: context.secret, cluster: context.cluster) }

    /// Counts a caller that was turned away.
    func noteRefusal(of address: SocketAddress, _ reason: String) {
        counters.refused += 1
        refusals.write(["peer": "\(address)", "reason": "\(reason)", "total": "\(counters.refused)"])
    }
}

extension ConnectionTable {
    /// Writes one frame; returns its size, or nil when it cannot be put into bytes.
    @discardableResult
    func write(_ frame: RPCFrame, to stream: any ByteStream, _ writer: inout FrameWriter) -> Int? {
        do throws(WireError) {
            let bytes = try writer.encode(frame)
            stream.write(bytes)
            return bytes.count
        } catch {
            logger.error("a frame could not be written", metadata: ["reason": "\(error)"])
            return nil
        }
    }

    func noteViolation(by peer: String, _ reason: String) {
        counters.violations += 1
        logger.warning(
            "a server broke the protocol", metadata: ["pomelo.server": "\(peer)", "reason": "\(reason)"])
    }
}

extension ByteStream {
    var isOnLoopback: Bool { localAddress.isLoopback && remoteAddress.isLoopback }
}

extension Result where Success == Bytes, Failure == RPCError {
    /// Whether the procedure was not begun, because nobody waited any more.
    var isLate: Bool { self == .failure(.late) }

    /// The outcome as the other side sees it: what became of a further call is not what became of this one.
    func crossing(limit: Int) -> Self {
        switch self {
        case .success(let reply) where reply.count > limit:
            .failure(.failed(code: 500, message: "the reply has more than \(limit) bytes"))
        case .success, .failure: self
        }
    }
}
