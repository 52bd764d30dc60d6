// SPDX-License-Identifier: MIT
import Foundation
import PomeloBytes
import PomeloWire
import Testing

/// Every input that fuzzing of HTTP and socket.io starts from or has found, given to all of their codecs.
@Suite("Fuzzing corpus of socket.io")
struct SocketIOCorpusTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Fuzz/Corpus")

    @Test(arguments: ["http", "engineio", "socketio", "polling", "upgrade", "json", "websocket"])
    func replay(name: String) throws {
        let folder = Self.folder.appendingPathComponent(name)
        for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil) {
            let bytes = Bytes(try Data(contentsOf: file))
            #expect(readHTTP([bytes]) == readHTTP(bytes.map { [$0] }), "\(file.lastPathComponent)")
            for revision in SocketIORevision.allCases { read(bytes, revision) }
            walk(bytes, file.lastPathComponent)
        }
    }

    private func read(_ bytes: Bytes, _ revision: SocketIORevision) {
        var decoder = EngineIOPayloadDecoder(revision)
        _ = wireError { () throws(WireError) in
            try decoder.decode(bytes.span) { _ in true }
        }
        _ = wireError { () throws(WireError) in _ = try SocketIOPacket(bytes.span, revision) }
        _ = wireError { () throws(WireError) in
            try SocketIO09Payload.decode(bytes.span) { _ in true }
        }
        _ = wireError { () throws(WireError) in _ = try PomeloText(bytes.span) }
        #expect(SocketIOMessage.push(route: "on", body: bytes).packet(revision).allSatisfy { $0 < 0x80 })
    }

    private func walk(_ bytes: Bytes, _ name: String) {
        guard let first = bytes.first else { return }
        var model = SessionModel(SocketIORevision.allCases[Int(first) % 3])
        for index in stride(from: 1, to: bytes.count - 1, by: 2) { model.step(bytes[index], bytes[index + 1]) }
        model.settle()
        #expect(model.faults == [], "\(name)")
    }
}
