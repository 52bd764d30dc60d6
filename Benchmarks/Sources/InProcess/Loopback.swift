// SPDX-License-Identifier: MIT
import Pomelo

/// A network whose clients are in this process.
@Loop final class LoopbackNetwork: Network {
    private final class Listener: StreamListener {
        let localAddress: SocketAddress
        let acceptErrors = 0
        var onAcceptError: (@Loop (NetworkError) -> Void)?
        init(_ address: SocketAddress) { localAddress = address }
        func pauseAccepting() {}
        func resumeAccepting() {}
        func close() {}
    }

    private var accept: (@Loop (any ByteStream) -> Void)?

    func listen(
        on address: SocketAddress, accept: @escaping @Loop (any ByteStream) -> Void
    ) async throws(NetworkError) -> any StreamListener {
        self.accept = accept
        return Listener(address)
    }

    func connect(to address: SocketAddress, within deadline: Duration) async throws(NetworkError) -> any ByteStream {
        throw NetworkError(code: "ECONNREFUSED", description: "nobody listens")
    }

    /// A client's connection, as the server has it.
    func connect() -> LoopbackStream {
        let stream = LoopbackStream()
        accept?(stream)
        return stream
    }
}

/// A stream that counts what is written to it.
@Loop final class LoopbackStream: ByteStream, Flushable {
    var delegate: (any ByteStreamDelegate)?
    let remoteAddress = SocketAddress(host: "127.0.0.1", port: 1)
    let localAddress = SocketAddress(host: "127.0.0.1", port: 2)
    private(set) var queuedBytes = 0
    /// Packets written so far.
    private(set) var packets = 0
    private var isDirty = false

    func receive(_ bytes: Bytes) { delegate?.stream(self, didRead: bytes.span) }

    func write(_ bytes: [UInt8]) {
        packets += 1
        queuedBytes += bytes.count
        if isDirty { return }
        isDirty = true
        EventLoop.shared.flushList.append(self)
    }

    func flushTurn() {
        isDirty = false
        queuedBytes = 0
    }

    func pauseReading() {}
    func resumeReading() {}
    func closeAfterFlush(within deadline: Duration) {}
    func close() {}
}

/// No other server is there.
final class NoTransport: RPCTransport {
    func start(_ context: RPCContext) async throws {}
    func call(
        _ server: ServerID, _ procedure: Procedure, _ payload: Bytes, within deadline: Duration
    ) async throws(RPCError) -> Bytes { throw .notSent("there is no other server") }
    func ping(_ server: ServerInfo, within deadline: Duration) async -> Bool { false }
    func proveSecret(to server: ServerInfo) async throws {}
    func stop(within deadline: Duration) async {}
}
