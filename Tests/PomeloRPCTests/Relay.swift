// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloUV

/// Stands between a caller and its callee, and does to the caller's bytes what a test says.
///
/// What follows the caller's first frame is cut into records, or into frames where nothing is sealed, and `tamper` is
/// asked for each what to pass on, numbered from 0 over all connections; nil cuts the connection.
@Loop final class Relay {
    var tamper: (Int, Bytes) -> Bytes? = { _, record in record }
    private(set) var connections = 0
    private var listener: (any StreamListener)?
    private var records = 0
    fileprivate let lengthBytes: Int

    init(to server: TestServer, isSealed: Bool = true) async throws {
        lengthBytes = isSealed ? 2 : 4
        let target = SocketAddress(host: "127.0.0.1", port: server.info.record.port)
        let network = UVNetwork()
        listener = try await network.listen(on: SocketAddress(host: "127.0.0.1", port: 0)) { [weak self] near in
            Loop.spawn {
                do {
                    let far = try await network.connect(to: target, within: .seconds(5))
                    self?.connections += 1
                    near.delegate = Half(self, to: far)
                    far.delegate = Half(nil, to: near)
                } catch { near.close() }
            }
        }
    }

    var port: Int { listener?.localAddress.port ?? 0 }

    func close() { listener?.close() }

    fileprivate func pass(_ record: Bytes) -> Bytes? {
        defer { records += 1 }
        return tamper(records, record)
    }

    /// One direction; with a relay the caller's, without one the bytes as they are.
    @Loop private final class Half: ByteStreamDelegate {
        private let relay: Relay?
        private let other: any ByteStream
        private var kept: Bytes = []
        private var sawFirst = false

        init(_ relay: Relay?, to other: any ByteStream) {
            self.relay = relay
            self.other = other
        }

        func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
            for index in bytes.indices { kept.append(bytes[index]) }
            guard let relay else {
                other.write(kept)
                kept = []
                return
            }
            while let length = nextLength, kept.count >= length {
                let piece = Bytes(kept.prefix(length))
                kept.removeFirst(length)
                if !sawFirst {
                    sawFirst = true
                    other.write(piece)
                } else if let passed = relay.pass(piece) {
                    other.write(passed)
                } else {
                    other.closeAfterFlush(within: .seconds(1))
                    return stream.close()
                }
            }
        }

        /// Of the first frame, or of a record, with its length field.
        private var nextLength: Int? {
            let size = sawFirst ? relay?.lengthBytes ?? 4 : 4
            guard kept.count >= size else { return nil }
            return size + kept.prefix(size).reduce(0) { ($0 << 8) + Int($1) }
        }

        func streamDidDrain(_ stream: any ByteStream) {}
        func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) { other.closeAfterFlush(within: .seconds(1)) }
    }
}
