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

    /// Bytes that differ, so that a lost or doubled one shows.
    func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) } }
#endif
