// SPDX-License-Identifier: MIT
#if TLS
    import PomeloLoop
    import PomeloTesting
    import TestHelpers

    @testable import PomeloTLS

    /// Both ends of a connection in memory, of which one or both are encrypted.
    @Loop struct Pair {
        let network: MemoryNetwork
        let server: Recorder
        let client: Recorder

        /// A plain client's side is left as it is.
        static func make(
            _ options: TLSServerOptions, _ client: TLSClientOptions, name: String = "localhost", maxChunk: Int? = nil,
            plain: Bool = false
        ) async throws -> Pair {
            let network = MemoryNetwork(clock: SystemClock.shared)
            network.maxChunk = maxChunk
            let secured = try TLSServer(options, clock: SystemClock.shared)
            var accepted: Recorder?
            let listener = try await network.endpoint("server").listen(on: SocketAddress(host: "server", port: 0)) {
                raw in
                do {
                    accepted = Recorder(try secured.accept(raw))
                } catch {
                    raw.close()
                }
            }
            let raw = try await network.endpoint("client").connect(to: listener.localAddress, within: .seconds(5))
            let other = Recorder(plain ? raw : try TLSClient(client).connect(raw, to: name))
            try await eventually("the connection is accepted") { accepted != nil }
            listener.close()
            guard let accepted else { throw Unmet(description: "nobody came") }
            return Pair(network: network, server: accepted, client: other)
        }
    }

    /// Keeps what a stream brings.
    @Loop final class Recorder: ByteStreamDelegate {
        let stream: any ByteStream
        var received: [UInt8] = []
        var ends: [StreamEnd] = []
        var drains = 0
        var onRead: (@Loop (Recorder) -> Void)?

        init(_ stream: any ByteStream) {
            self.stream = stream
            stream.delegate = self
        }

        func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
            for index in bytes.indices { received.append(bytes[index]) }
            onRead?(self)
        }

        func streamDidDrain(_ stream: any ByteStream) { drains += 1 }
        func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) { ends.append(reason) }
    }

    /// The stream below, fed by hand; while it is not read, what comes waits, as in a kernel.
    @Loop final class FedStream: ByteStream {
        var delegate: (any ByteStreamDelegate)?
        let remoteAddress = SocketAddress(host: "192.0.2.1", port: 1)
        let localAddress = SocketAddress(host: "192.0.2.2", port: 2)
        private(set) var isReading = true
        private(set) var isClosed = false
        private var unread: [UInt8] = []
        private var written: [UInt8] = []
        /// Whether the peer reads nothing.
        var stuck = false
        var queuedBytes: Int { stuck ? written.count : 0 }

        func write(_ bytes: [UInt8]) { if !isClosed { written += bytes } }
        func pauseReading() { isReading = false }
        func resumeReading() {
            isReading = true
            EventLoop.shared.inNextTurn { self.feed([]) }
        }
        func closeAfterFlush(within deadline: Duration) { isClosed = true }
        func close() { isClosed = true }

        /// The peer sends bytes.
        func feed(_ bytes: [UInt8]) {
            unread += bytes
            guard isReading, !isClosed, !unread.isEmpty else { return }
            let all = unread
            unread = []
            delegate?.stream(self, didRead: all.span)
        }

        /// What was written since the last look.
        func taken() -> [UInt8] {
            defer { written = [] }
            return written
        }

        func end(_ reason: StreamEnd = .closed) {
            let last = delegate
            delegate = nil
            last?.stream(self, didEnd: reason)
        }
    }

    /// Bytes that differ, so that a lost or doubled one shows.
    func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) } }
#endif
