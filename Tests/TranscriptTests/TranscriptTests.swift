// SPDX-License-Identifier: MIT
import Pomelo
import PomeloTesting
import TestHelpers
import Testing

/// Our server says what the original said, but where `Differences.swift` knows better.
@Suite(.serialized) struct TranscriptTests {
    static let transcripts = Transcript.all.compactMap { result in
        if case .success(let transcript) = result { transcript } else { nil }
    }

    @Test func everyRecordingIsReadable() {
        for case .failure(let unreadable) in Transcript.all {
            Issue.record("\(unreadable.file): \(unreadable.why)")
        }
        #expect(Self.transcripts.count == 99)
    }

    @Test(arguments: transcripts)
    @Loop func ourServerSays(_ recorded: Transcript) async throws {
        var expected = recorded
        Difference.of(recorded.name)?.edit(&expected)
        let fixture = try await Fixture.start(for: recorded)
        do {
            let player = try await Player.connect(
                to: fixture.address, over: fixture.network, as: recorded.transport)
            try await Performance(expected, fixture, player).run()
            player.close()
            #expect(try await fixture.serves(), "another client is served afterwards")
        } catch {
            Issue.record("\(recorded.name): \(error)")
        }
        await fixture.stop()
    }

    @Test func everyDifferenceIsOne() {
        for difference in Difference.all {
            for name in difference.transcripts {
                guard let recorded = Self.transcripts.first(where: { $0.name == name }) else {
                    Issue.record("there is no recording \(name)")
                    continue
                }
                var ours = recorded
                difference.edit(&ours)
                #expect(!ours.isSame(as: recorded), "\(name) is as in the original: take it off the table")
            }
        }
    }

    @Test func theTableIsWrittenDown() throws {
        let rows = Difference.all.map { WrittenTable.row($0.transcripts, $0.original, $0.ours, $0.why) }
        #expect(try WrittenTable.rows(under: "pomelo's own connector") == rows)
    }

    @Test func noRecordingIsInTheTableTwice() {
        let names = Difference.all.flatMap(\.transcripts)
        #expect(Set(names).count == names.count)
    }
}

/// One transcript, played against a server.
@Loop private struct Performance {
    /// The server holds half a package, so nothing more can be asked on that connection.
    static let endsInsideAPackage: Set = ["plain-bad_trailing_garbage-tcp"]
    /// Request 100, to the other server.
    static let question: Bytes = [4, 0, 0, 26, 0, 100, 21] + Bytes("chat.chatHandler.echo{}".utf8)
    static let answer = Bytes.response(100, #"{"__route__":"chat.chatHandler.echo"}"#)

    let transcript: Transcript
    let fixture: Fixture
    let player: Player

    init(_ transcript: Transcript, _ fixture: Fixture, _ player: Player) {
        self.transcript = transcript
        self.fixture = fixture
        self.player = player
    }

    func run() async throws {
        var expected: [Bytes] = []
        for (index, exchange) in transcript.exchanges.enumerated() {
            try await fixture.pass(to: exchange.at)
            try await player.send(exchange.sent)
            for answer in exchange.answers {
                try await pass(to: answer.at, whileOnly: expected)
                expected.append(answer.bytes)
                try await player.wait(for: expected)
            }
            if exchange.answers.isEmpty {
                // Of writes in the same millisecond the recording does not say which one was answered.
                if transcript.exchanges.dropFirst(index + 1).first?.at == exchange.at { continue }
                try await fixture.settle()
            }
            guard compare(expected, "after write \(index)") else { return }
            if index == transcript.closesIn { try await expectEnd(expected) }
        }
        if transcript.ending == .keptOpen {
            try await expectOpen(expected)
        } else {
            _ = compare(expected, "at the end")
        }
        #expect(player.oddities == [])
    }

    private func compare(_ expected: [Bytes], _ when: String) -> Bool {
        let wanted = player.shaped(expected).map(\.readable)
        let got = player.received.map(\.readable)
        #expect(got == wanted, "\(when)")
        return got == wanted
    }

    /// Lets time pass; what is due after a second or more must not come earlier.
    private func pass(to milliseconds: Int, whileOnly expected: [Bytes]) async throws {
        if milliseconds - fixture.elapsed > 1000 {
            try await fixture.pass(to: milliseconds - 100)
            try await fixture.settle()
            _ = compare(expected, "shortly before \(milliseconds) ms")
            #expect(player.end == nil && player.closeCode == nil)
        }
        try await fixture.pass(to: milliseconds)
    }

    /// The server closes: at once, or when the recording's time has passed.
    private func expectEnd(_ expected: [Bytes]) async throws {
        try await pass(to: transcript.closesAt, whileOnly: expected)
        try await player.closed()
        #expect(player.end == .peerClosed)
        #expect(transcript.ending == .closed(code: player.closeCode))
    }

    /// The rest of the recording's time brings nothing, and the connection is as good as before.
    private func expectOpen(_ expected: [Bytes]) async throws {
        try await fixture.pass(to: transcript.endsAt)
        try await fixture.settle()
        guard compare(expected, "before the connection is tried") else { return }
        #expect(player.end == nil && player.closeCode == nil)
        guard !Self.endsInsideAPackage.contains(transcript.name) else { return }
        if !transcript.exchanges.contains(where: { $0.sent.first == 2 }) {
            try await player.send([2, 0, 0, 0])
        }
        try await player.send(Self.question)
        try await player.wait(for: expected + [Self.answer])
        _ = compare(expected + [Self.answer], "after one more request")
    }
}

extension Bytes {
    /// ASCII as it is, other bytes in hexadecimal: what a failure shows.
    fileprivate var readable: String {
        map { byte in
            let isPlain = (0x20..<0x7F).contains(byte) && byte != UInt8(ascii: "\\")
            return isPlain ? String(UnicodeScalar(byte)) : "\\" + String(byte, radix: 16)
        }.joined()
    }
}
