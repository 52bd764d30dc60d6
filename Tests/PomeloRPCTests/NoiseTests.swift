// SPDX-License-Identifier: MIT
import Crypto
import Foundation
import PomeloBytes
import PomeloJSON
import PomeloWire
import Testing

@testable import PomeloRPC

/// The sealing of connections, held to a public vector.
@Suite struct NoiseTests {
    /// A test vector of the Noise pattern that is spoken here.
    ///
    /// - Source: haskell-cryptography/cacophony, vectors/cacophony.txt, in the public domain.
    private struct Vector {
        let json: JSON

        init() throws {
            let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .appendingPathComponent("Vectors/noise-nnpsk0.json")
            json = try JSON.parse(Bytes(try Data(contentsOf: file)))
        }

        func bytes(_ value: JSON?) throws -> Bytes {
            let digits = Array(try #require(value?.string).utf8)
            return stride(from: 0, to: digits.count, by: 2).map { index in
                UInt8(String(decoding: digits[index..<(index + 2)], as: UTF8.self), radix: 16) ?? 0
            }
        }

        func side(_ role: NoiseHandshake.Role) throws -> NoiseHandshake {
            let name = role == .initiator ? "init" : "resp"
            return NoiseHandshake(
                role, psk: SymmetricKey(data: try bytes(json["\(name)_psks"]?.array?.first)),
                prologue: try bytes(json["\(name)_prologue"]),
                ephemeral: try .init(rawRepresentation: try bytes(json["\(name)_ephemeral"])))
        }
    }

    @Test func thePublicVectorIsReproduced() throws {
        let vector = try Vector()
        var (near, far) = (try vector.side(.initiator), try vector.side(.responder))
        let messages = try (vector.json["messages"]?.array ?? []).map {
            (payload: try vector.bytes($0["payload"]), sealed: try vector.bytes($0["ciphertext"]))
        }
        #expect(messages.count == 6)
        #expect(try near.write(messages[0].payload) == messages[0].sealed)
        #expect(try far.read(messages[0].sealed) == messages[0].payload)
        #expect(try far.write(messages[1].payload) == messages[1].sealed)
        #expect(try near.read(messages[1].sealed) == messages[1].payload)
        let hash = try vector.bytes(vector.json["handshake_hash"])
        #expect(near.hash == hash && far.hash == hash)
        var (nearKeys, farKeys) = (try near.split(), try far.split())
        for (index, message) in messages.enumerated().dropFirst(2) {
            if index % 2 == 0 {
                #expect(try nearKeys.sending.seal(message.payload[...]) == message.sealed)
                #expect(try farKeys.receiving.open(message.sealed[...]) == message.payload)
            } else {
                #expect(try farKeys.sending.seal(message.payload[...]) == message.sealed)
                #expect(try nearKeys.receiving.open(message.sealed[...]) == message.payload)
            }
        }
    }

    private func keys() throws -> (NoiseKeys, NoiseKeys) {
        let vector = try Vector()
        var (near, far) = (try vector.side(.initiator), try vector.side(.responder))
        _ = try far.read(try near.write([]))
        _ = try near.read(try far.write([]))
        return (try near.split(), try far.split())
    }

    @Test func messagesAreOpenedInTheirOrderOnceAndUnchanged() throws {
        var (near, far) = try keys()
        let sealed = try (0..<4).map { try near.sending.seal([UInt8($0)]) }
        #expect(try far.receiving.open(sealed[0][...]) == [0])
        for wrong in [sealed[0], sealed[2], [], Bytes(repeating: 0, count: 17)] {
            var copy = far.receiving
            #expect(throws: NoiseError.self) { try copy.open(wrong[...]) }
        }
        for index in sealed[1].indices {
            var (copy, changed) = (far.receiving, sealed[1])
            changed[index] ^= 1
            #expect(throws: NoiseError.notAuthentic) { try copy.open(changed[...]) }
        }
        // A slice of something longer, as the records of a connection are.
        let padded = [9, 9] + sealed[1] + [9]
        #expect(try far.receiving.open(padded[2..<(2 + sealed[1].count)]) == [1])
    }

