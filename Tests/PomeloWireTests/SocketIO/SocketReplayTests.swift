// SPDX-License-Identifier: MIT
import Foundation
import Testing

/// Real clients of socket.io, as recorded, hear from our sessions what they heard from others.
@Suite("recorded clients of socket.io")
struct SocketReplayTests {
    static let files: [URL] = {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Transcripts")
        let all = try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        return (all ?? []).filter { $0.pathExtension == "jsonl" }.sorted { $0.path < $1.path }
    }()
    static let played = files.filter { file in
        !SocketDifference.notPlayed.keys.contains { file.lastPathComponent.contains($0) }
    }

    @Test func everyRecordingIsThere() {
        #expect(Self.files.count == 80)
        #expect(Self.played.count == 33)
    }

    @Test(arguments: played) func ourSessionSays(_ file: URL) throws {
        var replay = SocketReplay(try SocketRecording(file))
        replay.run()
        var expected = replay.theirs
        let difference = SocketDifference.all.first { $0.recordings.contains(replay.recording.name) }
        difference?.edit(&expected)
        #expect(replay.ours == expected)
        if difference != nil { #expect(replay.ours != replay.theirs, "as in the recording: take it off the table") }
    }

    @Test func everyDifferenceNamesRecordings() {
        let names = Set(Self.played.map { $0.deletingPathExtension().lastPathComponent })
        for difference in SocketDifference.all { #expect(names.isSuperset(of: difference.recordings)) }
    }
}
