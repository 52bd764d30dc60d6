// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloConfiguration
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

/// MQTT over WebSocket, on the port of MQTT.
@Loop @Suite struct MQTTWebSocketTests {
    /// What a server has sent behind its head: the bytes of its messages, and how it closed.
    private static func read(_ bytes: Bytes) throws -> (bytes: Bytes, isCompressed: Bool, close: UInt16?) {
        var decoder = WebSocketDecoder(maxMessageBytes: 1 << 24, expectsMask: false, allowsCompressed: true)
        var all: (bytes: Bytes, isCompressed: Bool, close: UInt16?) = ([], false, nil)
        _ = try decoder.decode(bytes.span) { event, _ in
            switch event {
            case .message(let isText, let payload): all.bytes += isText ? [0xFF, 0xFF] : payload
            case .compressed(_, let payload):
                all.isCompressed = true
                all.bytes += payload
            case .close(let code, _): all.close = code
            case .ping, .pong: break
            }
            return true
        }
        return all
    }

    /// The head of the answer to what a client says first.
    private func answer(_ wired: MQTTWired, to request: Bytes) -> String {
        wired.stream.feed(request)
        return String(decoding: wired.stream.taken(), as: UTF8.self)
    }

    /// A client that is connected.
    private func connected(_ wired: MQTTWired, over stream: ScriptedStream? = nil, _ more: String = "") throws {
        let stream = stream ?? wired.stream
        stream.feed(WebSocketBytes.upgrade(more: more))
        stream.feed(WebSocketBytes.frame(try MQTTPacket.connect(MQTTConnect("c", keepAlive: 0)).encoded()))
        _ = stream.taken()
    }

    // MARK: packets

