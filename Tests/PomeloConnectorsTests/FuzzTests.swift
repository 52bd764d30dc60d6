// SPDX-License-Identifier: MIT
import Foundation
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloTesting
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

/// Random clients: whatever they send, a connection ends in a defined state, once, and leaves nothing behind.
@Suite struct FuzzTests {
    /// What a mutation starts from: whole conversations, good and bad.
    static let corpus: [Bytes] = {
        let talk = Sample.handshake + Sample.ack + Sample.echo1 + Sample.heartbeat + Sample.echo2
        let packages = [Sample.handshake, Sample.ack, Sample.echo1, Sample.heartbeat, Sample.echo2]
        let bad = MalformedInputTests.packages + MalformedInputTests.messages
        return [
            talk, Sample.upgrade + packages.flatMap { Sample.frame($0) },
            Sample.upgrade + Sample.frame(talk, .text) + Sample.frame([], .close),
            Bytes("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8), Bytes("POST".utf8),
        ] + bad.map { Sample.handshake + Sample.ack + $0.sent }
            + bad.map { Sample.upgrade + Sample.frame(Sample.handshake) + Sample.frame(Sample.ack + $0.sent) }
    }()

    /// Rounds of each seed; `POMELO_FUZZ_ROUNDS` asks for more by hand.
    static let rounds = ProcessInfo.processInfo.environment["POMELO_FUZZ_ROUNDS"].flatMap(Int.init) ?? 400

    /// Feeds bytes in the given pieces, then ends the connection, and checks what must hold for any input.
    @Loop static func run(_ input: Bytes, pieces: RandomSource, _ note: String) throws {
        let wired = try Wired(HybridOptions(heartbeat: .seconds(3)))
        wired.host.onMessage = { message, session in
            switch message.id % 5 {
            case 1:
                do { session.socket.push(try PushMessage(route: "on", body: message.body)) } catch {
                    Issue.record(error)
                }
            case 2: session.socket.pauseReading()
            case 3: session.socket.close(kick: "fuzz")
            default: break
            }
        }
        var rest = input[...]
        while !rest.isEmpty {
            let count = min(rest.count, 1 + Int(pieces.next() % 64))
            wired.stream.feed(Bytes(rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
        let opened = wired.host.sessions.count + wired.host.ends.count
        #expect(opened <= 1, "\(note)")
        wired.stream.end()
        #expect(wired.host.sessions.isEmpty && wired.host.ends.count == opened, "\(note)")
        #expect(wired.port.statistics.open == 0, "\(note)")
        #expect(wired.clock.pendingTimers == 0, "\(note)")
        #expect(wired.port.statistics.faults.values.reduce(0, +) <= 1, "\(note)")
    }

    @Test @Loop func theCorpusReplays() throws {
        for (index, input) in Self.corpus.enumerated() {
            try Self.run(input, pieces: RandomSource(seed: UInt64(index)), "corpus \(index)")
        }
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64]) @Loop func mutations(_ seed: UInt64) throws {
        let random = RandomSource(seed: seed)
        for round in 0..<Self.rounds {
            var input = Self.corpus[Int(random.next() % UInt64(Self.corpus.count))]
            for _ in 0...(random.next() % 4) { Self.mutate(&input, random) }
            try Self.run(input, pieces: random, "seed \(seed), round \(round)")
        }
    }

    @Loop private static func mutate(_ input: inout Bytes, _ random: RandomSource) {
        guard !input.isEmpty else { return input = random.bytes(8) }
        let place = Int(random.next() % UInt64(input.count))
        switch random.next() % 5 {
        case 0: input[place] = UInt8(truncatingIfNeeded: random.next())
        case 1: input[place] ^= 1 << UInt8(random.next() % 8)
        case 2: input.removeSubrange(place..<min(input.count, place + 1 + Int(random.next() % 16)))
        case 3: input.insert(contentsOf: random.bytes(1 + Int(random.next() % 16)), at: place)
        default: input += Self.corpus[Int(random.next() % UInt64(Self.corpus.count))]
        }
    }

    /// Random sequences of well-formed packages, which get deeper than random bytes do.
    @Test(arguments: [11, 12, 13, 14] as [UInt64]) @Loop func packageSequences(_ seed: UInt64) throws {
        let random = RandomSource(seed: seed)
        let choices = [
            Sample.handshake, Sample.ack, Sample.ack, Sample.heartbeat, Sample.echo1, Sample.echo2,
            MalformedInputTests.request(id: [5], "[1]"), MalformedInputTests.request(id: [8], "{}"),
            Sample.data([2, 1, 0x61]), Sample.data([4, 1]), Sample.data([0x0E, 1]),
        ]
        for round in 0..<Self.rounds {
            let inFrames = random.next() % 2 == 0
            var input: Bytes = inFrames ? Sample.upgrade : []
            for _ in 0..<(1 + random.next() % 40) {
                let package = choices[Int(random.next() % UInt64(choices.count))]
                input += inFrames ? Sample.frame(package) : package
            }
            try Self.run(input, pieces: random, "seed \(seed), round \(round)")
        }
    }
}
