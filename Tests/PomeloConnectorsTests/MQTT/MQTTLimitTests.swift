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

/// What clients of MQTT must not do or leave undone, and what comes of it.
@Loop @Suite struct MQTTLimitTests {
    private func options(_ change: (inout MQTTOptions) -> Void) -> MQTTOptions {
        var options = MQTTOptions()
        change(&options)
        return options
    }

    // MARK: time

    /// One and a half times what the client said, from its last word; what it is sent counts for nothing.
    @Test(arguments: [1, 10, 65_535] as [UInt16]) func silenceEndsTheConnection(_ keepAlive: UInt16) throws {
        let wired = try MQTTWired()
        try wired.work(MQTTConnect("c", keepAlive: keepAlive))
        let limit = Duration.milliseconds(1500 * Int(keepAlive))
        wired.clock.advance(by: limit - .milliseconds(1))
        try wired.say(.ping)
        wired.clock.advance(by: limit - .milliseconds(1))
        wired.stream.delegate?.streamDidDrain(wired.stream)
        #expect(wired.host.session?.socket.push(try MQTTWired.push("on", [:])) == true)
        #expect(wired.stream.closing == nil)
        wired.clock.advance(by: .milliseconds(1))
        #expect(wired.stream.flushed && wired.fault(.heartbeatTimeout) == 1)
        #expect(wired.host.ends == [.disconnected("heartbeatTimeout")])
        #expect(wired.clock.pendingTimers == 0)
    }

    @Test func withoutAKeepAliveTheIdleTimeoutCounts() throws {
        let wired = try MQTTWired()
        try wired.work(MQTTConnect("c", keepAlive: 0))
        wired.clock.advance(by: .seconds(80))
        try wired.say(.ping)
        wired.clock.advance(by: .seconds(80))
        wired.stream.delegate?.streamDidDrain(wired.stream)
        wired.clock.advance(by: .milliseconds(89_999))
        #expect(wired.stream.closing == nil)
        wired.clock.advance(by: .milliseconds(1))
        #expect(wired.fault(.idleTimeout) == 1)
    }

    @Test func whoIsNotReadIsNotTimedOut() throws {
        let wired = try MQTTWired()
        try wired.work(MQTTConnect("c", keepAlive: 10))
        let session = try #require(wired.host.session)
        session.socket.pauseReading()
        wired.clock.advance(by: .seconds(100))
        #expect(wired.stream.closing == nil)
        session.socket.resumeReading()
        wired.clock.advance(by: .milliseconds(14_999))
        #expect(wired.stream.closing == nil)
        wired.clock.advance(by: .milliseconds(1))
        #expect(wired.fault(.heartbeatTimeout) == 1)
    }

    @Test func whoDoesNotConnectInTimeIsClosed() throws {
        let wired = try MQTTWired()
        wired.stream.feed([0x10, 20, 0])
        wired.clock.advance(by: .milliseconds(9_999))
        #expect(wired.stream.closing == nil && wired.port.statistics.pending == 1)
        wired.clock.advance(by: .milliseconds(1))
        #expect(wired.fault(.handshakeTimeout) == 1 && wired.port.statistics.pending == 0)
        #expect(wired.host.ends.isEmpty, "the core never knew it")
    }

    // MARK: the first packet, and packets out of place

    struct Refusal: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let sent: Bytes
        let answer: Bytes
        let fault: ConnectionFault

