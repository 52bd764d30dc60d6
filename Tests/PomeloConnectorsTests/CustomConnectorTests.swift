// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloConnectors
import PomeloContract
import PomeloLoop
import TestHelpers
import Testing

@testable import PomeloCore

/// What the adapter does for a connector: making it, one end for each client, bounds, the stop.
@Suite struct CustomConnectorTests {
    // MARK: starting

    @Test @Loop func itIsMadeOfHostClientPortAndOptions() async throws {
        struct App { var connector: (any Connector)? }
        var app = App()
        var options = CustomOptions<String>()
        options.maxHeldBytes = 77_777
        app.connector = ConnectorAdapter(options) { host, clientPort, options in
            TextConnector(host, clientPort, options)
        }
        let adapter = try #require(app.connector as? ConnectorAdapter<TextConnector>)
        #expect(adapter.connector == nil)
        #expect(adapter.type == "TextConnector" && adapter.takesPort)
        let custom = Custom()
        try await adapter.start(custom.host, custom.context)
        let connector = try #require(adapter.connector)
        #expect(connector.address == SocketAddress(host: "127.0.0.1", port: 3010))
        #expect(connector.options.maxHeldBytes == 77_777)
        await adapter.stop()
        #expect(connector.stops == [false])
        #expect(adapter.connector == nil)
    }

    @Test @Loop func oneThatIsGivenIsStartedAsOftenAsTheServer() async throws {
        let custom = Custom()
        #expect(!custom.adapter.takesPort)
        for count in 1...2 {
            _ = try await custom.start()
            #expect(custom.adapter.connector === custom.connector)
            await custom.adapter.stop()
            #expect(custom.connector.starts == count)
        }
    }

    @Test @Loop func aConnectorThatCannotListenEndsTheStartAndIsNamed() async throws {
        let custom = Custom()
        custom.connector.failure = NetworkError(code: "EADDRINUSE", description: "cannot listen on x")
        let error = await thrown { _ = try await custom.start() } as? PomeloError
        #expect(error?.code == .network)
        #expect(error?.message.contains("TextConnector: cannot listen on x") == true)
        await custom.adapter.stop()
        #expect(custom.connector.stops == [])
    }

    @Test @Loop func aConnectorThatDoesNotStopIsStoppedByForce() async throws {
        let custom = try await Custom().start()
        custom.connector.stopsOnlyByForce = true
        let stop = Loop.spawn { await custom.adapter.stop() }
        try await custom.wait(for: "the stop") { custom.connector.stops == [false] }
        custom.clock.advance(by: .seconds(1))
        await stop.value
        #expect(custom.connector.stops == [false, true])
        custom.connector.letGo()
    }

    // MARK: one end

    @Test(arguments: ["disconnect", "error", "close", "kick", "stop", "slow"])
    @Loop func eachClientEndsOnceHoweverOftenItIsSaid(_ first: String) async throws {
        var options = CustomOptions<String>()
        options.maxOutboundBytes = 64
        let custom = try await Custom(Custom.plain, options).start()
        let socket = custom.connector.connect()
        socket.tellsItsEnd = true
        let session = try #require(custom.host.session)
        let delegate = try #require(socket.delegate)
        switch first {
        case "disconnect": delegate.disconnect("left")
        case "error": delegate.error(Fault(500))
        case "close": session.socket.close(kick: nil)
        case "kick": session.socket.close(kick: "why")
        case "stop": await custom.adapter.stop()
        default:
            (socket.isStuck, socket.queuedBytes) = (true, 60)
            let message = try PushMessage(route: "on", body: Bytes("too long by far".utf8))
            #expect(!session.socket.push(message))
            #expect(custom.host.ends.isEmpty)
        }
        delegate.disconnect("again")
        delegate.error(Fault(501))
        delegate.message("1 a.b.c x")
        session.socket.close(kick: "late")
        session.socket.respond(id: 1, body: [])
        #expect(!session.socket.push(try PushMessage(route: "on", body: [])))
        await custom.turn()
        #expect(custom.host.ends.count == 1)
        #expect(custom.host.messages.isEmpty)
        #expect(custom.adapter.statistics.heldBytes == 0)
        #expect(socket.sent == [])
        #expect(socket.delegate == nil)
        #expect(socket.disconnects == 1)
        #expect(custom.adapter.statistics.open == 0)
        await custom.adapter.stop()
        #expect(custom.host.ends.count == 1)
    }

    @Test @Loop func theSocketIsToldWhyBeforeItIsClosed() async throws {
        let custom = try await Custom().start()
        let (kicked, stopped) = (custom.connector.connect(), custom.connector.connect())
        let session = custom.host.sessions.values.first { $0.socket === kicked.delegate }
        session?.socket.push(try PushMessage(route: "on", body: Bytes("last".utf8)))
        session?.socket.close(kick: "too loud")
        #expect(kicked.sent == ["0 on last"])
        #expect(kicked.farewells == [.kicked("too loud")])
        await custom.adapter.stop()
        #expect(stopped.farewells == [.stopped])
    }

    // MARK: bounds

