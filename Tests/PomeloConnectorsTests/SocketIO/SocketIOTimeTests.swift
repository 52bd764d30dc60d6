// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

/// Signs of life, and what happens without them.
@Loop @Suite struct SocketIOTimeTests {
    private func options(_ change: (inout SocketIOOptions) -> Void = { _ in }) -> SocketIOOptions {
        var options = SocketIOOptions()
        options.heartbeatInterval = .seconds(20)
        options.heartbeatTimeout = .seconds(30)
        options.closeTimeout = .seconds(40)
        change(&options)
        return options
    }

    @Test func onAWebSocketTheSideThatAsksIsAnswered() throws {
        let wired = try SocketIOWired(options())
        let lines = Dictionary(uniqueKeysWithValues: SocketIORevision.allCases.map { ($0, wired.line()) })
        for (revision, line) in lines { try wired.webSocket(revision, on: line) }
        for _ in 0..<5 {
            wired.clock.advance(by: .seconds(20))
            #expect(try lines[.five]?.frames() == ["2"])
            #expect(try lines[.one]?.frames() == ["2::"])
            #expect(try lines[.four]?.frames() == [])
            lines[.five]?.say("3")
            lines[.one]?.say("2::")
            lines[.four]?.say("2x")
            #expect(try lines[.four]?.frames() == ["3x"])
        }
        wired.clock.advance(by: .seconds(50))
        #expect(wired.ended(.silent) == 3)
        #expect(wired.host.ends == Array(repeating: .disconnected("heartbeatTimeout"), count: 3))
        for line in wired.lines { line.cut() }
        wired.expectNothingLeft()
    }

    @Test(arguments: SocketIORevision.allCases)
    func aPollingClientThatStaysAwayEnds(_ revision: SocketIORevision) async throws {
        let wired = try SocketIOWired(options())
        _ = try await wired.session(revision, on: wired.line())
        for line in wired.lines { line.cut() }
        wired.clock.advance(by: .seconds(50))
        #expect(wired.host.ends.count == 1)
        wired.expectNothingLeft()
    }

    @Test(arguments: SocketIORevision.allCases)
    func withoutHeartbeatsAPollingClientThatStaysAwayEndsToo(_ revision: SocketIORevision) async throws {
        let wired = try SocketIOWired(options { $0.heartbeats = false })
        let session = try await wired.session(revision, on: wired.line())
        let line = wired.line()
        line.send("GET", session.path)
        // The client is gone, and its connection does not say so: the poll ends by itself.
        wired.clock.advance(by: .seconds(20))
        line.send("GET", session.path)
        _ = try line.answers()
        wired.clock.advance(by: .seconds(61))
        #expect(wired.host.ends == [.disconnected("idleTimeout")])
        for line in wired.lines { line.cut() }
        wired.expectNothingLeft()
    }

    @Test(arguments: SocketIORevision.allCases)
    func withoutHeartbeatsADeadWebSocketIsNoticed(_ revision: SocketIORevision) throws {
        let wired = try SocketIOWired(
            options {
                $0.heartbeats = false
                $0.limits.idleTimeout = .seconds(60)
            })
        let line = wired.line()
        try wired.webSocket(revision, on: line)
        wired.clock.advance(by: .seconds(30))
        #expect(try line.frames() == ["ping"])
        line.stream.feed(Sample.frame([], .pong))
        wired.clock.advance(by: .seconds(30))
        #expect(try line.frames() == ["ping"])
        wired.clock.advance(by: .seconds(30))
        #expect(wired.fault(.idleTimeout) > 0)
        #expect(wired.host.ends.count == 1)
        for line in wired.lines { line.cut() }
        wired.expectNothingLeft()
    }

    /// A connection that speaks Engine.IO and never enters pomelo is no client.
    @Test(arguments: [Session.Transport.polling, .webSocket])
    func whoNeverEntersEnds(_ transport: Session.Transport) async throws {
        let wired = try SocketIOWired(options { $0.limits.handshakeTimeout = .seconds(10) })
        let line = wired.line()
        if transport == .webSocket {
            line.upgrade("/socket.io/?EIO=4&transport=websocket")
        } else {
            _ = try wired.begun(.five, on: line)
        }
        #expect(wired.port.statistics.pending == 1)
        wired.clock.advance(by: .seconds(9))
        #expect(wired.service.statistics.open == 1)
        wired.clock.advance(by: .seconds(1))
        #expect(wired.service.statistics.open == 0)
        #expect(wired.fault(.handshakeTimeout) == 1)
        #expect(wired.host.ends.isEmpty)
        for line in wired.lines { line.cut() }
        await wired.settle()
        wired.expectNothingLeft()
    }

    @Test func aClientOfZeroNineMayTakeItsTimeForAnotherTransport() async throws {
        let wired = try SocketIOWired(options { $0.heartbeatTimeout = .seconds(60) })
        let session = try wired.begun(.one, on: wired.line())
        wired.clock.advance(by: .seconds(39))
        #expect(try wired.line().get(session.path).text.contains("1::"))
        _ = try wired.begun(.one, on: wired.line())
        wired.clock.advance(by: .seconds(40))
        #expect(wired.ended(.absent) == 1)
    }

    /// While the core does not want more, silence proves nothing.
    @Test func aPausedClientIsNotSilent() async throws {
        let wired = try SocketIOWired(options())
        let line = wired.line()
        try wired.webSocket(.five, on: line)
        wired.host.session?.socket.pauseReading()
        for _ in 0..<10 {
            wired.clock.advance(by: .seconds(20))
            line.say("3")
        }
        #expect(wired.host.ends.isEmpty)
        wired.host.session?.socket.resumeReading()
        await wired.settle()
        wired.clock.advance(by: .seconds(51))
        #expect(wired.ended(.silent) == 1)
    }
}
