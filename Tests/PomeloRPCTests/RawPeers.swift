// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloUV
import PomeloWire

@testable import PomeloRPC

/// A client of a transport's port that speaks bytes.
@Loop final class RawClient: ByteStreamDelegate {
    let stream: any ByteStream
    private(set) var received: Bytes = []
    private(set) var end: StreamEnd?

    init(_ server: TestServer) async throws {
        let address = SocketAddress(host: "127.0.0.1", port: server.info.record.port)
        stream = try await UVNetwork().connect(to: address, within: .seconds(5))
        stream.delegate = self
    }

    func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
        for index in bytes.indices { received.append(bytes[index]) }
    }

    func streamDidDrain(_ stream: any ByteStream) {}

    func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) { end = reason }

    /// What a caller would write that gets every answer it expects, but does not know the secret.
    static func script() throws -> Bytes {
        let hello = Hello(
            cluster: "c", server: "z", instance: "z1", callee: "b", expected: "b1", nonce: "0123456789abcdef")
        let frames: [RPCFrame] = [
            .hello(hello.encoded()), .proof(Bytes(repeating: 7, count: 32)),
            .call(id: 1, sent: 0, remainingMilliseconds: 1000, .init(procedure: 0, name: "echo"), payload: [1, 2, 3]),
            .ping(token: 9, sent: 0), .cancel(id: 1),
        ]
        var bytes: Bytes = []
        for frame in frames { bytes += try frame.encoded() }
        return bytes
    }
}

/// Passes connections on to a server, and now and then changes a byte after the handshake.
@Loop final class DamagingProxy {
    private var listener: (any StreamListener)?
    private var random: SplitMix64
    fileprivate(set) var damaged = 0

    init(to server: TestServer, seed: UInt64) async throws {
        random = SplitMix64(seed: seed)
        let target = SocketAddress(host: "127.0.0.1", port: server.info.record.port)
        let network = UVNetwork()
        listener = try await network.listen(on: SocketAddress(host: "127.0.0.1", port: 0)) {
            [weak self] near in
            Loop.spawn {
                do {
                    let far = try await network.connect(to: target, within: .seconds(5))
                    near.delegate = Half(self, to: far)
                    far.delegate = Half(self, to: near)
                } catch { near.close() }
            }
        }
    }

    var port: Int { listener?.localAddress.port ?? 0 }

    func close() { listener?.close() }

    fileprivate func pass(_ bytes: Bytes, after passed: Int) -> Bytes {
        guard passed > 400, random.next() % 8 == 0 else { return bytes }
        var changed = bytes
        let index = Int(random.next() % UInt64(bytes.count))
        changed[index] ^= UInt8(truncatingIfNeeded: random.next() | 1)
        damaged += 1
        return changed
    }

    @Loop private final class Half: ByteStreamDelegate {
        private weak var proxy: DamagingProxy?
        private let other: any ByteStream
        private var passed = 0

        init(_ proxy: DamagingProxy?, to other: any ByteStream) {
            self.proxy = proxy
            self.other = other
        }

        func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
            var copy: Bytes = []
            for index in bytes.indices { copy.append(bytes[index]) }
            other.write(proxy?.pass(copy, after: passed) ?? copy)
            passed += copy.count
        }

        func streamDidDrain(_ stream: any ByteStream) {}
        func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) { other.close() }
    }
}
