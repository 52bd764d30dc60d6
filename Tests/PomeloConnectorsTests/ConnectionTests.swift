// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloTesting
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

/// One connection over a scripted stream: no sockets, so every byte and every instant is chosen.
@Loop final class Wired {
    let host = FakeHost()
    let clock = ManualClock()
    let stream: ScriptedStream
    let blacklist = Blacklist()
    let shared: HybridProtocol
    let port: ClientPort

    /// `peer` is who connects.
    init(
        _ options: HybridOptions = HybridOptions(), maxConnections: Int? = nil, peer: String = "192.0.2.1",
        accepts: Bool = true
    ) throws {
        stream = ScriptedStream(from: peer)
        let logger = Logger(label: "test")
        shared = try HybridProtocol(options, clock: clock, logger: logger)
        port = ClientPort(
            options.limits, [shared], host: host, clock: clock, logger: logger, room: ConnectionRoom(maxConnections),
            door: try Doorkeeper(options.limits.access, blacklist))
        if accepts { port.accept(stream) }
    }

    /// Everything up to the acknowledgement, over TCP.
    func work() {
        stream.feed(Sample.handshake + Sample.ack)
        _ = stream.taken()
    }

    /// The same over WebSocket.
    func workInFrames() {
        stream.feed(Sample.upgrade + Sample.frame(Sample.handshake) + Sample.frame(Sample.ack))
        _ = stream.taken()
    }

    func fault(_ fault: ConnectionFault) -> Int { port.statistics.faults[fault] ?? 0 }
}

@Suite struct ConnectionTests {
    static let dialogue = Sample.handshake + Sample.ack + Sample.echo1 + Sample.heartbeat + Sample.echo2
    static let answers =
        Sample.welcomeHeartbeat3 + Sample.heartbeat + Sample.data([4, 1] + Bytes("{\"a\":1}".utf8))
        + Sample.heartbeat + Sample.data([4, 2] + Bytes("{\"a\":2}".utf8))

    @Test @Loop func tcpIsTheSameAtEverySplit() throws {
        for split in 0...Self.dialogue.count {
            let wired = try Wired(HybridOptions(heartbeat: .seconds(3)))
            wired.stream.feed(Bytes(Self.dialogue[..<split]))
            wired.stream.feed(Bytes(Self.dialogue[split...]))
            #expect(wired.stream.written == Self.answers, "split at \(split)")
            #expect(wired.port.statistics.openTCP == 1)
        }
    }

    @Test @Loop func tcpByteByByte() throws {
        let wired = try Wired(HybridOptions(heartbeat: .seconds(3)))
        for byte in Self.dialogue { wired.stream.feed([byte]) }
        #expect(wired.stream.written == Self.answers)
    }

    @Test @Loop func webSocketIsTheSameAtEverySplit() throws {
        let packages = [Sample.handshake, Sample.ack, Sample.echo1, Sample.heartbeat, Sample.echo2]
        let input = Sample.upgrade + packages.flatMap { Sample.frame($0) }
        let whole = try Wired(HybridOptions(heartbeat: .seconds(3)))
        whole.stream.feed(input)
        let expected = whole.stream.written
        var payloads = Bytes()
        var decoder = WebSocketDecoder(maxMessageBytes: 1000, expectsMask: false)
        let head = try #require((4...expected.count).first { expected[($0 - 4)..<$0] == [13, 10, 13, 10] })
        try decoder.decode(Bytes(expected[head...]).span) { event, _ in
            if case .message(text: false, let payload) = event { payloads += payload }
            return true
        }
        #expect(payloads == Self.answers)
        for split in 0...input.count {
            let wired = try Wired(HybridOptions(heartbeat: .seconds(3)))
            wired.stream.feed(Bytes(input[..<split]))
            wired.stream.feed(Bytes(input[split...]))
            #expect(wired.stream.written == expected, "split at \(split)")
            #expect(wired.port.statistics.openWebSocket == 1)
        }
    }

    @Test @Loop func noSessionBeforeDetection() throws {
        let wired = try Wired()
        for piece in ["G", "E", "T"] {
            wired.stream.feed(Bytes(piece.utf8))
            #expect(wired.host.sessions.isEmpty)
            #expect(wired.port.statistics.undetected == 1)
        }
        wired.stream.feed(Bytes(Sample.upgrade[3...]))
        #expect(wired.host.sessions.count == 1)
        #expect(wired.port.statistics == counted { $0.openWebSocket = 1 })
    }

