// SPDX-License-Identifier: MIT
import Foundation
import PomeloLoop
import TestHelpers
import Testing

/// Real clients of socket.io, as recorded, hear from our connector what they heard from other servers, to the byte.
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
        SocketDifference.apply(to: &expected, of: replay.name, replay.revision)
        let ours = replay.ours
        #expect(ours.packets == expected.packets)
        #expect(ours.answers == expected.answers)
        #expect(ours.forms == expected.forms)
        #expect(ours.heard == expected.heard)
    }

    @Test @Loop func everyDifferenceIsOne() async throws {
        var unused = Set(SocketRule.all.map(\.ours))
        var named: Set<String> = []
        for file in Self.files {
            let recording = try SocketRecording(file)
            var said = try await SocketReplay.reading(recording)
            for rule in SocketRule.all {
                let before = said
                rule.edit(&said, recording.revision)
                if said != before { unused.remove(rule.ours) }
            }
            for difference in SocketDifference.all where difference.recordings.contains(recording.name) {
                named.insert(recording.name)
                let before = said
                difference.edit(&said)
                #expect(said != before, "\(recording.name) is as \(difference.ours): take it off the table")
            }
        }
        #expect(unused.isEmpty, "no recording shows them: take them off the table")
        #expect(named == Set(SocketDifference.all.flatMap(\.recordings)), "there are no recordings of these names")
    }

    @Test func theTableIsWrittenDown() throws {
        let rules = SocketRule.all.map { WrittenTable.row([], $0.theirs, $0.ours, $0.why) }
        let rows = SocketDifference.all.map { WrittenTable.row($0.recordings, $0.theirs, $0.ours, $0.why) }
        #expect(try WrittenTable.rows(under: "socket.io") == rules + rows)
    }

    /// Whoever changes what was said, on either side, is found out.
    @Test(arguments: files) @Loop func aChangedByteIsSeen(_ file: URL) async throws {
        let recording = try SocketRecording(file)
        let said = try await SocketReplay.reading(recording)
        for place in recording.telling where Self.unasked[recording.name] != place {
            let other = try await SocketReplay.reading(recording.changed(in: place))
            #expect(other != said, "\(recording.lines[place])")
        }
    }

    /// Answers whose requests are not in the recording.
    private static let unasked = ["sio09-polling-server_disconnect": 70, "sio09-polling-unknown_sid": 70]
}
