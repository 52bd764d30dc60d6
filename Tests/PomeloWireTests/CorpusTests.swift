// SPDX-License-Identifier: MIT
import Foundation
import PomeloBytes
import PomeloJSON
import PomeloWire
import Testing

/// Every input that fuzzing starts from or has found, given to every codec: none may crash, and none may read
/// a stream differently when it comes byte by byte.
@Suite("Fuzzing corpus")
struct CorpusTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fuzz/Corpus")

    private static let names = [
        "packet", "message", "json", "websocket", "upgrade", "rpc", "http", "engineio", "socketio", "polling",
        "mqtt", "datagram", "proxy",
        "protobuf",
    ]

    @Test(arguments: names)
    func replay(name: String) throws {
        let folder = Self.folder.appendingPathComponent(name)
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        #expect(!files.isEmpty)
        for file in files {
            let bytes = Bytes(try Data(contentsOf: file))
            let single = bytes.map { [$0] }
            #expect(packets([bytes]) == packets(single), "\(file.lastPathComponent)")
            #expect(frames([bytes]) == frames(single), "\(file.lastPathComponent)")
            #expect(webSocket([bytes]) == webSocket(single), "\(file.lastPathComponent)")
            #expect(mqtt([bytes]) == mqtt(single), "\(file.lastPathComponent)")
            #expect(head([bytes]) == head(single), "\(file.lastPathComponent)")
            readWhole(bytes)
        }
    }

    private func readWhole(_ bytes: Bytes) {
        _ = wireError { () throws(WireError) in
            let head = try MessageHead.decode(bytes.span)
            _ = try head.route(in: bytes.span)
            _ = head.body(in: bytes.span)
        }
        _ = wireError { () throws(WireError) in
            let written = try JSON.parse(bytes).encoded()
            #expect(try JSON.parse(written).encoded() == written)
        }
        _ = wireError { () throws(WireError) in
            try PacketDecoder.decodeFrame(bytes.span, maxBodyBytes: 4096) { _, _, _ in true }
        }
        _ = HandshakeRequest.decode(bytes.span)
        _ = wireError { () throws(WireError) in
            guard let codec = try Self.schema().codec(for: "r") else { return }
            // What a corpus says of its schema stands before the message.
            for start in 0..<min(bytes.count, 64) {
                _ = wireError { () throws(WireError) in
                    let read = try codec.decode(bytes.span.extracting(start...), maxBytes: 4096)
                    #expect(try JSON.parse(read).encoded() == read)
                }
            }
        }
    }

    private static func schema() throws(WireError) -> ProtobufSchema {
        try ProtobufSchema([
            "r": [
                "optional string s": 1, "repeated Node all": 2, "optional float f": 3, "repeated double d": 4,
                "repeated sInt32 n": 5, "optional uInt64 u": 6,
            ], "message Node": ["optional Node next": 1, "repeated uInt32 n": 2],
        ])
    }

    private struct Outcome<Element: Equatable>: Equatable {
        var elements: [Element] = []
        var error: String?
    }

    private func packets(_ pieces: [Bytes]) -> Outcome<Package> {
        var outcome = Outcome<Package>()
        var decoder = PacketDecoder(maxBodyBytes: 4096)
        outcome.error = wireError { () throws(WireError) in
            for piece in pieces {
                try decoder.decode(piece.span) { type, body, _ in
                    outcome.elements.append(Package(type: type, body: Bytes(copying: body)))
                    return true
                }
            }
        }.map { "\($0)" }
        return outcome
    }

    private func frames(_ pieces: [Bytes]) -> Outcome<RPCFrame> {
        var outcome = Outcome<RPCFrame>()
        var decoder = RPCDecoder(maxFrameBytes: 4096)
        outcome.error = wireError { () throws(WireError) in
            for piece in pieces {
                try decoder.decode(piece.span) { frame, _ in
                    outcome.elements.append(frame)
                    return true
                }
            }
        }.map { "\($0)" }
        return outcome
    }

    private func webSocket(_ pieces: [Bytes]) -> Outcome<WebSocketEvent> {
        var outcome = Outcome<WebSocketEvent>()
        var decoder = WebSocketDecoder(maxMessageBytes: 4096)
        do throws(WebSocketError) {
            for piece in pieces {
                try decoder.decode(piece.span) { event, _ in
                    outcome.elements.append(event)
                    return true
                }
            }
        } catch {
            outcome.error = "\(error)"
        }
        return outcome
    }

    private func mqtt(_ pieces: [Bytes]) -> Outcome<MQTTPacket> {
        let (packets, error) = MQTTPacketTests.read(pieces, limit: 4096)
        return Outcome(elements: packets, error: error.map { "\($0)" })
    }

    private func head(_ pieces: [Bytes]) -> Outcome<UpgradeRequest> {
        var outcome = Outcome<UpgradeRequest>()
        var decoder = UpgradeDecoder(maxHeadBytes: 1024)
        outcome.error = wireError { () throws(WireError) in
            for piece in pieces where outcome.elements.isEmpty {
                if case .request(let request, _) = try decoder.decode(piece.span) {
                    outcome.elements.append(request)
                }
            }
        }.map { "\($0)" }
        return outcome
    }
}
