// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloWire
import Testing

struct Package: Equatable {
    let type: PacketType
    let body: Bytes
}

/// Feeds pieces to a decoder and collects what comes out.
func packages(_ pieces: [Bytes], maxBodyBytes: Int = 1 << 20) throws(WireError) -> [Package] {
    var found: [Package] = []
    var decoder = PacketDecoder(maxBodyBytes: maxBodyBytes)
    for piece in pieces {
        try decoder.decode(piece.span) { type, body, _ in
            found.append(Package(type: type, body: Bytes(copying: body)))
            return true
        }
    }
    return found
}

extension Bytes {
    init(copying span: Span<UInt8>) {
        self = span.indices.map { span[$0] }
    }
}

struct PacketVector: CustomTestStringConvertible, Sendable {
    let name: String
    let type: PacketType
    let body: Bytes
    let wire: String
    var testDescription: String { name }

    static let all = [
        PacketVector(name: "heartbeat", type: .heartbeat, body: [], wire: "03 00 00 00"),
        PacketVector(name: "ack", type: .handshakeAck, body: [], wire: "02 00 00 00"),
        PacketVector(
            name: "kick", type: .kick, body: utf8(#"{"reason":"kick"}"#),
            wire: "05 00 00 11 7b 22 72 65 61 73 6f 6e 22 3a 22 6b 69 63 6b 22 7d"),
        PacketVector(
            name: "handshake 500", type: .handshake, body: utf8(#"{"code":500}"#),
            wire: "01 00 00 0c 7b 22 63 6f 64 65 22 3a 35 30 30 7d"),
        PacketVector(
            name: "handshake 501", type: .handshake, body: utf8(#"{"code":501}"#),
            wire: "01 00 00 0c 7b 22 63 6f 64 65 22 3a 35 30 31 7d"),
        PacketVector(
            name: "handshake with heartbeat", type: .handshake,
            body: utf8(#"{"code":200,"sys":{"heartbeat":3}}"#),
            wire: "01 00 00 22 7b 22 63 6f 64 65 22 3a 32 30 30 2c 22 73 79 73 22 3a 7b"
                + "22 68 65 61 72 74 62 65 61 74 22 3a 33 7d 7d"),
        PacketVector(
            name: "handshake of the JavaScript client", type: .handshake,
            body: utf8(#"{"sys":{"type":"js-websocket","version":"0.0.1"}}"#),
            wire: "01 00 00 31 7b 22 73 79 73 22 3a 7b 22 74 79 70 65 22 3a 22 6a 73 2d 77 65 62 73 6f 63 6b 65 74"
                + "22 2c 22 76 65 72 73 69 6f 6e 22 3a 22 30 2e 30 2e 31 22 7d 7d"),
        PacketVector(name: "data", type: .data, body: [0x41], wire: "04 00 00 01 41"),
    ]
}

@Suite("Packages")
struct PacketTests {
    @Test("encode and decode the original's bytes", arguments: PacketVector.all)
    func vectors(_ vector: PacketVector) throws {
        #expect(try Packet.encode(vector.type, vector.body) == hex(vector.wire))
        #expect(try packages([hex(vector.wire)]) == [Package(type: vector.type, body: vector.body)])
    }

    @Test func namedPackages() throws {
        #expect(Packet.heartbeat == hex("03 00 00 00"))
        #expect(
            try Packet.kick(reason: "kick")
                == hex("05 00 00 11 7b 22 72 65 61 73 6f 6e 22 3a 22 6b 69 63 6b 22 7d"))
    }

    @Test func lengthIsBigEndian() throws {
        let package = try Packet.encode(.data, Bytes(repeating: 0, count: 0x012345))
        #expect(Bytes(package[..<4]) == hex("04 01 23 45"))
        let longest = try Packet.encode(.data, Bytes(repeating: 0, count: Packet.maxBodyLength))
        #expect(Bytes(longest[..<4]) == hex("04 ff ff ff"))
    }

    @Test func refusesBodiesOver24Bits() {
        let body = Bytes(repeating: 0, count: Packet.maxBodyLength + 1)
        #expect(
            wireError { () throws(WireError) in _ = try Packet.encode(.data, body) }
                == .tooLarge(limit: 0xFF_FFFF))
    }

    @Test func everyChunkingGivesTheSamePackages() throws {
        let expected = PacketVector.all.map { Package(type: $0.type, body: $0.body) }
        let stream = PacketVector.all.flatMap { hex($0.wire) }
        for pieces in chunkings(of: stream) {
            #expect(try packages(pieces) == expected)
        }
    }

    @Test func holdsNothingBetweenPackages() throws {
        var decoder = PacketDecoder(maxBodyBytes: 100)
        try decoder.decode(hex("04 00 00 02 41").span) { _, _, _ in true }
        #expect(decoder.isMidPacket)
        try decoder.decode(hex("42").span) { _, _, _ in true }
        #expect(!decoder.isMidPacket)
    }

    @Test(arguments: [0, 6, 127, 128, 255] as [UInt8])
    func refusesUnknownTypesAsSoonAsTheHeadIsThere(type: UInt8) throws {
        let head = [type, 0, 0, 1]
        #expect(wireError { () throws(WireError) in _ = try packages([head]) } == .malformed("package type"))
        #expect(
            wireError { () throws(WireError) in _ = try packages(head.map { [$0] }) }
                == .malformed("package type"))
        #expect(try packages([Bytes(head[..<3])]).isEmpty)
    }

    @Test func refusesLongBodiesBeforeTheyArrive() throws {
        let head = hex("04 00 01 01")
        #expect(
            wireError { () throws(WireError) in _ = try packages([head], maxBodyBytes: 0x100) }
                == .tooLarge(limit: 0x100))
        #expect(
            wireError { () throws(WireError) in
                _ = try packages([[4], Bytes(head[1...])], maxBodyBytes: 0x100)
            }
                == .tooLarge(limit: 0x100))
        #expect(try packages([head], maxBodyBytes: 0x101).isEmpty)
    }

