// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

/// What polling clients may cost, and whose place is taken when it is too much.
@Loop @Suite struct SocketIOLimitTests {
    private func wired(_ change: (inout SocketIOOptions) -> Void) throws -> SocketIOWired {
        var options = SocketIOOptions()
        change(&options)
        return try SocketIOWired(options)
    }

    private func push(_ route: String, bytes: Int = 2) throws -> PushMessage {
        try PushMessage(route: route, body: Bytes("\"\(String(repeating: "x", count: bytes - 2))\"".utf8))
    }

    private func close(_ wired: SocketIOWired) async {
        for line in wired.lines { line.cut() }
        await wired.settle()
    }

    // MARK: number

    @Test(arguments: SocketIORevision.allCases)
    func whoHasBeenAwayForLongestMakesRoom(_ revision: SocketIORevision) async throws {
        let wired = try wired { $0.maxPollingSessions = 3 }
        var sessions: [Session] = []
        for _ in 0..<3 {
            sessions.append(try await wired.session(revision, on: wired.line()))
            wired.clock.advance(by: .milliseconds(10))
        }
        wired.lines[1].send("GET", sessions[0].path)
        _ = try wired.lines[1].answers()
        _ = try await wired.session(revision, on: wired.line())
        #expect(wired.service.session(sessions[1].sid) == nil, "nothing is kept of it")
        #expect(wired.service.session(sessions[0].sid) != nil && wired.service.session(sessions[2].sid) != nil)
        #expect(wired.service.statistics.polling == 3 && wired.service.statistics.open == 3)
    }

    /// Whoever the core does not know goes first, however busy it is.
    @Test func newcomersMakeRoomBeforeClients() async throws {
        for perAddress in [2, 100] {
            let wired = try wired {
                $0.maxPollingSessions = 2
                $0.maxPollingSessionsPerAddress = perAddress
            }
            let client = try await wired.session(.five, on: wired.line())
            wired.line().send("GET", client.path)
            wired.clock.advance(by: .seconds(5))
            for _ in 0..<5 {
                let line = wired.line()
                let newcomer = try wired.begun(.five, on: line)
                line.send("POST", newcomer.path, ["Content-Length: 1000"])
            }
            #expect(wired.service.session(client.sid) != nil)
            #expect(wired.service.statistics.open == 2)
        }
    }

    /// Who has entered and left does not keep newcomers of its address out.
    @Test func whoIsGoneMakesRoomBeforeNewcomers() async throws {
        let wired = try wired { $0.maxPollingSessionsPerAddress = 2 }
        for _ in 0..<2 { _ = try await wired.session(.five, on: wired.line()) }
        wired.clock.advance(by: .seconds(3))
        let newcomers = try (0..<2).map { _ in try wired.begun(.five, on: wired.line()) }
        #expect(newcomers.allSatisfy { wired.service.session($0.sid) != nil })
        #expect(wired.service.statistics.open == 2)
    }

    /// A crowd that enters and goes makes room for its own, and a newcomer among it keeps its place.
    @Test(arguments: [(3, 100), (100, 3)])
    func aCrowdMakesRoomForItsOwn(_ limit: Int, _ perAddress: Int) async throws {
        let wired = try wired {
            $0.maxPollingSessions = limit
            $0.maxPollingSessionsPerAddress = perAddress
        }
        for _ in 0..<3 { _ = try await wired.session(.five, on: wired.line()) }
        wired.clock.advance(by: .milliseconds(500))
        let newcomer = try wired.begun(.five, on: wired.line())
        for _ in 0..<5 {
            _ = try await wired.session(.five, on: wired.line())
            wired.clock.advance(by: .milliseconds(10))
        }
        #expect(wired.service.session(newcomer.sid) != nil)
        #expect(wired.service.statistics.open == 3)
        await close(wired)
    }