        init(_ name: String, _ hex: String, _ answer: String, _ fault: ConnectionFault) {
            testDescription = name
            sent = Bytes(hex: hex)
            self.answer = Bytes(hex: answer)
            self.fault = fault
        }
    }

    nonisolated static let refusals = [
        Refusal("version 5", "100e00044d5154540502003c00026331", "20020001", .clientRejected),
        Refusal("another protocol", "100e00044d5154530402003c00026331", "20020001", .clientRejected),
        Refusal("no name and a session", "100c00044d5154540400003c0000", "20020002", .handshakeRefused),
        Refusal("no name in 3.1", "100e00064d51497364700302003c0000", "20020002", .handshakeRefused),
        Refusal("a reserved flag", "100e00044d5154540403003c00026331", "", .badPackage),
        Refusal("reserved flags of the packet", "120e00044d5154540402003c00026331", "", .notSpoken),
        Refusal("PUBLISH before CONNECT", "30050003612f62", "", .notSpoken),
        Refusal("PINGREQ before CONNECT", "c000", "", .notSpoken),
        Refusal("a packet of pomelo's", "01000000", "", .notSpoken),
        Refusal("too long before CONNECT", "10ffff7f", "", .tooLarge),
    ]

    @Test(arguments: refusals) func isNotConnected(_ refusal: Refusal) throws {
        let wired = try MQTTWired()
        wired.stream.feed(refusal.sent)
        #expect(wired.stream.taken() == refusal.answer)
        #expect(wired.stream.flushed && wired.fault(refusal.fault) == 1)
        #expect(wired.host.sessions.isEmpty && wired.host.ends.isEmpty)
        #expect(wired.clock.pendingTimers == 0)
    }

    struct Misplaced: Sendable, CustomTestStringConvertible {
        let packet: Bytes
        let fault: ConnectionFault
        let testDescription: String

        init(_ name: String, _ hex: String, _ fault: ConnectionFault) {
            testDescription = name
            packet = Bytes(hex: hex)
            self.fault = fault
        }
    }

    nonisolated static let misplaced = [
        Misplaced("a second CONNECT", "100e00044d5154540402003c00026331", .outOfPlace),
        Misplaced("a second CONNECT of version 5", "100e00044d5154540502003c00026331", .badPackage),
        Misplaced("CONNACK", "20020000", .badPackage), Misplaced("SUBACK", "9003000a00", .badPackage),
        Misplaced("UNSUBACK", "b002000a", .badPackage), Misplaced("PINGRESP", "d000", .badPackage),
        Misplaced("type0", "0000", .badPackage), Misplaced("type15", "f000", .badPackage),
        Misplaced("QoS 3", "36070003612f620001", .badPackage), Misplaced("a wildcard", "3003000123", .badPackage),
        Misplaced("packet id0", "32070003612f620000", .badPackage),
        Misplaced("too long", "30ffffff7f", .tooLarge), Misplaced("no topic", "82020001", .badPackage),
        Misplaced("SUBSCRIBE of3.1again", "8a08000a0003612f6201", .badPackage),
    ]

    @Test(arguments: misplaced) func endsTheConnection(_ one: Misplaced) throws {
        let wired = try MQTTWired()
        try wired.work()
        wired.stream.feed(one.packet)
        #expect(wired.stream.flushed && wired.fault(one.fault) == 1)
        #expect(wired.stream.taken().isEmpty && wired.host.messages.isEmpty)
        #expect(wired.host.ends == [.disconnected(one.fault.rawValue)])
        // What comes behind it is not heard.
        wired.stream.feed([0xC0, 0])
        wired.stream.end()
        #expect(wired.host.ends.count == 1 && wired.port.statistics.open == 0 && wired.clock.pendingTimers == 0)
    }

    @Test func theApplicationSaysWhoIsServed() throws {
        let wired = try MQTTWired(
            options { $0.checkClient = { name, user, password in name == "n" && user == "u" && password == [1] } })
        try wired.say(.connect(MQTTConnect("n", user: "u", password: [2])))
        #expect(try wired.heard() == [.connectAck(sessionPresent: false, .notAuthorized)])
        #expect(wired.fault(.handshakeRefused) == 1 && wired.service.statistics.refused == 1)
        let known = ScriptedStream()
        wired.port.accept(known)
        known.feed(try MQTTPacket.connect(MQTTConnect("n", user: "u", password: [1])).encoded())
        #expect(try MQTTWired.packets(known.taken()) == [.connectAck(sessionPresent: false, .accepted)])
        #expect(wired.service.statistics.accepted == 1)
    }

    @Test func whoIsTooManyIsToldSo() throws {
        let wired = try MQTTWired()
        wired.host.refusing = true
        try wired.say(.connect(MQTTConnect("c")))
        #expect(try wired.heard() == [.connectAck(sessionPresent: false, .unavailable)])
        #expect(wired.stream.flushed && wired.port.statistics.refused == 1 && wired.host.ends.isEmpty)
    }

    @Test func routesMustBeWhole() {
        for route in ["", "a.b", "a", "..", ".b.c"] {
            #expect(throws: PomeloError.self, "\(route)") { try MQTTProtocol(options { $0.publishRoute = route }) }
            #expect(throws: PomeloError.self, "\(route)") { try MQTTProtocol(options { $0.subscribeRoute = route }) }
        }
    }

    // MARK: bounds

    /// A client that never acknowledges has every message, and the server remembers 256 ids.
    @Test func whoNeverAcknowledgesIsSentQoS0() throws {
        let wired = try MQTTWired(options { $0.limits.maxOutboundBytes = 1 << 30 })
        try wired.work()
        let socket = try #require(wired.host.session).socket
        let message = try MQTTWired.push("on", ["topic": "t", "payload": "p", "qos": 1])
        for _ in 0..<20_000 { #expect(socket.push(message)) }
        let heard = try wired.heard()
        #expect(heard.count == 20_000)
        let numbered = heard.compactMap {
            if case .publish(let publish) = $0, publish.qos == 1 { publish.id } else { nil }
        }
        #expect(numbered == Array(1...256))
        #expect(wired.service.statistics.downgraded == 20_000 - 256)
        // As it acknowledges, there is room again, and an id that is still out is not used.
        try wired.say(.publishAck(1), .publishAck(2), .publishAck(2))
        #expect(wired.port.statistics.ignoredPackages == 1)
        #expect(socket.push(message) && socket.push(message) && socket.push(message))
        #expect(
            try wired.heard()
                == [257, 258, 0].map { id in
                    .publish(MQTTPublish("t", Bytes("p".utf8), qos: id > 0 ? 1 : 0, id: id))
                })
    }

    /// Ids go around, past 0 and those that are still out.
    @Test func idsGoAround() {
        var ledger = MQTTLedger()
        let held = ledger.send(limit: 2)
        #expect(held == 1)
        var seen: Set<UInt16> = []
        for _ in 0..<70_000 {
            guard let id = ledger.send(limit: 2) else { return #expect(Bool(false), "no id") }
            seen.insert(id)
            let third = ledger.send(limit: 2)
            #expect(third == nil)
            let wasOut = ledger.acknowledge(id)
            #expect(wasOut)
        }
        #expect(seen.count == 65_534 && !seen.contains(0) && !seen.contains(1))
    }

    /// What may be left out for a slow reader is not promised.
    @Test func whereMessagesMayBeLeftOutThereIsNoQoS1() throws {
        let wired = try MQTTWired(options { $0.limits.slowReaders = .latestOnly })
        try wired.work()
        let socket = try #require(wired.host.session).socket
        #expect(socket.push(try MQTTWired.push("on", ["topic": "t", "payload": "p", "qos": 1])))
        #expect(try wired.heard() == [.publish(MQTTPublish("t", Bytes("p".utf8)))])
        #expect(wired.service.statistics.downgraded == 1)
    }

    /// Thousands of ids, twice, and a handler that never answers: 256 are asked about, the rest is refused, and who
    /// asks again while it is asked about is not asked about twice.
    @Test func unansweredSubscribesAreBounded() async throws {
        let wired = try MQTTWired(
            options {
                $0.subscribeRoute = "c.h.subscribe"
                $0.limits.maxOutboundBytes = 1 << 30
            })
        wired.host.echoing = false
        try wired.work()
        var bytes: Bytes = []
        let ids = 1...8192 as ClosedRange<UInt16>
        for id in ids { bytes += try MQTTPacket.subscribe(id, [.init("a", qos: 1)]).encoded() }
        let left = ids.count - 256
        for round in 1...2 {
            wired.stream.feed(bytes)
            try await eventually("all are read", within: .seconds(60)) {
                wired.service.statistics.refusedSubscribes == round * left && wired.stream.reading
            }
        }
        #expect(wired.port.statistics.ignoredPackages == 256)
        #expect(wired.host.messages.count == 256 && wired.stream.closing == nil)
        let client = try #require(wired.host.session?.socket as? MQTTClient)
        #expect(client.ledger.subscribes.count == 256)
        // Each that is answered makes room for one.
        client.respond(id: wired.host.messages[0].id, body: Bytes("[1]".utf8))
        _ = wired.stream.taken()
        try wired.say(.subscribe(1000, [.init("a", qos: 1)]))
        #expect(wired.host.messages.count == 257)
    }

    @Test func unreleasedMessagesAreBounded() throws {
        let wired = try MQTTWired(options { $0.maxInFlight = 5 })
        wired.host.echoing = false
        try wired.work()
        for id in 1...5 as ClosedRange<UInt16> { try wired.say(.publish(MQTTPublish("a.b.c", [], qos: 2, id: id))) }
        #expect(wired.stream.closing == nil)
        try wired.say(.publishRelease(3), .publish(MQTTPublish("a.b.c", [], qos: 2, id: 3)))
        #expect(wired.stream.closing == nil)
        try wired.say(.publish(MQTTPublish("a.b.c", [], qos: 2, id: 6)))
        #expect(wired.fault(.outOfPlace) == 1 && wired.host.messages.count == 6)
    }

    @Test func topicsOfASubscribeAreBounded() throws {
        let wired = try MQTTWired(options { $0.maxTopics = 3 })
        try wired.work()
        let topics = (0..<4).map { MQTTSubscription("t\($0)", qos: 0) }
        try wired.say(.subscribe(1, Array(topics.prefix(3))))
        #expect(try wired.heard() == [.subscribeAck(1, [0, 0, 0])])
        try wired.say(.subscribe(2, topics))
        #expect(wired.fault(.tooLarge) == 1)
    }

    @Test func whoDoesNotReadIsClosed() throws {
        let wired = try MQTTWired(options { $0.limits.maxOutboundBytes = 4000 })
        try wired.work()
        wired.stream.stuck = true
        let socket = try #require(wired.host.session).socket
        var pushed = 0
        while socket.push(try MQTTWired.push("on", ["n": .string(String(repeating: "x", count: 400))])) { pushed += 1 }
        #expect(pushed == 9 && wired.fault(.slowConsumer) == 1 && wired.stream.closing != nil)
    }

    @Test func pingsDoNotPileUpAnswers() throws {
        let wired = try MQTTWired(options { $0.limits.maxOutboundBytes = 100 })
        try wired.work()
        wired.stream.stuck = true
        for _ in 0..<60 { wired.stream.feed([0xC0, 0]) }
        #expect(wired.stream.queuedBytes == 100 && wired.fault(.slowConsumer) == 1)
    }

    /// The newest of each route stays for who reads slowly, and answers are never left out.
    @Test func theNewestOfEachRouteStays() throws {
        let wired = try MQTTWired(
            options {
                $0.limits.slowReaders = .latestOnly
                $0.limits.maxOutboundBytes = 4000
            })
        try wired.work()
        wired.stream.stuck = true
        let socket = try #require(wired.host.session).socket
        for number in 0..<100 {
            let text = String(repeating: "x", count: 200)
            #expect(socket.push(try MQTTWired.push("onMove", ["n": JSON(number), "text": .string(text)])))
        }
        try wired.say(.ping)
        #expect(wired.stream.closing == nil && wired.port.statistics.droppedPushes > 80)
        wired.stream.stuck = false
        wired.stream.queuedBytes = 0
        wired.stream.delegate?.streamDidDrain(wired.stream)
        let heard = try wired.heard()
        #expect(heard.last == .pong)
        guard case .publish(let last) = heard.dropLast().last else { return #expect(Bool(false), "no push") }
        #expect(try JSON.parse(last.payload)["n"]?.int == 99)
    }

    /// A client that floods has its share of a turn, and the next one is served in the same turn.
    @Test func aFloodWaitsForItsTurn() throws {
        let wired = try MQTTWired()
        wired.host.echoing = false
        try wired.work()
        let packet = try MQTTPublish("a.b.c", []).encoded()
        wired.stream.feed(Bytes((0..<5000).flatMap { _ in packet }))
        #expect(wired.host.messages.count <= TurnShares.ofOne + 1)
        #expect(!wired.stream.reading, "nothing more is read of it")
        let other = try wired.another()
        other.feed(packet)
        #expect(wired.host.messages.count <= TurnShares.ofOne + 2)
        #expect(wired.port.statistics.heldBytes > 0)
    }

    // MARK: sharing a port

    @Test func theFirstByteTellsWhoIsMeant() throws {
        let wired = try MQTTWired(with: HybridOptions(heartbeat: nil))
        try wired.work()
        #expect(wired.host.session?.socket.connectorType == "mqtt")
        let pomelo = ScriptedStream()
        wired.port.accept(pomelo)
        pomelo.feed(Sample.handshake + Sample.ack)
        #expect(pomelo.taken() == Sample.welcome)
        #expect(Set(wired.host.sessions.values.map { $0.socket.connectorType }) == ["mqtt", "hybrid"])
        let browser = ScriptedStream()
        wired.port.accept(browser)
        browser.feed(Sample.upgrade)
        #expect(browser.taken().starts(with: Bytes("HTTP/1.1 101".utf8)))
        // One message reaches both, each in its form.
        let message = try MQTTWired.push("on", ["a": 1])
        for session in wired.host.sessions.values { session.socket.push(message) }
        #expect(try wired.heard() == [.publish(MQTTPublish("on", Bytes("{\"a\":1}".utf8)))])
        #expect(pomelo.taken() == [4, 0, 0, 11, 6, 2] + Bytes("on{\"a\":1}".utf8))
    }

    @Test func aloneItTakesNoRequests() throws {
        for request in ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET mqtt: HTTP/1.1\r\nHost: x\r\n\r\n"] {
            let wired = try MQTTWired()
            wired.stream.feed(Bytes(request.utf8))
            #expect(wired.stream.taken().starts(with: Bytes("HTTP/1.1 4".utf8)) && wired.stream.closing != nil)
            #expect(wired.host.sessions.isEmpty)
        }
    }
}