    @Test func theLimitCanChangeBetweenTwoPackagesOfOneInput() throws {
        let stream = hex("02 00 00 00 04 00 00 03 41 42 43")
        for pieces in chunkings(of: stream) {
            var decoder = PacketDecoder(maxBodyBytes: 2)
            var types: [PacketType] = []
            for piece in pieces {
                try decoder.decode(piece.span) { type, _, limit in
                    if type == .handshakeAck { limit = 3 }
                    types.append(type)
                    return true
                }
            }
            #expect(types == [.handshakeAck, .data])
            #expect(decoder.maxBodyBytes == 3)
        }
    }

    @Test func stopsWhenToldTo() throws {
        for pieces in chunkings(of: hex("03 00 00 00"), random: 1) {
            var decoder = PacketDecoder(maxBodyBytes: 9)
            var count = 0
            for piece in pieces.dropLast() {
                try decoder.decode(piece.span) { _, _, _ in true }
            }
            let last = (pieces.last ?? []) + hex("03 00 00 00 ff ff ff ff")
            try decoder.decode(last.span) { _, _, _ in
                count += 1
                return false
            }
            #expect(count == 1)
            #expect(!decoder.isMidPacket)
        }
    }
}

@Suite("Packages in WebSocket messages")
struct PacketFrameTests {
    private func frame(_ wire: String, limit: Int = 100) throws(WireError) -> [Package] {
        var found: [Package] = []
        try PacketDecoder.decodeFrame(hex(wire).span, maxBodyBytes: limit) { type, body, _ in
            found.append(Package(type: type, body: Bytes(copying: body)))
            return true
        }
        return found
    }

    @Test func oneOrMoreWholePackages() throws {
        #expect(try frame("03 00 00 00") == [Package(type: .heartbeat, body: [])])
        #expect(
            try frame("03 00 00 00 04 00 00 01 41")
                == [Package(type: .heartbeat, body: []), Package(type: .data, body: [0x41])])
    }

    @Test(arguments: [
        "", "03", "03 00 00", "04 00 00 05 41", "03 00 00 00 04", "03 00 00 00 04 00 00 01", "06 00 00 00",
    ])
    func malformed(_ wire: String) {
        let error = wireError { () throws(WireError) in _ = try frame(wire) }
        #expect(error?.isLike(.malformed("")) == true)
    }

    @Test func limitsApplyAndCanChange() throws {
        #expect(
            wireError { () throws(WireError) in _ = try frame("04 00 00 03 41 42 43", limit: 2) }
                == .tooLarge(limit: 2))
        var seen = 0
        let input = hex("02 00 00 00 04 00 00 03 41 42 43")
        try PacketDecoder.decodeFrame(input.span, maxBodyBytes: 0) { _, _, limit in
            limit = 3
            seen += 1
            return true
        }
        #expect(seen == 2)
    }

    @Test func stopsWhenToldTo() throws {
        var seen = 0
        try PacketDecoder.decodeFrame(hex("03 00 00 00 ff").span, maxBodyBytes: 9) { _, _, _ in
            seen += 1
            return false
        }
        #expect(seen == 1)
    }
}