    /// A poll with more behind it: the end of its connection is not read before it is answered.
    @Test func aPollWithMoreBehindItKeepsNobodyOut() async throws {
        let wired = try wired { $0.maxPollingSessionsPerAddress = 2 }
        for _ in 0..<2 {
            let session = try await wired.session(.five, on: wired.line())
            let line = wired.line()
            line.send("GET", session.path)
            line.send("GET", session.path)
        }
        wired.clock.advance(by: .seconds(3))
        let client = try await wired.session(.five, on: wired.line())
        #expect(wired.service.session(client.sid) != nil && wired.service.statistics.open == 2)
        #expect(wired.fault(.crowdedOut) == 1)
        await close(wired)
    }

    @Test func whenAllAreThereNobodyComes() async throws {
        let wired = try wired { $0.maxPollingSessions = 2 }
        for _ in 0..<2 {
            let session = try await wired.session(.five, on: wired.line())
            wired.line().send("GET", session.path)
        }
        let timers = wired.clock.pendingTimers
        let line = wired.line()
        #expect(try line.get("/socket.io/?EIO=4&transport=polling").status == 503)
        line.cut()
        #expect(wired.clock.pendingTimers == timers, "who was refused leaves nothing behind")
        #expect(wired.service.statistics.begun == 2)
    }

    @Test func oneAddressHasAPartOnly() async throws {
        let wired = try wired { $0.maxPollingSessionsPerAddress = 2 }
        let other = try await wired.session(.five, on: wired.line(from: "192.0.2.9"))
        for _ in 0..<5 { _ = try await wired.session(.five, on: wired.line()) }
        #expect(wired.service.statistics.open == 3)
        #expect(wired.service.session(other.sid) != nil)
    }

    /// Many requests in one breath put out nobody from the same address who came by another connection.
    @Test func oneConnectionHasAPartOfItsAddressOnly() async throws {
        let wired = try wired { $0.maxPollingSessionsPerAddress = 32 }
        let newcomer = try wired.begun(.five, on: wired.line())
        let line = wired.line()
        for _ in 0..<100 { _ = try wired.begun(.five, on: line) }
        #expect(wired.service.session(newcomer.sid) != nil)
        #expect(wired.service.statistics.open == 3)
        let (first, second) = (wired.line(), wired.line())
        for line in [first, second] { _ = try await wired.session(.four, on: line) }
        for line in [first, second] { _ = try await wired.session(.four, on: line) }
        #expect(wired.service.statistics.open == 7, "who has entered takes none of the connection's part")
        await close(wired)
    }

    /// Not even by living where that one lived in memory.
    @Test func aConnectionIsNeverTakenForOneThatIsGone() async throws {
        let wired = try wired { $0.maxPollingSessionsPerAddress = 64 }
        for _ in 0..<40 {
            let line = wired.line()
            _ = try wired.begun(.five, on: line)
            line.cut()
            await wired.settle()
        }
        #expect(wired.service.statistics.polling == 40)
        #expect(wired.fault(.crowdedOut) == 0)
        await close(wired)
    }

    @Test func aWebSocketTakesNobodysPlace() async throws {
        let wired = try wired { $0.maxPollingSessions = 1 }
        let session = try await wired.session(.five, on: wired.line())
        for _ in 0..<3 { try wired.webSocket(.five, on: wired.line()) }
        #expect(wired.service.session(session.sid) != nil)
        #expect(wired.service.statistics.polling == 1 && wired.service.statistics.open == 4)
        wired.line().send("GET", session.path)
        try wired.webSocket(.five, on: wired.line())
        #expect(wired.service.statistics.open == 5)
    }

    // MARK: bytes

    @Test(arguments: SocketIORevision.allCases)
    func whoDoesNotFetchIsClosed(_ revision: SocketIORevision) async throws {
        let wired = try wired { $0.limits.maxOutboundBytes = 1000 }
        _ = try await wired.session(revision, on: wired.line())
        let session = try #require(wired.host.session)
        #expect(session.socket.push(try push("on1", bytes: 2000)), "one message may be longer")
        #expect(!session.socket.push(try push("on2")))
        #expect(wired.host.ends == [.disconnected("slowConsumer")])
        #expect(wired.fault(.slowConsumer) == 1)
        #expect(wired.service.statistics.pollingBytes == 0 && wired.service.statistics.open == 0)
        await close(wired)
        wired.expectNothingLeft()
    }

