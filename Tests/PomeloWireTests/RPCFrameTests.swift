// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloWire
import Testing

struct RPCVector: CustomTestStringConvertible, Sendable {
    let frame: RPCFrame
    let wire: String
    var testDescription: String { "\(frame)" }

    static let all = [
        RPCVector(frame: .hello(utf8("{}")), wire: "00000003 01 7b7d"),
        RPCVector(frame: .challenge([1, 2]), wire: "00000003 02 0102"),
        RPCVector(frame: .proof([3]), wire: "00000002 03 03"),
        RPCVector(frame: .welcome, wire: "00000001 04"),
        RPCVector(frame: .refused(code: 0x0102, reason: "no"), wire: "00000005 05 0102 6e6f"),
        RPCVector(
            frame: .call(
                id: 1, sent: 0x0102_0304_0506_0708, remainingMilliseconds: 5000, .init(procedure: 0, name: "a.b"),
                payload: [9]),
            wire: "0000001b 06 00000001 0102030405060708 00001388 0000 0000 0003 612e62 09"),
        RPCVector(
            frame: .call(
                id: 2, sent: 3, remainingMilliseconds: 4, .init(procedure: 258, instance: "i1", name: "not sent"),
                payload: []),
            wire: "00000017 06 00000002 0000000000000003 00000004 0102 0002 6931"),
        RPCVector(frame: .reply(id: 0xFFFF_FFFF, []), wire: "00000005 07 ffffffff"),
        RPCVector(frame: .replyChunk(id: 2, last: false, [7]), wire: "00000007 08 00000002 00 07"),
        RPCVector(frame: .replyChunk(id: 2, last: true, []), wire: "00000006 08 00000002 01"),
        RPCVector(
            frame: .failure(id: 3, kind: 2, code: -500, message: "é"),
            wire: "0000000c 09 00000003 02 fffffe0c c3a9"),
        RPCVector(frame: .cancel(id: 4), wire: "00000005 0a 00000004"),
        RPCVector(
            frame: .ping(token: 0x0102_0304_0506_0708, sent: .max),
            wire: "00000011 0b 0102030405060708 ffffffffffffffff"),
        RPCVector(frame: .pong(token: 1, instance: "x7"), wire: "0000000b 0c 0000000000000001 7837"),
        RPCVector(frame: .goAway(lastID: 5), wire: "00000005 0d 00000005"),
        RPCVector(frame: .noise([4, 5]), wire: "00000003 0f 0405"),
    ]
}

private func frames(_ pieces: [Bytes], max: Int = 1 << 20) throws(WireError) -> [RPCFrame] {
    var decoder = RPCDecoder(maxFrameBytes: max)
    var found: [RPCFrame] = []
    for piece in pieces {
        try decoder.decode(piece.span) { frame, _ in
            found.append(frame)
            return true
        }
    }
    return found
}

@Suite("RPC frames")
struct RPCFrameTests {
    @Test(arguments: RPCVector.all)
    func vectors(_ vector: RPCVector) throws {
        #expect(try vector.frame.encoded() == hex(vector.wire))
        #expect(try frames([hex(vector.wire)]) == [vector.frame])
    }

    @Test func everyChunkingGivesTheSameFrames() throws {
        let stream = RPCVector.all.flatMap { hex($0.wire) }
        for pieces in chunkings(of: stream) {
            #expect(try frames(pieces) == RPCVector.all.map(\.frame))
        }
    }

    @Test(
        "refuses",
        arguments: [
            "00000000", "00000001 00", "00000001 10", "00000001 ff", "00000002 04 00", "00000001 05",
            "00000002 05 00",
            "00000004 05 0001 ff", "00000005 06 00000001", "00000013 06 00000001 0000000000000001 00000001 0001",
            "00000014 06 00000001 0000000000000001 00000001 0001 ff", "00000004 07 000000", "00000005 08 00000001",
            "00000006 08 00000001 02", "00000009 09 00000001 00 000000",
            "0000000b 09 00000001 00 00000000 ff",
            "00000004 0a 000000", "00000006 0a 00000001 00", "00000010 0b 0000000000000000 00000000000000",
            "00000012 0b 0000000000000000 0000000000000000 00", "0000000a 0c 0000000000000000 ff", "00000001 0d",
            "00000006 0d 00000001 00", "00000002 0e 00", "00000003 0e 0001",
        ])
    func malformed(_ wire: String) {
        let bytes = hex(wire)
        for pieces in [[bytes], bytes.map { [$0] }] {
            // A field cut short by the frame's own length must not wait for bytes of the next frame.
            let error = wireError { () throws(WireError) in
                #expect(try frames(pieces).isEmpty)
            }
            if bytes.count >= 4 + Int(bytes[3]) {
                #expect(error?.isLike(.malformed("")) == true)
            }
        }
    }

    @Test func everyCutOfEveryFrameIsRefused() throws {
        for vector in RPCVector.all {
            let body = Bytes(hex(vector.wire).dropFirst(4))
            for length in 1..<body.count {
                let bytes = [0, 0, 0, UInt8(length)] + body[..<length]
                do throws(WireError) {
                    #expect(try frames([bytes]).count == 1)
                } catch {
                    #expect(error.isLike(.malformed("")))
                }
            }
        }
    }

    @Test func limits() throws {
        let long = hex("00000401")
        #expect(
            wireError { () throws(WireError) in _ = try frames([long], max: 1024) } == .tooLarge(limit: 1024))
        #expect(
            wireError { () throws(WireError) in _ = try frames(long.map { [$0] }, max: 1024) }
                == .tooLarge(limit: 1024))
        #expect(try frames([long], max: 1025).isEmpty)
        #expect(
            wireError { () throws(WireError) in _ = try frames([hex("ffffffff")]) }
                == .tooLarge(limit: 1 << 20))
        let hello = Bytes(repeating: 0x20, count: 1025)
        #expect(
            wireError { () throws(WireError) in _ = try RPCFrame.hello(hello).encoded() }
                == .tooLarge(limit: 1024))
        #expect(
            wireError { () throws(WireError) in _ = try frames([hex("00000402 01") + hello]) }
                == .tooLarge(limit: 1024))
        let tooLong = String(repeating: "m", count: 65536)
        for target in [RPCFrameTarget(procedure: 0, name: tooLong), RPCFrameTarget(procedure: 1, instance: tooLong)] {
            #expect(
                wireError { () throws(WireError) in
                    _ = try RPCFrame.call(id: 1, sent: 0, remainingMilliseconds: 1, target, payload: []).encoded()
                } == .tooLarge(limit: 65535))
        }
    }

    @Test func theLimitCanChangeBetweenTwoFramesOfOneInput() throws {
        let stream = hex("00000001 04 00000003 02 0102")
        for pieces in chunkings(of: stream, random: 5) {
            var decoder = RPCDecoder(maxFrameBytes: 2)
            var count = 0
            for piece in pieces {
                try decoder.decode(piece.span) { frame, limit in
                    if frame == .welcome { limit = 3 }
                    count += 1
                    return true
                }
            }
            #expect(count == 2)
        }
    }

    @Test func stopsWhenToldTo() throws {
        var decoder = RPCDecoder(maxFrameBytes: 100)
        var count = 0
        try decoder.decode(hex("00000001 04 00000001 04 ffffffff").span) { _, _ in
            count += 1
            return false
        }
        #expect(count == 1)
    }
}