    @Test func lengthsHaveTheFrameworksBound() throws {
        var (near, far) = try keys()
        let most = Bytes(repeating: 7, count: 65_535 - 16)
        let sealed = try near.sending.seal(most[...])
        #expect(sealed.count == 65_535)
        #expect(try far.receiving.open(sealed[...]) == most)
        #expect(throws: NoiseError.length) { try near.sending.seal((most + [1])[...]) }
        #expect(throws: NoiseError.length) { try far.receiving.open(Bytes(repeating: 0, count: 65_536)[...]) }
        #expect(throws: NoiseError.length) { try far.receiving.open(Bytes(repeating: 0, count: 15)[...]) }
    }

    @Test func theLastNonceIsNotUsed() throws {
        var (near, far) = try keys()
        near.sending.nonce = .max - 1
        far.receiving.nonce = .max - 1
        #expect(try far.receiving.open(try near.sending.seal([1])[...]) == [1])
        #expect(throws: NoiseError.exhausted) { try near.sending.seal([1]) }
        #expect(throws: NoiseError.exhausted) { try far.receiving.open(Bytes(repeating: 0, count: 20)[...]) }
    }

    @Test func aHandshakeHasTwoMessages() throws {
        let vector = try Vector()
        var (near, far) = (try vector.side(.initiator), try vector.side(.responder))
        #expect(throws: NoiseError.order) { try far.write([]) }
        #expect(throws: NoiseError.order) { try near.read(Bytes(repeating: 1, count: 48)) }
        #expect(throws: NoiseError.order) { try near.split() }
        let first = try near.write([])
        #expect(throws: NoiseError.order) { try near.write([]) }
        for length in 0..<first.count {
            var copy = far
            #expect(throws: NoiseError.self) { try copy.read(Bytes(first.prefix(length))) }
        }
        _ = try far.read(first)
        // A point of small order gives no secret.
        #expect(throws: NoiseError.self) { try near.read(Bytes(repeating: 0, count: 48)) }
    }

    // MARK: records

    @Test(arguments: [1, 7, 1000, 100_000])
    func framesOfAnySizePassInAnyPieces(piece: Int) throws {
        let (near, far) = try keys()
        var writer = FrameWriter()
        writer.seal(with: near.sending)
        var reader = FrameReader(maxFrameBytes: 1 << 20)
        reader.seal(with: far.receiving)
        let sizes = piece < 100 ? [0, 1, 300, 2000] : [0, 65_500, 65_519, 65_520, 300_000, 1]
        let frames = sizes.map { RPCFrame.reply(id: UInt32($0), RandomlessBytes.make($0)) }
        var wire: Bytes = []
        for frame in frames { wire += try writer.encode(frame) }
        var found: [RPCFrame] = []
        var start = 0
        while start < wire.count {
            let end = min(start + piece, wire.count)
            try reader.decode(Bytes(wire[start..<end]).span) { frame, _ in
                found.append(frame)
                return true
            }
            start = end
        }
        #expect(found == frames)
    }

    private enum RandomlessBytes {
        static func make(_ count: Int) -> Bytes { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) } }
    }

    /// Before a peer is known it may not have much kept for it.
    @Test func aRecordIsNotLongerThanTheFrameItMayHold() throws {
        let (_, far) = try keys()
        var reader = FrameReader(maxFrameBytes: 1025)
        reader.seal(with: far.receiving)
        let accept: RPCDecoder.Each = { _, _ in true }
        try reader.decode(Bytes([0x04, 0x15]).span, accept)
        reader = FrameReader(maxFrameBytes: 1025)
        reader.seal(with: far.receiving)
        #expect(throws: WireError.self) { try reader.decode(Bytes([0x04, 0x16]).span, accept) }
    }
}