    @Test @Loop func whoComesBeyondTheLimitIsRefused() async throws {
        let custom = try await Custom(maxConnections: 2).start()
        let sockets = (0..<2).map { _ in custom.connector.connect() }
        #expect(custom.connector.isPaused)
        let third = custom.connector.connect()
        #expect(third.disconnects == 1)
        #expect(third.delegate == nil)
        #expect(custom.adapter.statistics.refused == 1)
        #expect(custom.adapter.statistics.acceptPauses == 1)
        sockets[0].delegate?.disconnect("left")
        #expect(!custom.connector.isPaused)
        #expect(custom.connector.connect().delegate != nil)
        custom.host.refusing = true
        sockets[1].delegate?.disconnect("left")
        #expect(custom.connector.connect().disconnects == 1)
        #expect(custom.adapter.statistics.open == 1)
        await custom.adapter.stop()
        #expect(custom.connector.connect().disconnects == 1)
    }

    @Test @Loop func aClientThatDoesNotReadIsDisconnectedAndNobodyElse() async throws {
        var options = CustomOptions<String>()
        options.maxOutboundBytes = 100
        let custom = try await Custom(Custom.plain, options).start()
        let (slow, other) = (custom.connector.connect(), custom.connector.connect())
        slow.isStuck = true
        let long = try PushMessage(route: "on", body: Bytes(repeating: 0x78, count: 500))
        // One that is longer than the bound is let through to who has read everything.
        for session in custom.host.sessions.values { #expect(session.socket.push(long)) }
        await custom.turn()
        let short = try PushMessage(route: "on", body: [0x79])
        for session in custom.host.sessions.values { session.socket.push(short) }
        await custom.turn()
        #expect(custom.host.ends.map(\.description) == ["slowConsumer"])
        #expect(custom.adapter.statistics.slowConsumers == 1)
        #expect(slow.sent.count == 1)
        #expect(other.sent.count == 2)
        await custom.adapter.stop()
    }

    @Test @Loop func whatAPausedClientSaysWaitsToItsBound() async throws {
        var options = CustomOptions<String>()
        options.maxHeldBytes = 1000
        let custom = try await Custom(Custom.plain, options).start()
        let socket = custom.connector.connect()
        let session = try #require(custom.host.session)
        session.socket.pauseReading()
        #expect(!socket.isReading)
        socket.say("1 a.b.c x", "2 a.b.c y")
        await custom.turn()
        #expect(custom.host.messages.isEmpty)
        #expect(custom.adapter.statistics.heldBytes == 2 * (9 + 64))
        session.socket.resumeReading()
        try await custom.wait(for: "what waited") { custom.host.messages.count == 2 }
        #expect(custom.host.messages.map(\.id) == [1, 2])
        #expect(custom.host.messages.allSatisfy { $0.arrival == custom.clock.now })
        #expect(socket.isReading)
        #expect(custom.adapter.statistics.heldBytes == 0)
        session.socket.pauseReading()
        for id in 1...13 { socket.say("\(id) a.b.c x") }
        #expect(custom.adapter.statistics.heldTooMuch == 0)
        socket.say("14 a.b.c x")
        await custom.turn()
        #expect(custom.adapter.statistics.heldTooMuch == 1)
        #expect(custom.host.ends.count == 1)
        #expect(custom.adapter.statistics.heldBytes == 0)
        await custom.adapter.stop()
    }

    @Test @Loop func aClientHasItsShareOfATurnAndNoMore() async throws {
        var options = CustomOptions<String>()
        options.maxMessagesPerTurn = 10
        let custom = try await Custom(Custom.plain, options).start()
        let (busy, other) = (custom.connector.connect(), custom.connector.connect())
        for id in 1...35 { busy.say("\(id) a.b.c x") }
        other.say("100 a.b.c x")
        #expect(custom.host.messages.map(\.id) == Array(1...10) + [100])
        try await custom.wait(for: "the rest") { custom.host.messages.count == 36 }
        #expect(custom.host.messages.filter { $0.id < 100 }.map(\.id) == Array(1...35))
        await custom.adapter.stop()
    }

    @Test @Loop func whatComesBeforeTheRestOfTheLastTurnWaitsBehindIt() async throws {
        var options = CustomOptions<String>()
        options.maxMessagesPerTurn = 1
        let custom = try await Custom(Custom.plain, options).start()
        let socket = custom.connector.connect()
        // The next turn begins with this, and has a share of its own.
        EventLoop.shared.inNextTurn { socket.say("3 a.b.c x") }
        socket.say("1 a.b.c x", "2 a.b.c x")
        try await custom.wait(for: "all") { custom.host.messages.count == 3 }
        #expect(custom.host.messages.map(\.id) == [1, 2, 3])
        await custom.adapter.stop()
    }

    @Test @Loop func aCoreThatPausesInsideAMessageGetsNoFurtherOne() async throws {
        let custom = try await Custom().start()
        let socket = custom.connector.connect()
        custom.host.onMessage = { _, session in session.socket.pauseReading() }
        socket.say("1 a.b.c x", "2 a.b.c x", "3 a.b.c x")
        await custom.turn()
        #expect(custom.host.messages.count == 1)
        for count in 2...3 {
            custom.host.session?.socket.resumeReading()
            try await custom.wait(for: "the next") { custom.host.messages.count == count }
            await custom.turn()
            #expect(custom.host.messages.count == count)
        }
        await custom.adapter.stop()
    }
}
