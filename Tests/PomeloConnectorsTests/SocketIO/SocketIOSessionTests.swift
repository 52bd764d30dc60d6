// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

/// Conversations of the three generations, over polling, WebSocket and from one to the other.
@Loop @Suite struct SocketIOSessionTests {
    nonisolated static let engineIO = [SocketIORevision.four, .five]

    private func push(_ route: String, _ body: String = "{}") throws -> PushMessage {
        try PushMessage(route: route, body: Bytes(body.utf8))
    }

    @Test(arguments: SocketIORevision.allCases) func byPolling(_ revision: SocketIORevision) async throws {
        let wired = try SocketIOWired()
        let session = try await wired.session(revision, on: wired.line())
        #expect(wired.host.sessions.count == 1)
        #expect(wired.service.statistics.polling == 1 && wired.service.statistics.open == 1)
        let line = wired.line()
        let ok = revision == .one ? "1" : "ok"
        let body = revision.payload(try revision.packet(7, "a.b.c", "{\"x\":1}"), try revision.packet(0, "a.b.d"))
        #expect(try line.post(session.path, body).text == ok)
        #expect(wired.host.messages.map(\.id) == [7, 0])
        #expect(wired.host.messages.map(\.route.text) == ["a.b.c", "a.b.d"])
        #expect(try line.get(session.path).text.contains(answer(7, "{\"x\":1}", revision)))
        // A poll that waits is answered by the push.
        line.send("GET", session.path)
        #expect(try line.answers().isEmpty)
        #expect(wired.host.session?.socket.push(try push("onChat")) == true)
        #expect(try line.answers().map { $0.text.contains("onChat") } == [true])
        #expect(wired.service.statistics.pollingBytes == 0)
        // The client leaves.
        _ = try line.post(session.path, revision.payload(revision == .one ? "0::" : "41"))
        #expect(wired.host.ends == [.disconnected("client closed the connection")])
        #expect(wired.ended(.clientClosed) == 1)
        line.cut()
        await wired.settle()
        for line in wired.lines { line.cut() }
        wired.expectNothingLeft()
    }

    @Test(arguments: SocketIORevision.allCases) func byWebSocket(_ revision: SocketIORevision) async throws {
        let wired = try SocketIOWired()
        let line = wired.line()
        try wired.webSocket(revision, on: line)
        #expect(wired.host.sessions.count == 1)
        #expect(wired.service.statistics.polling == 0 && wired.service.statistics.open == 1)
        line.say(try revision.packet(7, "a.b.c", "{\"x\":1}"))
        #expect(try line.frames() == [answer(7, "{\"x\":1}", revision)])
        wired.host.session?.socket.push(try push("onChat"))
        #expect(try line.frames().map { $0.contains("onChat") } == [true])
        wired.host.session?.socket.close(kick: "enough")
        let last = try line.frames()
        #expect(last.count == 3 && last[0].contains("onKick") && last[0].contains("enough"))
        #expect(last.dropFirst() == [revision == .one ? "0::" : "41", "close"])
        #expect(wired.host.ends == [.kicked("enough")])
        await wired.settle()
        for line in wired.lines { line.cut() }
        wired.expectNothingLeft()
    }

