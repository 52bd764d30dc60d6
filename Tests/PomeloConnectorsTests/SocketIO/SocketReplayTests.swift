// SPDX-License-Identifier: MIT
import Foundation
import PomeloLoop
import Testing

/// Real clients of socket.io, as recorded, hear from our connector what they heard from other servers.
@Suite("recorded clients of socket.io")
struct SocketReplayTests {
    static let files: [URL] = {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Transcripts")
        let all = try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        return (all ?? []).filter { $0.pathExtension == "jsonl" }.sorted { $0.path < $1.path }
    }()
    @Test func everyRecordingIsThere() {
        #expect(Self.files.count == 80)
    }

    @Test(arguments: files) @Loop func ourConnectorSays(_ file: URL) async throws {
        let replay = SocketReplay(try SocketRecording(file))
        try await replay.run()
        var expected = replay.theirs
        let difference = SocketDifference.all.first { $0.recordings.contains(replay.name) }
        difference?.edit(&expected)
        #expect(replay.ours == expected)
        if difference != nil { #expect(replay.ours != replay.theirs, "as in the recording: take it off the table") }
    }

    @Test func everyDifferenceNamesRecordings() {
        let names = Set(Self.files.map { $0.deletingPathExtension().lastPathComponent })
        for difference in SocketDifference.all { #expect(names.isSuperset(of: difference.recordings)) }
    }
}
