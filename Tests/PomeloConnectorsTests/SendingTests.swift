// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloUV
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

@Suite struct SendingTests {
    typealias Transport = TestClient.Transport

    @Test(arguments: Transport.allCases)
    @Loop func acknowledgementAndRequestsMayComeTogether(_ transport: Transport) async throws {
        let frontend = try await Frontend.start()
        let client = try await frontend.connect(transport)
        try await client.handshake(acknowledge: false)
        client.send(Sample.ack + Sample.echo1 + Sample.echo2)
        #expect(try await client.answer(to: 1) == Bytes(#"{"a":1}"#.utf8))
        #expect(try await client.answer(to: 2) == Bytes(#"{"a":2}"#.utf8))
        await frontend.connector.stop()
    }

    @Test(arguments: Transport.allCases)
    @Loop func aLargeMessageMayFollowTheAcknowledgementAtOnce(_ transport: Transport) async throws {
        let frontend = try await Frontend.start()
        let client = try await frontend.connect(transport)
        try await client.handshake(acknowledge: false)
        let body = Bytes(repeating: 0x20, count: 1_000_000)
        client.send(Sample.ack)
        let id = try client.ask("a.b.c", body)
        #expect(try await client.answer(to: id) == body)
        await frontend.connector.stop()
    }

    @Test(arguments: Transport.allCases)
    @Loop func messagesStayInOrder(_ transport: Transport) async throws {
        let frontend = try await Frontend.start()
        let client = try await frontend.client(transport)
        let socket = try #require(frontend.host.session?.socket)
        for number in 0..<500 {
            _ = try client.ask("a.b.c", Bytes("\(number)".utf8))
            socket.push(try PushMessage(route: "n", body: Bytes("\(number)".utf8)))
        }
        _ = try await client.answer(to: 501)
        #expect(frontend.host.messages.map(\.id) == Array(2...501))
        for number in 0..<500 { #expect(try await client.next("n") == .int(Int64(number))) }
        await frontend.connector.stop()
    }

    @Test @Loop func aPushIsFramedOncePerKind() throws {
        let tcp = try Wired()
        tcp.work()
        let message = try PushMessage(route: "on", body: Bytes("{}".utf8))
        let socket = try #require(tcp.host.session?.socket)
        #expect(socket.push(message) && socket.push(message))
        let packet = Sample.data([6, 2] + Bytes("on{}".utf8))
        #expect(tcp.stream.taken() == packet + packet)
        let made = message.encoded(for: ObjectIdentifier(tcp.shared.edition.packets)) { [] }
        #expect(made == packet)

        let frames = try Wired()
        frames.workInFrames()
        #expect(try #require(frames.host.session?.socket).push(message))
        #expect(frames.stream.taken() == [0x82, UInt8(packet.count)] + packet)
    }

    @Test @Loop func nothingIsPushedBeforeTheAcknowledgementOrAfterTheEnd() throws {
        let wired = try Wired()
        let message = try PushMessage(route: "on", body: [])
        wired.stream.feed(Sample.handshake)
        let socket = try #require(wired.host.session?.socket)
        _ = wired.stream.taken()
        #expect(!socket.push(message))
        socket.respond(id: 1, body: [])
        #expect(wired.stream.taken() == [])
        wired.stream.feed(Sample.ack)
        #expect(socket.push(message))
        socket.close(kick: nil)
        #expect(!socket.push(message))
    }

    @Test @Loop func whatCannotBeEncodedIsNotSent() throws {
        let wired = try Wired()
        wired.work()
        let socket = try #require(wired.host.session?.socket)
        socket.respond(id: 7, body: Bytes(repeating: 0, count: Packet.maxBodyLength))
        #expect(wired.stream.taken() == Sample.data([4, 7] + Bytes("{\"code\":500}".utf8)))
        #expect(wired.stream.closing == nil)
    }

    // MARK: slow consumers

    @Test @Loop func aClientThatDoesNotReadIsClosed() throws {
        for opening in [Wired.work, Wired.workInFrames] {
            let wired = try Wired()
            opening(wired)()
            wired.stream.stuck = true
            let socket = try #require(wired.host.session?.socket)
            let message = try PushMessage(route: "on", body: Bytes(repeating: 0x20, count: 100_000))
            for _ in 0..<10 { #expect(socket.push(message)) }
            #expect(!socket.push(message))
            #expect(wired.stream.closing != nil && !wired.stream.flushed)
            #expect(wired.port.statistics.slowConsumers == 1)
            #expect(wired.host.ends.isEmpty, "the core is not called back in the middle of its push")
            #expect(!socket.push(message))
            wired.stream.end()
            #expect(wired.host.ends == [.disconnected("slowConsumer")])
        }
    }

    /// All of it in one turn, before the client was offered any: nobody knows yet whether it reads.
    @Test @Loop func aBurstInOneTurnIsOfferedBeforeTheClientIsGivenUp() throws {
        let wired = try Wired()
        wired.work()
        wired.stream.stuck = true
        wired.stream.takesEarly = 900_000
        let socket = try #require(wired.host.session?.socket)
        let message = try PushMessage(route: "on", body: Bytes(repeating: 0x20, count: 100_000))
        for _ in 0..<19 { #expect(socket.push(message)) }
        #expect(!socket.push(message) && wired.port.statistics.slowConsumers == 1)
    }

    @Test(arguments: Transport.allCases)
    @Loop func aSlowConsumerDisturbsNobody(_ transport: Transport) async throws {
        let frontend = try await Frontend.start()
        let slow = try await frontend.client(transport)
        let socket = try #require(frontend.host.session?.socket)
        let quick = try await frontend.client(transport)
        slow.stopReading()
        let message = try PushMessage(route: "on", body: Bytes(repeating: 0x20, count: 500_000))
        var sent = 0
        while socket.push(message) {
            sent += 1
            try await quick.request("a.b.c")
            try #require(sent < 1000)
        }
        #expect(frontend.connector.statistics.slowConsumers == 1)
        try await frontend.wait(for: "the end") { frontend.host.ends == [.disconnected("slowConsumer")] }
        #expect(try await quick.request("a.b.c", ["a": 1]) == ["a": 1])
        await frontend.connector.stop()
    }

    @Test @Loop func aFloodOfPingsIsBoundedToo() async throws {
        let wired = try Wired()
        wired.workInFrames()
        wired.stream.stuck = true
        let ping = Sample.frame(Bytes(repeating: 0, count: 125), .ping)
        for _ in 0..<10_000 { wired.stream.feed(ping) }
        while wired.stream.closing == nil { await Loop.yield() }
        #expect(wired.port.statistics.slowConsumers == 1)
        #expect(wired.stream.queuedBytes <= 1024 * 1024)
    }

    // MARK: back-pressure

    @Test @Loop func aPausedSessionGetsNothingMore() async throws {
        let wired = try Wired()
        wired.work()
        wired.host.onMessage = { _, session in session.socket.pauseReading() }
        wired.stream.feed(Sample.echo1 + Sample.echo2 + Sample.echo1)
        #expect(wired.host.messages.map(\.id) == [1])
        #expect(!wired.stream.reading)
        let socket = try #require(wired.host.session?.socket)
        socket.resumeReading()
        while wired.host.messages.count < 2 { await Loop.yield() }
        #expect(wired.host.messages.map(\.id) == [1, 2])
        #expect(!wired.stream.reading, "one is still kept")
        socket.resumeReading()
        while wired.host.messages.count < 3 { await Loop.yield() }
        socket.resumeReading()
        while !wired.stream.reading { await Loop.yield() }
        #expect(wired.host.messages.map(\.id) == [1, 2, 1])
    }

    // MARK: endings

    @Test(arguments: Transport.allCases)
    @Loop func aKickSaysWhyThenCloses(_ transport: Transport) async throws {
        let frontend = try await Frontend.start()
        let client = try await frontend.client(transport)
        try #require(frontend.host.session).socket.close(kick: "bye sid")
        #expect(try await client.kicked() == ["reason": "bye sid"])
        _ = try await client.closed()
        #expect(client.closeCode == (transport == .webSocket ? 1000 : nil))
        #expect(
            Bytes(client.received.suffix(24))
                == Bytes(hex: "050000147b22726561736f6e223a2262796520736964227d"))
        #expect(frontend.host.ends == [.kicked("bye sid")])
        await frontend.connector.stop()
    }

    @Test @Loop func aKickBeforeTheAcknowledgementOnlyCloses() throws {
        let wired = try Wired()
        wired.stream.feed(Sample.handshake)
        _ = wired.stream.taken()
        try #require(wired.host.session).socket.close(kick: "early")
        #expect(wired.stream.taken() == [])
        #expect(wired.stream.flushed)
    }

    @Test(arguments: Transport.allCases)
    @Loop func anUnwantedConnectionIsClosed(_ transport: Transport) async throws {
        let frontend = try await Frontend.start()
        frontend.host.refusing = true
        let client = try await frontend.connect(transport)
        client.send(Sample.handshake)
        _ = try await client.closed()
        #expect(client.received == [])
        #expect(client.closeCode == (transport == .webSocket ? 1013 : nil))
        #expect(frontend.connector.statistics.refused == 1)
        try await frontend.wait(for: "nobody") { frontend.connector.statistics.open == 0 }
        #expect(frontend.host.ends.isEmpty)
        await frontend.connector.stop()
    }

    @Test(arguments: Transport.allCases)
    @Loop func theClientsLeavingIsReported(_ transport: Transport) async throws {
        let frontend = try await Frontend.start()
        let client = try await frontend.client(transport)
        client.close()
        try await frontend.wait(for: "the end") { frontend.host.ends.count == 1 }
        #expect(frontend.host.ends == [.disconnected("client closed the connection")])
        try await frontend.wait(for: "nobody") { frontend.connector.statistics.open == 0 }
        await frontend.connector.stop()
    }

    @Test @Loop func stopClosesEverybody() async throws {
        let frontend = try await Frontend.start()
        let tcp = try await frontend.client(.tcp)
        let webSocket = try await frontend.client(.webSocket)
        let silent = try await frontend.network.connect(to: frontend.address, within: .seconds(1))
        try await frontend.wait(for: "three") { frontend.connector.statistics.open == 3 }
        let address = frontend.address
        await frontend.connector.stop()
        #expect(frontend.connector.statistics.open == 0)
        #expect(frontend.host.ends == [.stopped, .stopped])
        _ = try await tcp.closed()
        _ = try await webSocket.closed()
        #expect(webSocket.closeCode == 1001)
        await #expect(throws: NetworkError.self) {
            _ = try await frontend.network.connect(to: address, within: .seconds(1))
        }
        silent.close()
        await frontend.connector.stop()
    }

    @Test @Loop func stopCutsOffWhoDoesNotRead() async throws {
        let clock = ManualClock()
        let network = MemoryNetwork(clock: clock)
        let frontend = try await Frontend.start(on: network.endpoint("server"), clock: clock)
        let client = try await TestClient.connect(
            to: frontend.address, over: network.endpoint("client"), clock: clock)
        try await client.handshake()
        network.partition("server", "client")
        async let stopped: Void = frontend.connector.stop()
        while frontend.host.ends.isEmpty { await Loop.yield() }
        #expect(frontend.connector.statistics.open == 1)
        clock.advance(by: .seconds(1))
        await stopped
        #expect(frontend.connector.statistics.open == 0)
    }
}