    @Test func packetsLieInMessagesAnyhow() throws {
        var publish = MQTTPublish("a.b.c", Bytes("{}".utf8), qos: 1, id: 7)
        publish.payload = Bytes(#"{"text":"\#(String(repeating: "x", count: 200))"}"#.utf8)
        let said: [MQTTPacket] = [.connect(MQTTConnect("c")), .publish(publish), .ping]
        var bytes: Bytes = []
        for packet in said { bytes += try packet.encoded() }
        for cut in 0...bytes.count {
            let wired = try MQTTWired()
            wired.host.echoing = false
            #expect(answer(wired, to: WebSocketBytes.upgrade()).hasPrefix("HTTP/1.1 101"))
            // In two messages, each in pieces of 50 bytes, as a network may bring them.
            let frames = WebSocketBytes.frame(Bytes(bytes[..<cut])) + WebSocketBytes.frame(Bytes(bytes[cut...]))
            for start in stride(from: 0, to: frames.count, by: 50) {
                wired.stream.feed(Bytes(frames[start..<min(frames.count, start + 50)]))
            }
            let heard = try MQTTWired.packets(try Self.read(wired.stream.taken()).bytes)
            #expect(heard == [.connectAck(sessionPresent: false, .accepted), .publishAck(7), .pong], "\(cut)")
            #expect(wired.host.messages.map(\.body) == [publish.payload], "\(cut)")
            #expect(wired.port.statistics.openWebSocket == 1 && wired.port.statistics.heldBytes == 0)
        }
    }

    @Test func whatOfAPacketHasComeIsCounted() async throws {
        let wired = try MQTTWired()
        try connected(wired)
        let publish = MQTTPublish("a.b.c", Bytes(repeating: 0x20, count: 100_000))
        let bytes = try publish.encoded()
        wired.stream.feed(WebSocketBytes.frame(Bytes(bytes[..<60_000])))
        #expect(wired.port.statistics.heldBytes >= 60_000)
        wired.stream.feed(WebSocketBytes.frame(Bytes(bytes[60_000...])))
        await until("it is heard") { wired.host.messages.count == 1 }
        #expect(wired.port.statistics.heldBytes == 0)
    }

    @Test func aPushIsFramedForAll() throws {
        let wired = try MQTTWired()
        try connected(wired)
        let others = [ScriptedStream(), ScriptedStream()]
        for stream in others { wired.port.accept(stream) }
        try connected(wired, over: others[0])
        others[1].feed(try MQTTPacket.connect(MQTTConnect("tcp")).encoded())
        _ = others[1].taken()
        let bodies: [JSON] = [["a": 1], ["topic": "t", "payload": "p", "qos": 1]]
        for message in bodies {
            let push = try MQTTWired.push("on", message)
            for session in wired.host.sessions.values { #expect(session.socket.push(push)) }
            let plain = others[1].taken()
            #expect(wired.stream.taken() == WebSocketFrame.encode(.binary, plain))
            #expect(others[0].taken() == WebSocketFrame.encode(.binary, plain))
        }
    }

    @Test func messagesAreCompressedWhereThatIsAgreed() throws {
        var options = MQTTOptions()
        options.limits.compression.isOn = true
        let wired = try MQTTWired(options)
        let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
        #expect(answer(wired, to: WebSocketBytes.upgrade(more: offer)).contains("permessage-deflate"))
        wired.stream.feed(WebSocketBytes.frame(try MQTTPacket.connect(MQTTConnect("c")).encoded()))
        #expect(try !Self.read(wired.stream.taken()).isCompressed)
        let push = try MQTTWired.push("on", ["text": .string(String(repeating: "x", count: 2000))])
        #expect(wired.host.session?.socket.push(push) == true)
        let heard = try Self.read(wired.stream.taken())
        #expect(heard.isCompressed && heard.bytes.count < 200)
    }

    @Test func aKickIsToldThenTheWebSocketIsClosed() throws {
        let wired = try MQTTWired()
        try connected(wired)
        try #require(wired.host.session).socket.close(kick: "too loud")
        let heard = try Self.read(wired.stream.taken())
        let kick = MQTTPublish("onKick", Bytes(#"{"reason":"too loud"}"#.utf8))
        #expect(try MQTTWired.packets(heard.bytes) == [.publish(kick)] && heard.close == 1000)
        #expect(wired.host.ends == [.kicked("too loud")])
    }

    // MARK: who is served

    @Test(
        arguments: [
            ("mqtt", "mqtt"), ("mqttv3.1", "mqttv3.1"), ("soap, mqttv3.1, mqtt", "mqttv3.1"), ("MQTT", nil),
            ("soap", nil),
            (nil, nil),
        ] as [(String?, String?)])
    func aClientMustSayThatItSpeaksMQTT(_ offered: String?, _ spoken: String?) throws {
        let wired = try MQTTWired()
        let head = answer(wired, to: WebSocketBytes.upgrade(offering: offered))
        guard let spoken else {
            #expect(head.hasPrefix("HTTP/1.1 400") && wired.stream.closing != nil && wired.fault(.notSpoken) == 1)
            return
        }
        #expect(head.hasPrefix("HTTP/1.1 101") && head.contains("\r\nSec-WebSocket-Protocol: \(spoken)\r\n"))
    }

    @Test(arguments: [("/mqtt", true), ("/mqtt/", true), ("/mqtt?a=b", true), ("/mqttx", false), ("/mqt", false)])
    func thePathSaysWhoseItIs(_ path: String, _ isMQTT: Bool) throws {
        let alone = try MQTTWired()
        #expect(answer(alone, to: WebSocketBytes.upgrade(path)).hasPrefix(isMQTT ? "HTTP/1.1 101" : "HTTP/1.1 404"))
        let beside = try MQTTWired(with: HybridOptions(heartbeat: nil))
        #expect(answer(beside, to: WebSocketBytes.upgrade(path)).hasPrefix("HTTP/1.1 101"))
        beside.stream.feed(WebSocketBytes.frame(isMQTT ? try connect() : Sample.handshake + Sample.ack))
        #expect(beside.host.session?.socket.connectorType == (isMQTT ? "mqtt" : "hybrid"))
    }

    @Test func onlyNamedPagesMayConnectWhereSomeAreNamed() throws {
        var options = MQTTOptions()
        var reader = try OptionReader(["origins": ["https://game.example"]], file: "mqtt.json")
        try options.read(&reader)
        try reader.finish()
        for (origin, status) in [("https://game.example", "101"), ("https://evil.example", "403")] {
            let wired = try MQTTWired(options)
            let head = answer(wired, to: WebSocketBytes.upgrade(more: "Origin: \(origin)\r\n"))
            #expect(head.hasPrefix("HTTP/1.1 \(status)"))
            #expect(wired.port.statistics.refusedOrigins == (status == "403" ? 1 : 0))
        }
        options.origins = ["game.example"]
        #expect(throws: PomeloError.self) { try MQTTWired(options) }
    }

    private func connect() throws -> Bytes { try MQTTPacket.connect(MQTTConnect("c")).encoded() }

    // MARK: limits

    @Test func aTextEndsTheConnection() throws {
        let wired = try MQTTWired()
        try connected(wired)
        wired.stream.feed(WebSocketBytes.frame(Bytes("text".utf8), .text))
        #expect(try Self.read(wired.stream.taken()).close == 1003)
        #expect(wired.fault(.badFrame) == 1 && wired.host.ends.count == 1)
    }

    @Test func aMessageIsNoLongerThanAPacketMayBe() throws {
        var options = MQTTOptions()
        options.limits.maxBytesBeforeAck = 100
        options.limits.maxMessageBytes = 1000
        for length in [105, 106] {
            let wired = try MQTTWired(options)
            _ = answer(wired, to: WebSocketBytes.upgrade())
            let padding = Bytes(repeating: 0, count: length - (try connect().count))
            wired.stream.feed(WebSocketBytes.frame(try connect() + padding))
            #expect(wired.fault(.tooLarge) == (length == 106 ? 1 : 0))
        }
        for length in [1005, 1006] {
            let wired = try MQTTWired(options)
            try connected(wired)
            var pings = Bytes(repeating: 0, count: length)
            for place in stride(from: 0, to: length, by: 2) { pings[place] = 0xC0 }
            wired.stream.feed(WebSocketBytes.frame(pings))
            #expect(wired.fault(.tooLarge) == (length == 1006 ? 1 : 0))
        }
    }

    @Test func aFloodWaitsForItsTurn() async throws {
        let wired = try MQTTWired()
        try connected(wired)
        let one = try MQTTPublish("a.b.c", Bytes("{}".utf8)).encoded()
        var flood: Bytes = []
        for _ in 0..<2000 { flood += one }
        wired.stream.feed(WebSocketBytes.frame(flood))
        #expect(wired.host.messages.count <= TurnShares.ofOne + 2)
        #expect(wired.port.statistics.heldBytes > 0)
        await until("all have come") { wired.host.messages.count == 2000 }
        #expect(wired.port.statistics.heldBytes == 0)
    }

    @Test func whoSaysNothingIsAskedForASignOfLife() throws {
        let wired = try MQTTWired()
        try connected(wired)
        wired.clock.advance(by: .seconds(46))
        #expect(wired.stream.taken() == WebSocketFrame.encode(.ping, []))
        wired.stream.feed(WebSocketBytes.frame([], .pong))
        wired.clock.advance(by: .seconds(80))
        #expect(wired.host.ends.isEmpty)
        wired.clock.advance(by: .seconds(91))
        #expect(wired.host.ends.count == 1 && wired.fault(.idleTimeout) == 1)
    }
}