    @Test(arguments: SocketIORevision.allCases)
    func theOldestPushesAreLeftOut(_ revision: SocketIORevision) async throws {
        let wired = try wired {
            $0.limits.maxOutboundBytes = 1000
            $0.limits.slowReaders = .dropOldest
        }
        let session = try await wired.session(revision, on: wired.line())
        let socket = try #require(wired.host.session?.socket)
        socket.respond(id: 5, body: Bytes("{}".utf8))
        for number in 1...20 { #expect(socket.push(try push("on.\(number).", bytes: 100))) }
        let text = try wired.line().get(session.path).text
        #expect(text.contains("{\"id\":5") || text.contains("{\\\"id\\\":5"), "answers are never left out")
        #expect(text.contains("on.20.") && !text.contains("on.1."))
        let dropped = wired.port.statistics.droppedPushes
        #expect(dropped > 0 && (1...20).count { text.contains("on.\($0).") } == 20 - dropped)
    }

    @Test func theNewestOfEachRouteStays() async throws {
        let wired = try wired { $0.limits.slowReaders = .latestOnly }
        let session = try await wired.session(.five, on: wired.line())
        for number in 1...5 {
            for route in ["onA", "onB"] {
                let message = try PushMessage(route: route, body: Bytes("\(number)".utf8))
                wired.host.session?.socket.push(message)
            }
        }
        let text = try wired.line().get(session.path).text
        #expect(text.ranges(of: "onA").count == 1 && text.ranges(of: "onB").count == 1 && text.contains("5"))
        #expect(wired.port.statistics.droppedPushes == 8)
    }

    @Test(arguments: SlowReaderPolicy.allCases)
    func theSameOnAWebSocket(_ policy: SlowReaderPolicy) async throws {
        let wired = try wired {
            $0.limits.maxOutboundBytes = 4000
            $0.limits.slowReaders = policy
        }
        let line = wired.line()
        try wired.webSocket(.five, on: line)
        line.stream.stuck = true
        let socket = try #require(wired.host.session?.socket)
        for _ in 1...100 { socket.push(try push("onA", bytes: 200)) }
        await wired.settle()
        if policy == .disconnect {
            #expect(wired.host.ends == [.disconnected("slowConsumer")])
            #expect(wired.fault(.slowConsumer) == 1)
        } else {
            #expect(wired.host.ends.isEmpty && wired.port.statistics.droppedPushes > 50)
            #expect(line.stream.queuedBytes <= 4000)
        }
    }

    /// Beyond the bound those for whom most waits end, and nobody else.
    @Test func theBoundOfAllTakesTheLargest() async throws {
        let wired = try wired { $0.maxPollingBytes = 10_000 }
        var sizes: [SessionID: Int] = [:]
        for size in [500, 1000, 6000, 2000] {
            let known = Set(wired.host.sessions.keys)
            _ = try await wired.session(.five, on: wired.line())
            let session = try #require(wired.host.sessions.values.first { !known.contains($0.id) })
            session.socket.push(try push("on1", bytes: size))
            sizes[session.id] = size
        }
        #expect(wired.host.ends.isEmpty)
        let smallest = try #require(sizes.first { $0.value == 500 }?.key)
        wired.host.sessions[smallest]?.socket.push(try push("on2", bytes: 600))
        #expect(wired.host.ends == [.disconnected("heldTooMuch")] && wired.fault(.heldTooMuch) == 1)
        #expect(Set(wired.host.sessions.keys.compactMap { sizes[$0] }) == [500, 1000, 2000])
        #expect(wired.service.statistics.pollingBytes < 5000)
        #expect(wired.service.statistics.open == 3)
    }

    /// What a client says makes it owe nothing: the answers to its pings take one place.
    @Test func pingsDoNotPileUpAnswers() async throws {
        let wired = try SocketIOWired()
        let session = try await wired.session(.four, on: wired.line())
        for _ in 0..<20 {
            let ping = "2" + String(repeating: "x", count: 1998)
            _ = try wired.line().post(session.path, String(repeating: "1999:" + ping, count: 3))
            await wired.settle()
        }
        #expect(wired.service.statistics.pollingBytes == 1999)
    }

    // MARK: what the core does not want yet

    @Test(arguments: SocketIORevision.allCases)
    func aPostIsAnsweredWhenItIsHeard(_ revision: SocketIORevision) async throws {
        let wired = try SocketIOWired()
        let session = try await wired.session(revision, on: wired.line())
        let socket = try #require(wired.host.session?.socket)
        socket.pauseReading()
        let line = wired.line()
        line.send("POST", session.path, body: revision.payload(try revision.packet(1), try revision.packet(2)))
        #expect(try line.answers().isEmpty)
        #expect(wired.host.messages.isEmpty && wired.service.statistics.pollingBytes > 0)
        socket.resumeReading()
        await wired.settle()
        #expect(wired.host.messages.map(\.id) == [1, 2])
        #expect(String(decoding: line.stream.written, as: UTF8.self).hasPrefix("HTTP/1.1 200 OK"))
    }

    @Test func whoSaysMoreBeforeItIsHeardEnds() async throws {
        let wired = try SocketIOWired()
        let session = try await wired.session(.five, on: wired.line())
        wired.host.session?.socket.pauseReading()
        let body = try SocketIORevision.five.packet(0)
        for number in 0..<10 {
            let line = wired.line()
            line.send("POST", session.path, body: body)
            // Giving a request up does not make room for another.
            if number % 2 == 0 { line.cut() }
        }
        #expect(wired.ended(.overlap) == 1)
        #expect(wired.service.statistics.pollingBytes == 0)
        await close(wired)
        wired.expectNothingLeft()
    }

    @Test func aPausedClientIsNotReadOnItsNewWebSocketEither() async throws {
        let wired = try SocketIOWired()
        let session = try await wired.session(.five, on: wired.line())
        wired.host.session?.socket.pauseReading()
        let line = wired.line()
        line.upgrade(session.path(.webSocket))
        line.say("2probe")
        line.say("5")
        for id in 1...100 { line.say(try SocketIORevision.five.packet(UInt32(id))) }
        #expect(!line.stream.reading)
        #expect(wired.service.statistics.pollingBytes < 1000)
        wired.host.session?.socket.resumeReading()
        for _ in 0..<8 { await wired.settle() }
        #expect(wired.host.messages.map(\.id) == (1...100).map { UInt32($0) })
    }

    // MARK: connections

    @Test func connectionsOfBothKindsCountTogether() async throws {
        let wired = try SocketIOWired(SocketIOOptions(), with: HybridOptions(), maxConnections: 5)
        let session = try await wired.session(.five, on: wired.line())
        wired.line().send("GET", session.path)
        let tcp = wired.line()
        tcp.stream.feed(Sample.handshake + Sample.ack)
        try wired.webSocket(.five, on: wired.line())
        #expect(wired.port.statistics.openTCP == 1 && wired.port.statistics.openWebSocket == 1)
        #expect(wired.port.statistics.openHTTP == 2)
        await close(wired)
        wired.clock.advance(by: .seconds(100))
        wired.expectNothingLeft()
    }

    @Test(arguments: SocketIORevision.allCases) func theStopEndsAll(_ revision: SocketIORevision) async throws {
        let wired = try SocketIOWired()
        let polling = try await wired.session(revision, on: wired.line())
        let poll = wired.line()
        poll.send("GET", polling.path)
        _ = try await wired.session(revision, on: wired.line())
        let socket = wired.line()
        try wired.webSocket(revision, on: socket)
        let stop = Task { @Loop @Sendable in await wired.port.stop(within: .seconds(1)) }
        await Loop.yield()
        // Nobody is told to stay away.
        let bye = revision == .one ? "0::" : "41"
        #expect(try poll.answers().map { $0.text.contains(bye) } == [false])
        #expect(try socket.frames() == ["close"])
        #expect(wired.host.ends == [.stopped, .stopped, .stopped])
        await close(wired)
        await stop.value
        wired.expectNothingLeft()
    }
}
