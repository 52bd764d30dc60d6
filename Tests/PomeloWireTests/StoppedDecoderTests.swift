// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloWire
import Testing

/// A decoder that is stopped says how far it came, and goes on from there as if nothing had been.
@Suite struct StoppedDecoderTests {
    private static let packages: [Bytes] = [[4, 0, 0, 2, 7, 8], [3, 0, 0, 0], [4, 0, 0, 1, 9], [3, 0, 0, 0]]

    /// Feeds pieces of some size, and gives what is not taken again; everything must come once and in order.
    private func bodies(
        _ input: Bytes, piece: Int, _ decode: (Span<UInt8>, (Bytes) -> Bool) throws -> Int
    ) rethrows -> [Bytes] {
        var seen: [Bytes] = []
        var start = 0
        while start < input.count {
            let end = min(input.count, start + piece)
            let stopping = seen.count % 2 == 0
            start += try decode(input[start..<end].span) { body in
                seen.append(body)
                return !stopping
            }
        }
        return seen
    }

    @Test func packages() throws {
        for piece in 1...20 {
            var decoder = PacketDecoder(maxBodyBytes: 100)
            let seen = try bodies(Bytes(Self.packages.joined()), piece: piece) { bytes, each in
                try decoder.decode(bytes) { type, body, _ in
                    each([type.rawValue, 0, 0, UInt8(body.count)] + (0..<body.count).map { body[$0] })
                }
            }
            #expect(seen == Self.packages, "pieces of \(piece)")
        }
    }

    @Test func packagesOfOneMessage() throws {
        let seen = try bodies(Bytes(Self.packages.joined()), piece: 1000) { bytes, each in
            try PacketDecoder.decodeFrame(bytes, maxBodyBytes: 100) { type, body, _ in
                each([type.rawValue, 0, 0, UInt8(body.count)] + (0..<body.count).map { body[$0] })
            }
        }
        #expect(seen == Self.packages)
    }

    @Test func frames() throws {
        let input = Bytes(Self.packages.map { WebSocketFrame.encode(.binary, $0, maskKey: 0x0102_0304) }.joined())
        for piece in 1...60 {
            var decoder = WebSocketDecoder(maxMessageBytes: 100)
            let seen = try bodies(input, piece: piece) { bytes, each in
                try decoder.decode(bytes) { event, _ in
                    guard case .message(_, let message) = event else { return true }
                    return each(message)
                }
            }
            #expect(seen == Self.packages, "pieces of \(piece)")
        }
    }
}