    private func answer(_ id: Int, _ body: String, _ revision: SocketIORevision) -> String {
        let text = "{\"id\":\(id),\"body\":\(body)}"
        return revision == .one ? "3:::\(text)" : "42[\"message\",\"\(text.replacing("\"", with: "\\\""))\"]"
    }

    @Test(arguments: engineIO) func anUpgradeLosesNothing(_ revision: SocketIORevision) async throws {
        let wired = try SocketIOWired()
        let session = try await wired.session(revision, on: wired.line())
        let (polls, socket) = (wired.line(), wired.line())
        polls.send("GET", session.path)
        socket.upgrade(session.path(.webSocket))
        socket.say("2probe")
        #expect(try socket.frames() == ["3probe"])
        #expect(try polls.answers().map(\.text) == [revision.payload("6")])
        wired.host.session?.socket.push(try push("on1"))
        wired.host.session?.socket.push(try push("on2"))
        #expect(wired.service.statistics.pollingBytes > 0)
        socket.say("5")
        #expect(try socket.frames().map { $0.contains("on1") || $0.contains("on2") } == [true, true])
        #expect(wired.service.statistics.polling == 0 && wired.service.statistics.pollingBytes == 0)
        #expect(wired.host.sessions.count == 1)
        // Its polls are over; its end is that of the WebSocket.
        #expect(try polls.get(session.path).status == 400)
        socket.cut()
        #expect(wired.host.ends == [.disconnected("client closed the connection")])
        await wired.settle()
        for line in wired.lines { line.cut() }
        wired.expectNothingLeft()
    }

    @Test(arguments: engineIO) func aProbeThatNeverUpgradesIsClosed(_ revision: SocketIORevision) async throws {
        var options = SocketIOOptions()
        options.heartbeats = false
        let wired = try SocketIOWired(options)
        let session = try await wired.session(revision, on: wired.line())
        for first in ["2probe", "4hello", ""] {
            let socket = wired.line()
            socket.upgrade(session.path(.webSocket))
            if !first.isEmpty { socket.say(first) }
            wired.clock.advance(by: .seconds(10))
            #expect(socket.stream.closing != nil, "\(first)")
            await wired.settle()
        }
        // The client goes on by polling.
        #expect(wired.host.sessions.count == 1)
        wired.host.session?.socket.push(try push("on1"))
        #expect(try wired.line().get(session.path).text.contains("on1"))
    }

    @Test func onlyOneWebSocketAtATime() async throws {
        let wired = try SocketIOWired()
        let session = try await wired.session(.five, on: wired.line())
        let (first, second) = (wired.line(), wired.line())
        first.upgrade(session.path(.webSocket))
        second.upgrade(session.path(.webSocket))
        #expect(try second.answers().map(\.status) == [400])
        first.say("2probe")
        first.say("5")
        let third = wired.line()
        third.upgrade(session.path(.webSocket))
        #expect(try third.answers().map(\.status) == [400])
        #expect(wired.service.session(session.sid)?.sockets.count == 1)
    }

    @Test func aNameIsOfOneRevisionAndOneConnectorOnly() async throws {
        let (wired, other) = (try SocketIOWired(), try SocketIOWired())
        let session = try await wired.session(.five, on: wired.line())
        let wrong = Session(revision: .four, sid: session.sid)
        #expect(try wired.line().get(wrong.path).status == 400)
        #expect(try wired.line().get(Session(revision: .one, sid: session.sid).path).status == 400)
        #expect(wired.service.statistics.refused[.unknownSession] == 2)
        _ = try other.begun(.five, on: other.line())
        #expect(try other.line().get("/socket.io/?EIO=4&transport=polling&sid=\(session.sid)x").status == 400)
        #expect(wired.host.sessions.count == 1)
    }

    @Test(arguments: engineIO) func twoPollsAtOnceEndTheSession(_ revision: SocketIORevision) async throws {
        let wired = try SocketIOWired()
        let session = try await wired.session(revision, on: wired.line())
        let (first, second) = (wired.line(), wired.line())
        first.send("GET", session.path)
        second.send("GET", session.path)
        #expect(try first.answers().map(\.text) == [revision.payload("1")])
        #expect(try second.answers().map(\.status) == [400])
        #expect(wired.host.ends == [.disconnected("badPackage")] && wired.ended(.overlap) == 1)
        #expect(wired.service.session(session.sid) == nil)
    }

    @Test func inZeroNineTheNextPollReplacesTheLast() async throws {
        let wired = try SocketIOWired()
        let session = try await wired.session(.one, on: wired.line())
        let (first, second) = (wired.line(), wired.line())
        first.send("GET", session.path)
        second.send("GET", session.path)
        #expect(try first.answers().map(\.text) == ["8::"])
        wired.host.session?.socket.push(try push("on1"))
        #expect(try second.answers().map { $0.text.contains("on1") } == [true])
    }

    /// A client may say something and leave in one breath.
    @Test(arguments: SocketIORevision.allCases)
    func lastWordsAreHeard(_ revision: SocketIORevision) async throws {
        let wired = try SocketIOWired()
        let session = try await wired.session(revision, on: wired.line())
        let bye = revision == .one ? "0::" : "41"
        _ = try wired.line().post(session.path, revision.payload(try revision.packet(0), bye))
        #expect(wired.host.messages.count == 1)
        #expect(wired.host.ends == [.disconnected("client closed the connection")])
    }

    @Test(arguments: SocketIORevision.allCases) func aKickIsFetched(_ revision: SocketIORevision) async throws {
        let wired = try SocketIOWired()
        let session = try await wired.session(revision, on: wired.line())
        wired.host.session?.socket.push(try push("on1"))
        wired.host.session?.socket.close(kick: "enough")
        #expect(wired.host.ends == [.kicked("enough")])
        #expect(wired.service.statistics.open == 1, "its end is to be fetched")
        let text = try wired.line().get(session.path).text
        #expect(text.contains("on1") && text.contains("onKick") && text.contains(revision == .one ? "0::" : "41"))
        #expect(wired.service.statistics.open == 0)
        #expect(try wired.line().get(session.path).status == 400)
    }

    @Test(arguments: SocketIORevision.allCases)
    func anEndThatNobodyFetchesIsForgotten(_ revision: SocketIORevision) async throws {
        var options = SocketIOOptions()
        options.closeTimeout = .seconds(5)
        let wired = try SocketIOWired(options)
        _ = try await wired.session(revision, on: wired.line())
        wired.host.session?.socket.close(kick: "enough")
        wired.clock.advance(by: .seconds(5))
        for line in wired.lines { line.cut() }
        wired.expectNothingLeft()
    }

    @Test(arguments: SocketIORevision.allCases, [Session.Transport.polling, .webSocket])
    func whoIsNotWantedIsTold(_ revision: SocketIORevision, _ transport: Session.Transport) async throws {
        let wired = try SocketIOWired()
        wired.host.refusing = true
        let line = wired.line()
        var told: [String] = []
        if transport == .webSocket {
            var path = "/socket.io/?EIO=\(revision.engineIO)&transport=websocket"
            if revision == .one { path = try wired.begun(.one, on: wired.line()).path(.webSocket) }
            line.upgrade(path)
            if revision == .five { line.say("40") }
            told = try line.frames()
            #expect(line.stream.flushed)
        } else {
            let session = try wired.begun(revision, on: line)
            if revision == .five { _ = try line.post(session.path, "40") }
            for _ in 0..<3 {
                line.send("GET", session.path)
                told += try line.answers().map(\.text)
            }
        }
        let error = revision == .one ? "7:::1+0" : "44"
        #expect(told.contains { $0.contains(error) }, "\(told)")
        #expect(wired.port.statistics.refused == 1 && wired.host.ends.isEmpty)
        for line in wired.lines { line.cut() }
        wired.expectNothingLeft()
    }

    /// Whoever holds a connection or a session is let go with it.
    @Test(arguments: SocketIORevision.allCases) func nothingLivesOn(_ revision: SocketIORevision) async throws {
        let wired = try SocketIOWired()
        weak var client: SocketIOClient?
        weak var connection: StreamConnection?
        do {
            let session = try await wired.session(revision, on: wired.line())
            client = wired.service.session(session.sid)
            let line = wired.line()
            connection = line.stream.delegate as? StreamConnection
            line.send("GET", session.path)
            let post = wired.line()
            post.send("POST", session.path, ["Content-Length: 9"])
            let socket = wired.line()
            socket.upgrade(session.path(.webSocket))
            if revision != .one {
                socket.say("2probe")
                socket.say("5")
            }
            client?.close(kick: "enough")
        }
        await wired.settle()
        for line in wired.lines { line.cut() }
        wired.clock.advance(by: .seconds(100))
        await wired.settle()
        #expect(client == nil && connection == nil)
        wired.expectNothingLeft()
    }
}
