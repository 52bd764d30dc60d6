// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

/// Requests and answers of one connection after another: each is answered once, and nothing is kept of those that are
/// over.
@Loop @Suite struct SocketIOHTTPTests {
    @Test(arguments: SocketIORevision.allCases)
    func aConnectionThatClosesAfterEachAnswerIsToldEverythingOnce(_ revision: SocketIORevision) async throws {
        let wired = try SocketIOWired()
        let session = try await wired.session(revision, on: wired.line())
        for number in 1...3 {
            wired.host.session?.socket.push(try PushMessage(route: "on\(number)", body: Bytes("{}".utf8)))
            let poll = try wired.line().get(session.path, ["Connection: close"])
            #expect(poll.headers["connection"] == "close")
            #expect(poll.text.contains("on\(number)") && !poll.text.contains("on\(number - 1)"))
            await wired.settle()
        }
    }

    @Test func anAnswerThatDidNotLeaveIsGivenToTheNextPoll() async throws {
        let wired = try SocketIOWired()
        let session = try await wired.session(.five, on: wired.line())
        let line = wired.line()
        line.send("GET", session.path)
        line.stream.stuck = true
        wired.host.session?.socket.push(try PushMessage(route: "on1", body: Bytes("{}".utf8)))
        #expect(line.stream.queuedBytes > 0)
        // The client gives it up and comes back before the end of its connection is seen.
        let poll = try wired.line().get(session.path)
        #expect(poll.text.contains("on1"))
        #expect(line.stream.closing != nil, "what is left of the first answer must not arrive too")
        await wired.settle()
        line.send("GET", session.path)
        wired.host.session?.socket.push(try PushMessage(route: "on2", body: Bytes("{}".utf8)))
        #expect(try !wired.line().get(session.path).text.contains("on1"))
    }

