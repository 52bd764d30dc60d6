// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloConnectors
import PomeloCore
import PomeloLoop
import PomeloTesting
import PomeloUV
import PomeloWire
import TestHelpers
import Testing

/// The bytes of a short conversation with pomelo's own client, spelled out, through each port that speaks its packages.
///
/// - Source: pomelo-protocol 0.1.6, lib/protocol.js; pomelo-jsclient-websocket 0.0.1.
@Loop @Suite struct ClientVectorTests {
    static let said = [
        // A handshake, {"sys":{"type":"js-websocket","version":"0.0.1"}}.
        "01000031"
            + "7b22737973223a7b2274797065223a226a732d776562736f636b6574222c2276657273696f6e223a22302e302e31227d7d",
        "02000000",
        // Request 1, a.b.c, {}.
        "0400000a" + "000105612e622e637b7d",
        // Request 128, a.b.c, {"a":1}.
        "04000010" + "00800105612e622e637b2261223a317d",
        // A notify, and a push, which is one from a client.
        "0400000e" + "0205612e622e637b2261223a317d",
        "04000005" + "0601617b7d",
    ].map { Bytes(hex: $0) }

    static let heard = [
        // {"code":200,"sys":{"heartbeat":3}}.
        "01000022" + "7b22636f6465223a3230302c22737973223a7b22686561727462656174223a337d7d",
        "03000000",
        // Response 1, {"code":500}.
        "0400000e" + "04017b22636f6465223a3530307d",
        // Response 128, {}.
        "04000005" + "0480017b7d",
        // A push, onMove, {}.
        "0400000a" + "06066f6e4d6f76657b7d",
        // A kick, {"reason":"kick"}.
        "05000011" + "7b22726561736f6e223a226b69636b227d",
    ].map { Bytes(hex: $0) }

    /// An application that answers so.
    private func serve(_ host: FakeHost) {
        host.echoing = false
        host.onMessage = { message, session in
            switch message.id {
            case 1: session.socket.respond(id: 1, route: message.route, body: Bytes(#"{"code":500}"#.utf8))
            case 128: session.socket.respond(id: 128, route: message.route, body: Bytes("{}".utf8))
            default:
                guard message.route.text == "a", let push = try? PushMessage(route: "onMove", body: Bytes("{}".utf8))
                else { return }
                session.socket.push(push)
                session.socket.close(kick: "kick")
            }
        }
    }

    private func expectAllWasHeard(by host: FakeHost) {
        let told = host.messages.map { "\($0.id) \($0.route.text) \(String(decoding: $0.body, as: UTF8.self))" }
        #expect(told == ["1 a.b.c {}", "128 a.b.c {\"a\":1}", "0 a.b.c {\"a\":1}", "0 a {}"])
    }

    @Test func overTCP() async throws {
        let frontend = try await Frontend.start(HybridOptions(heartbeat: .seconds(3)))
        serve(frontend.host)
        let wire = Wire(try await frontend.network.connect(to: frontend.address, within: .seconds(20)))
        for bytes in Self.said { wire.stream.write(bytes) }
        try await wire.wait { wire.hasEnded }
        #expect(wire.take() == Bytes(Self.heard.joined()))
        expectAllWasHeard(by: frontend.host)
        await frontend.connector.stop()
    }

    @Test func overWebSocket() async throws {
        let frontend = try await Frontend.start(HybridOptions(heartbeat: .seconds(3)))
        serve(frontend.host)
        let wire = Wire(try await frontend.network.connect(to: frontend.address, within: .seconds(20)))
        wire.stream.write(Sample.upgrade)
        for bytes in Self.said { wire.stream.write(Sample.frame(bytes)) }
        try await wire.wait { wire.hasEnded }
        #expect(wire.takeHead()?.hasPrefix("HTTP/1.1 101 ") == true)
        var (messages, decoder) = ([Bytes](), WebSocketDecoder(maxMessageBytes: 1 << 20, expectsMask: false))
        try decoder.decode(wire.take().span) { event, _ in
            if case .message(text: false, let message) = event { messages.append(message) }
            return true
        }
        #expect(messages.joined().elementsEqual(Self.heard.joined()))
        expectAllWasHeard(by: frontend.host)
        await frontend.connector.stop()
    }

    @Test func overUDP() async throws {
        var options = UDPOptions()
        options.heartbeat = .seconds(3)
        let bench = try await UDPBench.start(options)
        serve(bench.host)
        for bytes in Self.said { bench.feed(bytes) }
        #expect(bench.taken(by: UDPBench.one) == Self.heard)
        expectAllWasHeard(by: bench.host)
        await bench.connector.stop()
    }
}
