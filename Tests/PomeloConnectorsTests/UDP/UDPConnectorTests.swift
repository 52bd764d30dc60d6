// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloConnectors
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloWire
import TestHelpers
import Testing

/// The life of a client that sends datagrams.
@Suite struct UDPConnectorTests {
    @Test @Loop func aClientAsTheOriginalsShakesHandsAndTalks() async throws {
        let bench = try await UDPBench.start()
        bench.feed(UDPBench.handshake)
        #expect(bench.taken() == [UDPBench.welcome])
        #expect(bench.host.sessions.isEmpty, "who has not acknowledged has no session")
        #expect(bench.connector.statistics.pending == 1)
        bench.feed(Sample.ack)
        #expect(bench.taken() == [Sample.heartbeat], "the first heartbeat comes from the server")
        #expect(bench.connector.statistics.openUDP == 1 && bench.connector.statistics.pending == 0)
        let session = try #require(bench.host.session)
        #expect(session.socket.connectorType == "udp" && session.address == UDPBench.one)
        bench.feed(try UDPBench.request(7, #"{"x":1}"#))
        #expect(bench.taken() == [try UDPBench.response(7, #"{"x":1}"#)])
        #expect(session.socket.push(try PushMessage(route: "onX", body: Bytes("{}".utf8))))
        #expect(bench.taken() == [try Message.pushPacket(route: "onX", code: nil, body: Bytes("{}".utf8))])
        session.socket.close(kick: "enough")
        #expect(bench.taken() == [try UDPBench.kick("enough")])
        #expect(bench.host.ends == [.kicked("enough")] && bench.connector.statistics.openUDP == 0)
        session.socket.close(kick: "again")
        #expect(bench.taken().isEmpty)
        await bench.connector.stop()
        #expect(bench.clock.pendingTimers == 0 && bench.network.closed)
    }

    @Test @Loop func oneDatagramHoldsSeveralPackages() async throws {
        let bench = try await UDPBench.start()
        bench.feed(UDPBench.handshake)
        _ = bench.taken()
        let requests = try (1...5).map { try UDPBench.request(UInt32($0)) }
        bench.feed(Sample.ack + requests.joined() + Sample.heartbeat)
        let answers = try (1...5).map { try UDPBench.response(UInt32($0)) }
        #expect(bench.taken() == [Sample.heartbeat] + answers + [Sample.heartbeat])
    }

    @Test @Loop func whatIsSentInATurnSharesDatagramsWhenTold() async throws {
        var options = UDPOptions()
        options.joinsPackages = true
        options.maxDatagramBytes = 100
        let bench = try await UDPBench.start(options)
        bench.open()
        for _ in 0..<5 { await Loop.yield() }
        _ = bench.taken()
        for id: UInt32 in 1...20 { bench.feed(try UDPBench.request(id)) }
        for _ in 0..<5 { await Loop.yield() }
        let sent = bench.taken()
        #expect(sent.count > 1 && sent.count < 10 && sent.allSatisfy { $0.count <= 100 })
        #expect(Bytes(sent.joined()) == Bytes(try (1...20).map { try UDPBench.response($0) }.joined()))
    }

    @Test @Loop func aPeerIsAnAddressAndAPort() async throws {
        let bench = try await UDPBench.start()
        bench.open()
        bench.feed(try UDPBench.request(1), from: SocketAddress(host: UDPBench.one.host, port: 1001))
        #expect(bench.taken().isEmpty && bench.connector.datagrams.strays == 1)
        bench.open(SocketAddress(host: UDPBench.one.host, port: 1001))
        #expect(bench.host.sessions.count == 2)
    }

    // MARK: the handshake

    @Test @Loop func anAnswerThatIsLostIsAskedForAgain() async throws {
        let bench = try await UDPBench.start()
        for _ in 0..<3 {
            bench.feed(UDPBench.handshake)
            #expect(bench.taken() == [UDPBench.welcome])
        }
        bench.clock.advance(by: .seconds(9))
        #expect(bench.taken().isEmpty, "nothing is repeated by the server")
        bench.feed(Sample.ack)
        bench.feed(Sample.ack)
        #expect(bench.host.sessions.count == 1)
    }

    @Test @Loop func whoNeverAcknowledgesIsForgotten() async throws {
        let bench = try await UDPBench.start()
        bench.feed(UDPBench.handshake)
        bench.clock.advance(by: .seconds(5))
        bench.feed(UDPBench.handshake, from: UDPBench.other)
        bench.clock.advance(by: .milliseconds(5001))
        #expect(bench.connector.statistics.pending == 1)
        #expect(bench.connector.statistics.faults[.handshakeTimeout] == 1)
        _ = bench.taken()
        bench.feed(Sample.ack)
        bench.feed(Sample.ack, from: UDPBench.other)
        #expect(bench.host.sessions.values.map(\.address) == [UDPBench.other])
    }

    @Test(arguments: [("no JSON", 500), ("{}", 500), (#"{"sys":{"type":"old"}}"#, 501)])
    @Loop func whoIsNotWantedIsToldOnceAndForgotten(_ body: String, _ code: Int) async throws {
        var options = UDPOptions()
        options.checkClient = { type, _ in type != "old" }
        let bench = try await UDPBench.start(options)
        bench.feed(try Packet.encode(.handshake, Bytes(body.utf8) + Bytes(repeating: 0x20, count: 20)))
        #expect(bench.taken() == [code == 500 ? Sample.refused500 : Sample.refused501])
        #expect(bench.connector.statistics.pending == 0)
        bench.feed(Sample.ack)
        #expect(bench.host.sessions.isEmpty)
    }

    @Test @Loop func aHookHasTheLastWordWhileOthersWait() async throws {
        let gate = Door()
        var options = UDPOptions()
        options.handshake = { message in
            await gate.pass()
            if message["user"]?["name"]?.string == "eve" { throw Fault(403) }
            return ["welcome": true]
        }
        let bench = try await UDPBench.start(options)
        let padding = String(repeating: " ", count: 60)
        let (ann, eve) = (
            try Packet.encode(
                .handshake, Bytes("{\"sys\":{\"type\":\"t\"},\"user\":{\"name\":\"ann\"}\(padding)}".utf8)),
            try Packet.encode(
                .handshake, Bytes("{\"sys\":{\"type\":\"t\"},\"user\":{\"name\":\"eve\"}\(padding)}".utf8))
        )
        bench.feed(ann)
        bench.feed(ann)
        bench.feed(eve, from: UDPBench.other)
        bench.feed(Sample.ack)
        #expect(bench.taken().isEmpty && bench.host.sessions.isEmpty, "an acknowledgement of nothing is none")
        gate.open()
        for _ in 0..<20 { await Loop.yield() }
        let answers = bench.taken(by: UDPBench.one)
        #expect(answers.count == 1)
        #expect(try JSON.parse(Bytes(answers[0][4...]))["user"]?["welcome"] == true)
        #expect(bench.taken(by: UDPBench.other) == [Sample.refused500])
        bench.feed(Sample.ack)
        #expect(bench.host.sessions.count == 1)
    }

    @Test @Loop func aHandshakeThatComesLateEndsNobody() async throws {
        let bench = try await UDPBench.start()
        bench.open()
        bench.clock.advance(by: .seconds(2))
        bench.feed(UDPBench.handshake)
        bench.feed(Sample.ack)
        #expect(bench.taken().isEmpty && bench.host.sessions.count == 1 && bench.host.ends.isEmpty)
        #expect(bench.connector.statistics.ignoredPackages == 2)
    }

    /// Many clients keep their port when they begin anew: one that was quiet is believed, once it acknowledges.
    @Test @Loop func aClientBeginsAnewOnItsPort() async throws {
        let bench = try await UDPBench.start()
        bench.open()
        let first = try #require(bench.host.session)
        bench.clock.advance(by: .seconds(6))
        bench.feed(UDPBench.handshake)
        #expect(bench.taken() == [UDPBench.welcome] && first.isOpen && bench.host.ends.isEmpty)
        bench.feed(Sample.ack)
        #expect(bench.taken() == [Sample.heartbeat])
        #expect(bench.host.ends == [.disconnected("the client began anew")] && bench.host.sessions.count == 1)
        #expect(bench.connector.datagrams.renewed == 1 && bench.connector.statistics.openUDP == 1)
        bench.feed(try UDPBench.request(1))
        #expect(bench.taken() == [try UDPBench.response(1)])
    }

    // MARK: how much a client may say

    /// What bears its address may be anybody's: it is not ended for it.
    @Test @Loop func whoSaysTooMuchIsToldSoThenNotAnsweredAndNeverEnded() async throws {
        var options = UDPOptions()
        options.rate.messagesPerSecond = 1
        options.rate.messageBurst = 2
        options.rate.maxRefusals = 3
        let bench = try await UDPBench.start(options)
        bench.open()
        bench.open(UDPBench.other)
        for id in 1...10 { bench.feed(try UDPBench.request(UInt32(id))) }
        let refusal = #"{"code":429,"retryAfterMs":1000}"#
        #expect(
            bench.taken() == [
                try UDPBench.response(1), try UDPBench.response(2), try UDPBench.response(3, refusal),
                try UDPBench.response(4, refusal), try UDPBench.response(5, refusal),
            ])
        #expect(bench.connector.statistics.overRate == 8 && bench.connector.statistics.faults[.overRate] == 5)
        #expect(bench.host.ends.isEmpty && bench.host.messages.count == 2)
        bench.feed(try UDPBench.request(1), from: UDPBench.other)
        #expect(bench.taken() == [try UDPBench.response(1)], "the others notice nothing")
        bench.clock.advance(by: .seconds(2))
        bench.feed(try UDPBench.request(11))
        #expect(bench.taken() == [try UDPBench.response(11)])
    }

    // MARK: the route dictionary

    @Test @Loop func routesTravelAsCodes() async throws {
        var options = UDPOptions()
        options.dictionary = (["a.b.c"], ["onX"])
        let bench = try await UDPBench.start(options)
        let padded = try Packet.encode(
            .handshake, Bytes(#"{"sys":{"type":"t"}}"#.utf8) + Bytes(repeating: 0x20, count: 300))
        bench.feed(padded)
        let welcome = try #require(bench.taken().first)
        #expect(try JSON.parse(Bytes(welcome[4...]))["sys"]?["dict"]?["onX"] == 2)
        bench.feed(Sample.ack)
        bench.feed(try Message.requestPacket(id: 3, route: "a.b.c", code: 1, body: Bytes("{}".utf8)))
        #expect(bench.host.messages.map(\.route.text) == ["a.b.c"])
        _ = bench.taken()
        #expect(bench.host.session?.socket.push(try PushMessage(route: "onX", body: Bytes("{}".utf8))) == true)
        #expect(bench.taken() == [try Message.pushPacket(route: "onX", code: 2, body: Bytes("{}".utf8))])
    }

    @Test @Loop func aDictionaryThatDoesNotFitIsAnErrorAtTheStart() async throws {
        var options = UDPOptions()
        options.dictionary = ((0..<100).map { "server.handler.method\($0)" }, [])
        let connector = UDPConnector(options)
        let bench = try await UDPBench.start()
        let error = await #expect(throws: PomeloError.self) {
            try await connector.start(bench.host, bench.context())
        }
        #expect(error?.code == .configuration && error?.message.contains("maxDatagramBytes") == true)
    }

    // MARK: time

    @Test @Loop func silenceEndsAClientAndItIsTold() async throws {
        let bench = try await UDPBench.start()
        bench.open()
        bench.open(UDPBench.other)
        bench.clock.advance(by: .seconds(99))
        bench.feed(Sample.heartbeat)
        #expect(bench.taken() == [Sample.heartbeat])
        bench.clock.advance(by: .seconds(2))
        #expect(bench.taken() == [try UDPBench.kick("heartbeatTimeout")])
        #expect(bench.host.sessions.values.map(\.address) == [UDPBench.one])
        #expect(bench.host.ends == [.disconnected("heartbeatTimeout")])
        bench.clock.advance(by: .seconds(98))
        #expect(bench.host.sessions.isEmpty && bench.clock.pendingTimers == 0)
    }

    @Test(arguments: [false, true]) @Loop func dataIsASignOfLifeOnlyWhenTold(_ resets: Bool) async throws {
        var options = UDPOptions()
        options.resetOnData = resets
        let bench = try await UDPBench.start(options)
        bench.open()
        for _ in 0..<11 {
            bench.clock.advance(by: .seconds(10))
            bench.feed(try UDPBench.request(1))
        }
        #expect(bench.host.sessions.isEmpty != resets)
    }

    @Test @Loop func withoutHeartbeatsAnythingCounts() async throws {
        var options = UDPOptions()
        options.heartbeat = nil
        let bench = try await UDPBench.start(options)
        bench.feed(UDPBench.handshake)
        #expect(bench.taken() == [Sample.welcome])
        bench.feed(Sample.ack)
        #expect(bench.taken().isEmpty)
        bench.clock.advance(by: .seconds(99))
        bench.feed(try UDPBench.request(1))
        bench.clock.advance(by: .seconds(99))
        #expect(bench.host.sessions.count == 1)
        bench.clock.advance(by: .seconds(2))
        #expect(bench.host.ends == [.disconnected("idleTimeout")])
    }

    // MARK: the end

    @Test @Loop func atTheStopEveryClientIsTold() async throws {
        let bench = try await UDPBench.start()
        bench.open()
        bench.open(UDPBench.other)
        bench.feed(UDPBench.handshake, from: UDPBench.peer(1))
        _ = bench.taken()
        bench.network.queuedBytes = 1
        let stopped = FirstOutcome<Void>()
        Loop.spawn {
            await bench.connector.stop()
            stopped.end()
        }
        for _ in 0..<10 { await Loop.yield() }
        #expect(!bench.network.closed, "what clients are told is still to leave")
        #expect(bench.taken() == [try UDPBench.kick("server stopped"), try UDPBench.kick("server stopped")])
        bench.network.drain()
        await stopped.wait()
        #expect(bench.network.closed && bench.host.ends == [.stopped, .stopped])
        #expect(bench.clock.pendingTimers == 0 && bench.connector.statistics.openUDP == 0)
        try await bench.connector.start(bench.host, bench.context())
        bench.open()
        #expect(bench.host.sessions.count == 1)
    }

    @Test @Loop func closingWithoutAReasonIsToldToo() async throws {
        let bench = try await UDPBench.start()
        bench.open()
        bench.host.session?.socket.close(kick: nil)
        #expect(bench.taken() == [try UDPBench.kick("closed by the server")])
    }

    @Test func theFileSaysWhatTheOptionsCan() throws {
        let keys: JSON = [
            "heartbeatSeconds": 0, "timeoutSeconds": 7, "resetOnData": true, "handshakeTimeoutSeconds": 3,
            "maxPending": 10, "maxPendingPerAddress": 5, "maxClients": 6, "maxBytesBeforeAck": 100,
            "maxMessageBytes": 1000, "maxDatagramBytes": 500, "maxBacklogBytes": 2000, "maxHeldBytes": 3000,
            "maxOutboundBytes": 4000, "overflow": "dropOldest", "joinsPackages": true, "requiresProof": true,
            "inflatesBodies": false, "dictionary": ["onX"], "messagesPerSecond": 3, "messageBurst": 4,
            "bytesPerSecond": 5, "byteBurst": 6, "maxRefusals": 7,
        ]
        var reader = try OptionReader(keys, file: "udp.json")
        var options = UDPOptions()
        try options.read(&reader)
        try reader.finish()
        #expect(options.heartbeat == nil && options.timeout == .seconds(7) && options.resetOnData)
        #expect(options.maxPending == 10 && options.maxClients == 6 && options.maxDatagramBytes == 500)
        #expect(options.overflow == .dropOldest && options.joinsPackages && options.requiresProof)
        #expect(!options.inflatesBodies && options.dictionary?.extra == ["onX"])
        #expect(options.rate.messagesPerSecond == 3 && options.rate.maxRefusals == 7)
        var long = try OptionReader(["maxDatagramBytes": 65_508], file: "udp.json")
        #expect(throws: PomeloError.self) { try options.read(&long) }
    }
}