    @Test func pipelinedRequestsAreAnsweredOneAfterTheOther() async throws {
        let wired = try SocketIOWired()
        let session = try await wired.session(.five, on: wired.line())
        let line = wired.line()
        for id in 1...5 { line.send("POST", session.path, body: try SocketIORevision.five.packet(UInt32(id))) }
        line.send("GET", session.path)
        var answers: [Line.Answer] = []
        for _ in 0..<8 {
            answers += try line.answers()
            await wired.settle()
        }
        #expect(answers.map(\.status) == [200, 200, 200, 200, 200, 200])
        #expect(wired.host.messages.map(\.id) == [1, 2, 3, 4, 5])
        let last = try #require(answers.last)
        for id in 1...5 { #expect(last.text.contains("{\\\"id\\\":\(id)")) }
        #expect(wired.service.session(session.sid)?.isAway == true, "no request is left over")
    }

    @Test func requestsMayComeInAnyPieces() async throws {
        let text = "POST %@ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n4\r\n1;x=y\r\n0\r\n0\r\n\r\n"
        for step in [1, 2, 3, 7] {
            let wired = try SocketIOWired()
            let line = wired.line()
            let session = try wired.begun(.five, on: line)
            let input = Bytes(text.replacing("%@", with: session.path).utf8)
            var start = 0
            while start < input.count {
                line.stream.feed(Bytes(input[start..<min(start + step, input.count)]))
                start += step
            }
            #expect(try line.answers().map(\.text) == ["ok"])
            #expect(wired.host.sessions.count == 1)
        }
    }

    @Test(arguments: [
        ("GET", "/", 404), ("GET", "/socket.io", 404), ("POST", "/", 404), ("GET", "/socket.io/2/", 400),
        ("GET", "/socket.io/?transport=polling", 400), ("GET", "/socket.io/?EIO=5&transport=polling", 400),
        ("GET", "/socket.io/?EIO=4&transport=flashsocket", 400), ("HEAD", "/socket.io/?EIO=4&transport=polling", 400),
        ("POST", "/socket.io/?EIO=4&transport=polling", 400), ("PUT", "/socket.io/?EIO=4&transport=polling", 400),
        ("GET", "/socket.io/?EIO=4&transport=polling&sid=x", 400), ("GET", "/socket.io/1/xhr-polling/x", 400),
        ("GET", "/socket.io/?EIO=4&transport=websocket", 400), ("GET", "/socket.io/1/jsonp-polling/x", 400),
        ("GET", "/socket.io/%%", 400), ("POST", "/socket.io/1/", 400),
    ])
    func whatCannotBeIsAnsweredAndForgotten(_ method: String, _ target: String, _ status: Int) async throws {
        let wired = try SocketIOWired()
        let line = wired.line()
        line.send(method, target, body: method == "POST" ? "40" : nil)
        let answer = try #require(try line.answers().first)
        #expect(answer.status == status || answer.status == 401)
        #expect(method != "HEAD" || answer.text.isEmpty)
        if line.stream.closing == nil { line.cut() }
        await wired.settle()
        wired.expectNothingLeft()
    }

    @Test func aBodyForNobodyIsNotAwaited() async throws {
        let wired = try SocketIOWired()
        let line = wired.line()
        line.send("POST", "/socket.io/?EIO=4&transport=polling&sid=nobody", ["Content-Length: 1000000"])
        let answer = try #require(try line.answers().first)
        #expect(answer.status == 400 && answer.headers["connection"] == "close")
        #expect(line.stream.flushed)
        await wired.settle()
        wired.expectNothingLeft()
    }

    @Test func whoAsksFirstIsToldToGoOn() throws {
        let wired = try SocketIOWired()
        let line = wired.line()
        let session = try wired.begun(.five, on: line)
        line.send("POST", session.path, ["Content-Length: 2", "Expect: 100-continue"])
        #expect(line.stream.taken() == HTTPResponse.goOn)
        line.stream.feed(Bytes("40".utf8))
        #expect(try line.answers().map(\.text) == ["ok"])
    }

    @Test func aBodyThatNeverEndsEndsItsConnectionOnly() async throws {
        var options = SocketIOOptions()
        options.limits.idleTimeout = .seconds(40)
        let wired = try SocketIOWired(options)
        let session = try await wired.session(.five, on: wired.line())
        let slow = wired.line()
        slow.send("POST", session.path, ["Content-Length: 100"])
        for _ in 0..<4 {
            slow.stream.feed([UInt8(ascii: "2")])
            #expect(wired.port.statistics.heldBytes > 0)
            wired.clock.advance(by: .seconds(10))
        }
        #expect(slow.stream.closing != nil && wired.fault(.idleTimeout) > 0)
        #expect(wired.port.statistics.heldBytes == 0)
        await wired.settle()
        #expect(try wired.line().post(session.path, "3").text == "ok")
        #expect(wired.host.sessions.count == 1)
    }

    @Test(arguments: [("Content-Length: 1048577", 413), ("Content-Length: 1\r\nContent-Length: 2", 400)])
    func lengthsThatCannotBeAreRefused(_ header: String, _ status: Int) async throws {
        let wired = try SocketIOWired()
        let line = wired.line()
        let session = try wired.begun(.five, on: line)
        line.send("POST", session.path, [header])
        #expect(try line.answers().map(\.status) == [status])
        #expect(line.stream.flushed)
    }

    @Test func headsAreBounded() async throws {
        let wired = try SocketIOWired()
        let long = wired.line()
        long.send("GET", "/socket.io/?EIO=4&transport=polling", ["X: " + String(repeating: "x", count: 9000)])
        #expect(try long.answers().map(\.status) == [431])
        let many = wired.line()
        many.send("GET", "/socket.io/?EIO=4&transport=polling", (0..<70).map { "X\($0): y" })
        #expect(try many.answers().map(\.status) == [400])
        await wired.settle()
        wired.expectNothingLeft()
    }

    @Test func anIdleConnectionIsClosed() async throws {
        var options = SocketIOOptions()
        options.limits.idleTimeout = .seconds(20)
        let wired = try SocketIOWired(options)
        let line = wired.line()
        _ = try wired.begun(.five, on: line)
        wired.clock.advance(by: .seconds(19))
        #expect(line.stream.closing == nil)
        wired.clock.advance(by: .seconds(1))
        #expect(line.stream.closing != nil)
        #expect(wired.fault(.idleTimeout) == 1)
    }
}
