// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

/// Datagrams in anybody's name, from everywhere, with anything in them.
@Suite struct UDPAbuseTests {
    private static func handshake(_ size: Int) throws -> Bytes {
        let body = Bytes(#"{"sys":{"type":"t"}}"#.utf8)
        return try Packet.encode(.handshake, body + Bytes(repeating: 0x20, count: max(0, size - 4 - body.count)))
    }

    // MARK: peers that do not exist

    @Test @Loop func aFloodInManyNamesLeavesNothingAndHindersNobody() async throws {
        var options = UDPOptions()
        options.maxPending = 1000
        let bench = try await UDPBench.start(options)
        bench.open()
        let hello = try Packet.encode(.handshake, Bytes(#"{"sys":1}"#.utf8) + Bytes(repeating: 0x20, count: 26))
        #expect(hello.count == UDPBench.welcome.count)
        for number in 0..<100_000 {
            bench.feed(hello, from: UDPBench.peer(number))
            if number % 50 == 0 { await nextTurn() }
            guard number % 10_000 == 5000 else { continue }
            #expect(bench.connector.statistics.pending <= 1000)
            _ = bench.taken()
            bench.feed(try UDPBench.request(UInt32(number)))
            #expect(bench.taken() == [try UDPBench.response(UInt32(number))])
            // Somebody comes while it lasts.
            let newcomer = SocketAddress(host: "203.0.113.9", port: number / 10 + 1)
            bench.feed(UDPBench.handshake, from: newcomer)
            bench.feed(Sample.ack, from: newcomer)
            bench.feed(try UDPBench.request(1), from: newcomer)
            #expect(bench.taken() == [UDPBench.welcome, Sample.heartbeat, try UDPBench.response(1)])
        }
        #expect(bench.host.sessions.count == 11, "the flood has made no session")
        let statistics = bench.connector.statistics
        #expect(statistics.pending == 1000 && statistics.openUDP == 11 && statistics.accepted == 11)
        #expect(statistics.faults[.crowdedOut] == 99_000)
        #expect(bench.connector.datagrams.received == 100_000 + 11 * 2 + 10 + 10)
        bench.clock.advance(by: .seconds(11))
        #expect(bench.connector.statistics.pending == 0)
        #expect(bench.connector.statistics.faults[.handshakeTimeout] == 1000)
        #expect(bench.clock.pendingTimers < 20, "no timer for each")
    }

    @Test @Loop func oneAddressHasItsShareOfThePlaces() async throws {
        var options = UDPOptions()
        options.maxPendingPerAddress = 10
        let bench = try await UDPBench.start(options)
        bench.feed(UDPBench.handshake, from: UDPBench.other)
        for port in 1...100 { bench.feed(UDPBench.handshake, from: SocketAddress(host: "10.0.0.1", port: port)) }
        #expect(bench.connector.statistics.pending == 11)
        bench.feed(Sample.ack, from: UDPBench.other)
        bench.feed(Sample.ack, from: SocketAddress(host: "10.0.0.1", port: 90))
        bench.feed(Sample.ack, from: SocketAddress(host: "10.0.0.1", port: 91))
        #expect(bench.host.sessions.count == 2, "the oldest of that address had to go")
    }

    /// Acknowledgements can be sent blindly, so there is a bound for clients too.
    @Test(arguments: [false, true]) @Loop func clientsHaveABoundOfTheirOwn(_ byRoom: Bool) async throws {
        var options = UDPOptions()
        if !byRoom { options.maxClients = 50 }
        let bench = try await UDPBench.start(options, maxConnections: byRoom ? 50 : nil)
        for number in 0..<500 { bench.open(UDPBench.peer(number)) }
        #expect(bench.host.sessions.count == 50 && bench.connector.statistics.openUDP == 50)
        #expect(bench.connector.statistics.refused == 450)
        bench.host.sessions.values.first?.socket.close(kick: "go")
        bench.open(UDPBench.other)
        #expect(bench.host.sessions.count == 50)
    }

    @Test @Loop func whoTheCoreDoesNotWantIsNoClient() async throws {
        let bench = try await UDPBench.start()
        bench.host.refusing = true
        bench.feed(UDPBench.handshake)
        _ = bench.taken()
        bench.feed(Sample.ack + Sample.echo1)
        #expect(bench.taken().isEmpty && bench.host.messages.isEmpty)
        #expect(bench.connector.statistics.openUDP == 0 && bench.connector.statistics.refused == 1)
        bench.clock.advance(by: .seconds(11))
        #expect(bench.clock.pendingTimers == 0)
    }

    @Test @Loop func onlySoManyHooksRun() async throws {
        let gate = Door()
        let begun = Journal<String>()
        var options = UDPOptions()
        options.maxPending = 5
        options.handshake = { _ in
            begun.note("")
            await gate.pass()
            return nil
        }
        let bench = try await UDPBench.start(options)
        for number in 0..<50 { bench.feed(UDPBench.handshake, from: UDPBench.peer(number)) }
        for _ in 0..<20 { await Loop.yield() }
        #expect(begun.entries.count == 5 && bench.connector.statistics.faults[.crowdedOut] == 45)
        // Who has waited too long for one is forgotten, and not answered when it returns after all.
        bench.clock.advance(by: .seconds(11))
        gate.open()
        for _ in 0..<20 { await Loop.yield() }
        #expect(bench.taken().isEmpty && bench.connector.statistics.pending == 0)
        bench.feed(UDPBench.handshake)
        for _ in 0..<20 { await Loop.yield() }
        #expect(bench.taken() == [UDPBench.welcome], "there is room again")
    }

    // MARK: answers

    @Test @Loop func anAnswerIsNeverLongerThanWhatWasSent() async throws {
        var options = UDPOptions()
        options.handshake = { _ in .string(String(repeating: "u", count: 200)) }
        let bench = try await UDPBench.start(options)
        func send(_ bytes: Bytes) async {
            bench.feed(bytes)
            for _ in 0..<10 { await Loop.yield() }
        }
        let short = try Self.handshake(70)
        await send(short)
        await send(short)
        await send(short)
        #expect(bench.taken().isEmpty && bench.connector.datagrams.withheld == 3)
        // What comes again adds up: a client that knows nothing of this is served, only later.
        await send(short)
        let answers = bench.taken()
        #expect(answers.count == 1 && answers[0].count <= 280)
        await send(short)
        #expect(bench.taken().isEmpty)
        // One that knows pads its handshake.
        bench.feed(try Self.handshake(300), from: UDPBench.other)
        for _ in 0..<10 { await Loop.yield() }
        #expect(bench.taken() == answers)
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    @Loop func whateverComesNobodyIsSentMoreThanCameInItsName(_ seed: UInt64) async throws {
        let random = RandomSource(seed: seed)
        func below(_ limit: Int) -> Int { Int(random.next() % UInt64(limit)) }
        var options = UDPOptions()
        options.maxPending = 20
        options.requiresProof = seed % 2 == 0
        if seed % 3 == 0 { options.dictionary = (["a.b.c", "d.e.f"], ["onX"]) }
        if seed % 4 == 0 { options.handshake = { _ in .string(String(repeating: "u", count: 100)) } }
        options.checkClient = { type, _ in type != "x" }
        let bench = try await UDPBench.start(options)
        var (received, sent): ([SocketAddress: Int], [SocketAddress: Int]) = ([:], [:])
        var proved: Set<SocketAddress> = []
        let pieces = try [
            UDPBench.handshake, Self.handshake(40), Self.handshake(400), Sample.ack, Sample.heartbeat,
            UDPBench.request(1), Packet.encode(.handshake, Bytes("{\"sys\":{\"type\":\"x\"}}".utf8)), [], [1, 0, 0, 0],
            Bytes((0..<50).map { _ in UInt8(truncatingIfNeeded: random.next()) }), UDPBench.kick("x"),
        ]
        for _ in 0..<400 {
            let peer = UDPBench.peer(below(40))
            var bytes = pieces[below(pieces.count)]
            if below(4) == 0 { bytes += pieces[below(pieces.count)] }
            if below(10) == 0, !bytes.isEmpty { bytes[below(bytes.count)] = UInt8(below(256)) }
            received[peer, default: 0] += bytes.count
            bench.feed(bytes, from: peer)
            if below(4) == 0 { await nextTurn() }
            proved.formUnion(bench.host.sessions.values.map(\.address))
            for (bytes, to) in bench.network.sent where !proved.contains(to) { sent[to, default: 0] += bytes.count }
            _ = bench.taken()
            for (peer, count) in sent where count > received[peer, default: 0] {
                Issue.record("\(peer) was sent \(count) bytes for \(received[peer, default: 0])")
            }
            if below(20) == 0 { bench.clock.advance(by: .seconds(Double(below(5)))) }
            #expect(bench.connector.statistics.pending <= 20)
        }
        if seed % 2 == 0 { #expect(proved.isEmpty) } else { #expect(!proved.isEmpty) }
        #expect(!sent.isEmpty)
        await bench.connector.stop()
    }

    @Test @Loop func withAProofOnlyWhoSawTheAnswerIsServed() async throws {
        var options = UDPOptions()
        options.requiresProof = true
        let bench = try await UDPBench.start(options)
        bench.feed(try Self.handshake(100))
        let answer = try #require(bench.taken().first)
        let sys = try JSON.parse(Bytes(answer[4...]))["sys"]
        let proof = try #require(sys?["proof"]?.string)
        #expect(proof.utf8.count == 16 && sys?["heartbeat"] == 20)
        for guess in ["", "0000000000000000", String(proof.dropLast())] {
            bench.feed(try Packet.encode(.handshakeAck, Bytes(guess.utf8)))
        }
        #expect(bench.host.sessions.isEmpty && bench.connector.datagrams.unproved == 3 && bench.taken().isEmpty)
        bench.feed(try Packet.encode(.handshakeAck, Bytes(proof.utf8)))
        #expect(bench.host.sessions.count == 1)
        bench.feed(try Self.handshake(100), from: UDPBench.other)
        #expect(bench.taken(by: UDPBench.other).first != answer, "each has its own")
        bench.feed(try Packet.encode(.handshakeAck, Bytes(proof.utf8)), from: UDPBench.other)
        #expect(bench.host.sessions.count == 1)
    }

    @Test @Loop func theProofComesFirstAndTheAnswerStaysJSON() throws {
        for answer in [Sample.welcome, UDPBench.welcome, try HandshakeReply.success(heartbeatSeconds: 3, user: "u")] {
            let added = try HandshakeProof.add(Bytes("0123456789abcdef".utf8), to: answer)
            #expect(added.count <= answer.count + PendingPeer.proofBytes)
            var decoder = PacketDecoder(maxBodyBytes: 1000)
            var bodies: [JSON] = []
            try decoder.decode(added.span) { _, body, _ in
                bodies.append((try? JSON.parse(body)) ?? nil)
                return true
            }
            #expect(bodies.count == 1 && bodies.first?["sys"]?["proof"] == "0123456789abcdef")
            #expect(bodies.first?["code"] == 200)
        }
    }

    // MARK: what clients say wrong

    @Test(arguments: 1...20 as ClosedRange<UInt64>) @Loop func garbageEndsNobody(_ seed: UInt64) async throws {
        let random = RandomSource(seed: seed)
        let bench = try await UDPBench.start()
        bench.open()
        for round in 0..<500 {
            var bytes = Bytes((0..<Int(random.next() % 80)).map { _ in UInt8(truncatingIfNeeded: random.next()) })
            if round % 2 == 0 {
                bytes = try UDPBench.request(1, #"{"a":[1,2,3]}"#) + (round % 4 == 0 ? Sample.heartbeat : [])
                bytes[Int(random.next() % UInt64(bytes.count))] ^= UInt8(1 + random.next() % 255)
                if round % 3 == 0 { bytes.removeLast(Int(random.next() % UInt64(bytes.count))) }
            }
            bench.feed(bytes)
            if round % 20 == 0 { await nextTurn() }
        }
        try await eventually("all was heard") { bench.connector.datagrams.heldBytes == 0 }
        _ = bench.taken()
        bench.feed(try UDPBench.request(9))
        #expect(bench.taken() == [try UDPBench.response(9)])
        #expect(bench.host.ends.isEmpty && bench.connector.datagrams.malformed > 100)
    }

    @Test @Loop func aDatagramIsTakenWholeOrNotAtAll() async throws {
        let bench = try await UDPBench.start()
        bench.open()
        let good = try UDPBench.request(1)
        let bad: [Bytes] = [[3, 0, 0], [9, 0, 0, 0], try UDPBench.kick("x"), [4, 0, 0, 9, 1]]
        for rest in bad { bench.feed(good + rest) }
        bench.feed([])
        #expect(bench.host.messages.isEmpty && bench.connector.datagrams.malformed == 5 && bench.host.ends.isEmpty)
        bench.feed(try UDPBench.data([0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]))
        #expect(bench.connector.statistics.faults[.badMessage] == 1 && bench.host.ends.isEmpty)
    }

    @Test @Loop func whatComesTwiceIsHandledTwice() async throws {
        let bench = try await UDPBench.start()
        bench.open()
        for _ in 0..<2 { bench.feed(try UDPBench.request(1)) }
        #expect(bench.taken() == [try UDPBench.response(1), try UDPBench.response(1)])
    }

    // MARK: bounds

    @Test @Loop func whatIsLongerThanADatagramIsNotSent() async throws {
        let bench = try await UDPBench.start()
        bench.open()
        let session = try #require(bench.host.session)
        let long = try PushMessage(route: "on", body: Bytes(repeating: 0x20, count: 1400))
        #expect(!session.socket.push(long) && !session.socket.push(long))
        #expect(session.socket.push(try PushMessage(route: "on", body: Bytes(repeating: 0x20, count: 1392))))
        #expect(bench.taken().map(\.count) == [1400])
        session.socket.respond(id: 4, body: Bytes(repeating: 0x20, count: 1500))
        #expect(bench.taken() == [try UDPBench.response(4, #"{"code":500}"#)], "a request is answered")
        session.socket.close(kick: String(repeating: "x", count: 2000))
        #expect(bench.taken().isEmpty && bench.host.sessions.isEmpty)
        #expect(bench.connector.datagrams.tooLong == 4)
    }

    @Test @Loop func aFullKernelTakesNoPush() async throws {
        let bench = try await UDPBench.start()
        bench.open()
        bench.network.isFull = true
        #expect(bench.host.session?.socket.push(try PushMessage(route: "on", body: [0x31])) == false)
        bench.network.isFull = false
        #expect(bench.host.session?.socket.push(try PushMessage(route: "on", body: [0x31])) == true)
    }

    @Test @Loop func aBurstWaitsForItsTurnsInOrder() async throws {
        let bench = try await UDPBench.start()
        bench.open()
        bench.open(UDPBench.other)
        let burst = try (1...400).map { try UDPBench.request(UInt32($0)) }
        bench.feed(Bytes(burst.joined()))
        let first = bench.host.messages.count
        #expect(first <= TurnShares.ofOne && first >= TurnShares.least)
        bench.feed(try UDPBench.request(1, "{}", "other"), from: UDPBench.other)
        #expect(bench.host.messages.last?.route.text == "other", "others do not wait for it")
        #expect(bench.connector.datagrams.heldBytes > 0)
        try await eventually("all were handled") { bench.host.messages.count == 401 }
        #expect(bench.host.messages.filter { $0.route.text == "a.b.c" }.map(\.id) == Array(1...400))
        #expect(bench.connector.datagrams.heldBytes == 0 && bench.connector.datagrams.overflowed == 0)
    }

    @Test @Loop func aPausedClientMaySayOnlySoMuch() async throws {
        var options = UDPOptions()
        options.maxBacklogBytes = 1000
        let bench = try await UDPBench.start(options)
        bench.open()
        let session = try #require(bench.host.session)
        session.socket.pauseReading()
        for id: UInt32 in 1...100 { bench.feed(try UDPBench.request(id)) }
        #expect(bench.host.messages.isEmpty && bench.connector.datagrams.heldBytes <= 1000)
        #expect(bench.connector.datagrams.overflowed > 80)
        session.socket.resumeReading()
        let kept = 100 - bench.connector.datagrams.overflowed
        try await eventually("what waited was handled") { bench.host.messages.count == kept }
        #expect(bench.host.messages.map(\.id) == (1...UInt32(kept)).map { $0 })
        session.socket.pauseReading()
        bench.feed(try UDPBench.request(1))
        session.socket.close(kick: "bye")
        #expect(bench.connector.datagrams.heldBytes == 0)
    }

    @Test @Loop func allThatWaitHaveOneBound() async throws {
        var options = UDPOptions()
        options.maxHeldBytes = 5000
        let bench = try await UDPBench.start(options)
        for number in 0..<50 { bench.open(UDPBench.peer(number)) }
        for session in bench.host.sessions.values { session.socket.pauseReading() }
        for number in 0..<50 {
            for id: UInt32 in 1...10 { bench.feed(try UDPBench.request(id), from: UDPBench.peer(number)) }
        }
        #expect(bench.connector.datagrams.heldBytes <= 5000 && bench.connector.datagrams.overflowed > 400)
        await bench.connector.stop()
        #expect(bench.connector.datagrams.heldBytes == 0)
    }
}