    private func counted(_ change: (inout ConnectorStatistics) -> Void) -> ConnectorStatistics {
        var statistics = ConnectorStatistics()
        statistics.accepted = 1
        statistics.pending = 1
        change(&statistics)
        return statistics
    }

    @Test(arguments: ["G!", "PUX", "hello", "\u{1}", "\0\0\0\0", "HEAL", "DELETE / HTTP/1.1\r\n"])
    @Loop func whatIsNoRequestIsTCP(_ start: String) throws {
        let wired = try Wired()
        wired.stream.feed(Bytes(start.utf8))
        #expect(wired.port.statistics.undetected == 0)
        #expect(wired.host.sessions.count + wired.host.ends.count == 1)
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let request: String
        let status: String
    }

    static let refusals = [
        Refusal(testDescription: "plain GET", request: "GET /a HTTP/1.1\r\nHost: x\r\n\r\n", status: "426"),
        Refusal(testDescription: "POST", request: "POST /a HTTP/1.1\r\nHost: x\r\n\r\n", status: "426"),
        Refusal(
            testDescription: "old WebSocket",
            request: "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Version: 6\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            status: "426"),
        Refusal(
            testDescription: "no key",
            request: "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Version: 13\r\n\r\n", status: "400"),
        Refusal(testDescription: "no HTTP", request: "GETTING\r\n\r\n", status: "400"),
        Refusal(
            testDescription: "endless head", request: "GET /" + String(repeating: "a", count: 9000),
            status: "431"),
    ]

    @Test(arguments: refusals) @Loop func plainHTTPIsAnsweredAndClosed(_ refusal: Refusal) throws {
        let wired = try Wired()
        wired.stream.feed(Bytes(refusal.request.utf8))
        let reply = String(decoding: wired.stream.written, as: UTF8.self)
        #expect(reply.hasPrefix("HTTP/1.1 \(refusal.status) "))
        #expect(wired.stream.flushed)
        #expect(wired.fault(.notAnUpgrade) + wired.fault(.tooLarge) == 1)
        #expect(wired.host.ends.isEmpty, "there was no session")
    }

    @Test @Loop func firstSubprotocolIsChosen() throws {
        let wired = try Wired()
        wired.stream.feed(
            Sample.upgrade.dropLast(2) + Bytes("Sec-WebSocket-Protocol: pomelo, other\r\n\r\n".utf8))
        #expect(
            String(decoding: wired.stream.written, as: UTF8.self).contains(
                "Sec-WebSocket-Protocol: pomelo\r\n"))
    }

    @Test @Loop func textFramesAndSeveralPackagesInOneFrame() throws {
        let wired = try Wired()
        wired.stream.feed(Sample.upgrade + Sample.frame(Sample.handshake + Sample.ack + Sample.echo1, .text))
        #expect(wired.host.messages.map(\.route.text) == ["connector.entryHandler.echo"])
    }

    @Test @Loop func controlFramesAreAnswered() throws {
        let wired = try Wired()
        wired.workInFrames()
        wired.stream.feed(Sample.frame([1, 2, 3], .ping))
        #expect(wired.stream.taken() == [0x8A, 3, 1, 2, 3])
        wired.stream.feed(Sample.frame([], .text) + Sample.frame([9], .pong))
        #expect(wired.stream.taken() == [])
        wired.stream.feed(Sample.frame([3, 0xE9], .close))
        #expect(wired.stream.taken() == [0x88, 2, 3, 0xE9])
        #expect(wired.host.ends == [.disconnected("client closed the WebSocket")])
        #expect(wired.port.statistics.faults.isEmpty)
    }

    @Test @Loop func theHostHearsOneEnd() throws {
        let wired = try Wired()
        wired.work()
        wired.stream.feed([9, 9, 9, 9])
        #expect(wired.host.ends == [.disconnected("badPackage")])
        wired.stream.end()
        #expect(wired.host.ends.count == 1)
        #expect(wired.port.statistics.open == 0)
        #expect(wired.clock.pendingTimers == 0)
    }

    @Test @Loop func aSessionMayBeClosedWhileItsMessageIsHandled() throws {
        let wired = try Wired()
        wired.host.onMessage = { _, session in session.socket.close(kick: "enough") }
        wired.work()
        wired.stream.feed(Sample.echo1 + Sample.echo2)
        #expect(wired.host.messages.count == 1)
        #expect(wired.stream.taken() == Bytes([5, 0, 0, 19]) + Bytes("{\"reason\":\"enough\"}".utf8))
        #expect(wired.host.ends == [.kicked("enough")])
    }
}
