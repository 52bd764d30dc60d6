// SPDX-License-Identifier: MIT
import Logging
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

/// Clients of pomelo's own protocol and of socket.io, served together.
@Loop @Suite struct SocketIOSharingTests {
    @Test func aPushIsEncodedOncePerKindAndReachesAll() async throws {
        let wired = try SocketIOWired(SocketIOOptions(), with: HybridOptions(heartbeat: nil))
        let tcp = [wired.line(), wired.line()]
        for line in tcp { line.stream.feed(Sample.handshake + Sample.ack) }
        let frames = [wired.line(), wired.line()]
        for line in frames {
            line.stream.feed(Sample.upgrade + Sample.frame(Sample.handshake) + Sample.frame(Sample.ack))
        }
        var (sockets, polls): ([Line], [Line]) = ([], [])
        for revision in SocketIORevision.allCases {
            for _ in 0..<2 {
                sockets.append(wired.line())
                if let line = sockets.last { try wired.webSocket(revision, on: line) }
                let session = try await wired.session(revision, on: wired.line())
                polls.append(wired.line())
                polls.last?.send("GET", session.path)
            }
        }
        for line in wired.lines {
            _ = line.stream.taken()
            line.settle()
        }
        #expect(wired.host.sessions.count == 16)
        let message = try PushMessage(route: "onAll", body: Bytes("{\"a\":1}".utf8))
        for session in wired.host.sessions.values { #expect(session.socket.push(message)) }
        // Nothing is left to encode.
        let keys = wired.service.encodings
        for revision in SocketIORevision.allCases {
            for key in [keys.packet(revision), keys.frame(revision, nil)] {
                _ = message.encoded(for: key) {
                    Issue.record("revision \(revision) was not encoded")
                    return []
                }
            }
        }
        #expect(keys.packet(.four) == keys.packet(.five))
        let package = try Message.pushPacket(route: "onAll", code: nil, body: message.body)
        for line in tcp { #expect(line.stream.taken() == package) }
        for line in frames { #expect(line.stream.taken() == WebSocketFrame.encode(.binary, package)) }
        let (new, old) = (
            #"42["message","{\"route\":\"onAll\",\"body\":{\"a\":1}}"]"#, #"3:::{"route":"onAll","body":{"a":1}}"#
        )
        #expect(try sockets.flatMap { try $0.frames() } == [old, old, new, new, new, new])
        let counted = "\(new.utf8.count):\(new)"
        #expect(try polls.flatMap { try $0.answers().map(\.text) } == [old, old, counted, counted, new, new])
        for line in wired.lines { line.cut() }
        wired.clock.advance(by: .seconds(100))
        wired.expectNothingLeft()
    }

    @Test func requestsGoToWhoseTheyAre() throws {
        let wired = try SocketIOWired(SocketIOOptions(), with: HybridOptions(heartbeat: nil))
        #expect(try wired.line().get("/socket.io/?EIO=4&transport=polling").status == 200)
        #expect(try wired.line().get("/").status == 200)
        #expect(try wired.line().get("/a").status == 426)
        let line = wired.line()
        line.upgrade("/socket.io/?EIO=4&transport=websocket")
        line.say("40")
        #expect(try line.frames().count == 2)
        let hybrid = wired.line()
        hybrid.upgrade("/")
        hybrid.stream.feed(Sample.frame(Sample.handshake))
        #expect(try !hybrid.frames().isEmpty)
        #expect(wired.host.sessions.count == 2)
    }

    @Test(arguments: [true, false]) func onOnePortAndOnTwo(_ isShared: Bool) async throws {
        let (hybrid, other) = (HybridConnector(HybridOptions(heartbeat: nil)), SocketIOConnector())
        let host = FakeHost()
        let context = ConnectorContext(
            network: UVNetwork(), clock: SystemClock.shared, random: RandomSource(seed: 1),
            address: SocketAddress(host: "127.0.0.1", port: 0))
        if isShared {
            try await hybrid.start(host, context, with: [other])
        } else {
            try await hybrid.start(host, context)
            try await other.start(host, context)
        }
        #expect((hybrid.localAddress == other.localAddress) == isShared)
        let network = UVNetwork()
        let address = try #require(hybrid.localAddress)
        let client = try await TestClient.connect(to: address, over: network, as: .tcp)
        try await client.handshake()
        #expect(try await client.request("a.b.c", ["x": 1]) == ["x": 1])
        let socket = try await SocketIOTestClient.connect(
            to: try #require(other.localAddress), over: network, .webSocket)
        let polling = try await SocketIOTestClient.connect(
            to: try #require(other.localAddress), over: network, .polling)
        try await eventually("three sessions", within: .seconds(20)) { host.sessions.count == 3 }
        #expect(Set(host.sessions.values.compactMap { $0.socket.connectorType }) == ["hybrid", "socketio"])
        let message = try PushMessage(route: "onAll", body: Bytes("{\"a\":1}".utf8))
        for session in host.sessions.values { session.socket.push(message) }
        for one in [socket, polling] { #expect(try await one.next() == .push("onAll", message.body)) }
        #expect(try await client.next("onAll") == ["a": 1])
        await hybrid.stop()
        await other.stop()
        #expect(host.sessions.isEmpty)
        #expect(other.statistics.open == 0 && hybrid.statistics.open == 0)
    }
}
