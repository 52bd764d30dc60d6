// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

/// What clients must not send, with what comes of it: nobody else notices, and the process least of all.
@Suite struct MalformedInputTests {
    typealias Transport = TestClient.Transport

    enum Outcome: Sendable {
        /// The connection is closed over this fault.
        case closed(ConnectionFault)
        /// Nothing happens: the next request is answered.
        case ignored
        /// Nothing reaches the host, the request is answered 500.
        case answered500
        /// The message reaches the host with this body.
        case delivered(String)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var greeted = true
        let sent: Bytes
        let outcome: Outcome
        var only: Transport?

        init(_ name: String, greeted: Bool = true, _ sent: Bytes, _ outcome: Outcome, only: Transport? = nil) {
            testDescription = name
            self.greeted = greeted
            self.sent = sent
            self.outcome = outcome
            self.only = only
        }
    }

    static func request(id: Bytes = [9], _ body: String) -> Bytes {
        let route = Bytes("a.b.c".utf8)
        return Sample.data([0] + id + [UInt8(route.count)] + route + Bytes(body.utf8))
    }

    static let packages = [
        Case("first package of type 0", greeted: false, [0, 0, 0, 1, 0x78], .closed(.badPackage)),
        Case("package of type 0", [0, 0, 0, 1, 0x78], .closed(.badPackage)),
        Case("package of type 6", [6, 0, 0, 0], .closed(.badPackage)),
        Case("package of type 127", [0x7F, 0, 0, 1, 0x78], .closed(.badPackage)),
        Case("package of type 255", [0xFF, 0, 0, 1, 0x78], .closed(.badPackage)),
        Case("garbage", Bytes(hex: "deadbeefcafebabe"), .closed(.badPackage)),
        Case("kick from the client", [5, 0, 0, 0], .closed(.badPackage)),
        Case("kick before the handshake", greeted: false, [5, 0, 0, 0], .closed(.badPackage)),
        Case("two packages at once", Sample.echo1 + Sample.echo2, .delivered(#"{"a":1}"#)),
        Case(
            "truncated package in a frame", Bytes(Sample.echo1.dropLast(3)), .closed(.badPackage),
            only: .webSocket),
        Case("partial head in a frame", Sample.echo1 + [9, 9, 9], .closed(.badPackage), only: .webSocket),
        Case("empty binary frame", [], .closed(.badPackage), only: .webSocket),
        Case("huge length", [4, 0xFF, 0xFF, 0xFF, 0x41], .closed(.tooLarge)),
        Case("huge first length", greeted: false, [1, 0xFF, 0xFF, 0xFF, 0x7B], .closed(.tooLarge)),
        Case("64 KiB + 1 before the acknowledgement", greeted: false, [1, 1, 0, 1], .closed(.tooLarge)),
        Case("second handshake", Sample.handshake, .ignored),
        Case("second acknowledgement", Sample.ack, .ignored),
        Case("acknowledgement with a body", [2, 0, 0, 1, 0x20], .ignored),
        Case("heartbeat with a body", [3, 0, 0, 1, 0x20], .ignored),
    ]

    static let messages = [
        Case("empty message", Sample.data([]), .closed(.badMessage)),
        Case("request without id", Sample.data([0]), .closed(.badMessage)),
        Case("id cut short", Sample.data([0, 0x81]), .closed(.badMessage)),
        Case("route length missing", Sample.data([0, 1]), .closed(.badMessage)),
        Case("route cut short", Sample.data([0, 1, 5, 0x61]), .closed(.badMessage)),
        Case("route code cut short", Sample.data([1, 1, 0]), .closed(.badMessage)),
        Case("id 2^31", request(id: [0x80, 0x80, 0x80, 0x80, 8], "{}"), .closed(.badMessage)),
        Case("id of six bytes", request(id: [0x80, 0x80, 0x80, 0x80, 0x80, 1], "{}"), .closed(.badMessage)),
        Case("id 2^31-1", request(id: [0xFF, 0xFF, 0xFF, 0xFF, 7], "{}"), .delivered("{}")),
        Case("request with id 0", request(id: [0], "{}"), .delivered("{}")),
        Case("unknown route code in a request", Sample.data([1, 9, 0, 5] + Bytes("{}".utf8)), .answered500),
        Case("unknown route code in a notify", Sample.data([3, 0, 5] + Bytes("{}".utf8)), .ignored),
        Case("route that is not UTF-8", Sample.data([0, 9, 2, 0xC3, 0x28]), .answered500),
        Case("compressed body", Sample.data([0x10, 9, 1, 0x61, 0x78, 0x9C]), .answered500),
        Case("response from the client", Sample.data([4, 1]), .ignored),
        Case("message of kind 7", Sample.data([0x0E, 1]), .ignored),
        Case("push from the client", Sample.data([6, 1, 0x61] + Bytes("{}".utf8)), .delivered("{}")),
        Case("bad JSON", request("{bad"), .delivered("{bad")),
        Case("array body", request("[1]"), .delivered("[1]")),
        Case("null body", request("null"), .delivered("null")),
        Case("empty body", request(""), .delivered("")),
        Case("route without a dot", Sample.data([2, 1, 0x61] + Bytes("{}".utf8)), .delivered("{}")),
    ]

    @Test(arguments: packages + messages, Transport.allCases)
    @Loop func outcome(_ item: Case, over transport: Transport) async throws {
        if let only = item.only, only != transport { return }
        let frontend = try await Frontend.start()
        let bystander = try await frontend.client(.tcp)
        let client = try await (item.greeted ? frontend.client(transport) : frontend.connect(transport))
        client.send(item.sent)
        switch item.outcome {
        case .closed(let fault):
            _ = try await client.closed()
            #expect(client.closeCode == (transport == .webSocket ? 1000 : nil))
            #expect(frontend.connector.statistics.faults == [fault: 1])
        case .ignored:
            #expect(try await client.request("x.y.z", ["alive": 1]) == ["alive": 1])
            #expect(frontend.host.messages.count == 1)
        case .answered500:
            #expect(try await client.answer(to: 9) == Bytes("{\"code\":500}".utf8))
            #expect(frontend.host.messages.isEmpty)
            #expect(frontend.connector.statistics.droppedMessages == 1)
        case .delivered(let body):
            try await frontend.wait(for: "the message") { !frontend.host.messages.isEmpty }
            #expect(frontend.host.messages[0].body == Bytes(body.utf8))
        }
        #expect(try await bystander.request("x.y.z", ["other": 1]) == ["other": 1])
        await frontend.connector.stop()
    }

    struct Frame: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let sent: Bytes
        let code: UInt16
    }

    static let frames = [
        Frame(testDescription: "not masked", sent: [0x82, 1, 1], code: 1002),
        Frame(testDescription: "reserved bit", sent: [0xC2, 0x80, 0, 0, 0, 0], code: 1002),
        Frame(testDescription: "unknown opcode", sent: [0x83, 0x80, 0, 0, 0, 0], code: 1002),
        Frame(testDescription: "lonely continuation", sent: [0x80, 0x80, 0, 0, 0, 0], code: 1002),
        Frame(
            testDescription: "text that is not UTF-8", sent: Sample.frame([0xC3, 0x28], .text), code: 1007),
        Frame(testDescription: "too large", sent: [0x82, 0xFF, 0, 0, 0, 0, 0x10, 0, 0, 0], code: 1009),
    ]

    @Test(arguments: frames) @Loop func badFrames(_ frame: Frame) async throws {
        let frontend = try await Frontend.start()
        let client = try await frontend.client(.webSocket)
        client.sendRaw(frame.sent)
        _ = try await client.closed()
        #expect(client.closeCode == frame.code)
        #expect(frontend.connector.statistics.faults == [frame.code == 1009 ? .tooLarge : .badFrame: 1])
        await frontend.connector.stop()
    }

    @Test(arguments: Transport.allCases)
    @Loop func dataBeforeTheAcknowledgementIsIgnoredForAWhile(_ transport: Transport) async throws {
        let frontend = try await Frontend.start()
        let patient = try await frontend.connect(transport)
        try await patient.handshake(acknowledge: false)
        for _ in 0..<16 { patient.send(Sample.echo1) }
        patient.send(Sample.ack)
        #expect(try await patient.request("x.y.z", ["a": 1]) == ["a": 1])
        #expect(frontend.host.messages.count == 1)
        #expect(frontend.connector.statistics.ignoredPackages == 16)

        let pushy = try await frontend.connect(transport)
        for _ in 0..<17 { pushy.send(Sample.echo1) }
        _ = try await pushy.closed()
        #expect(frontend.connector.statistics.faults == [.outOfPlace: 1])
        await frontend.connector.stop()
    }

    @Test(arguments: Transport.allCases)
    @Loop func aSecondHandshakeIsNotAnswered(_ transport: Transport) async throws {
        let frontend = try await Frontend.start()
        let client = try await frontend.connect(transport)
        client.send(Sample.handshake)
        client.send(Sample.handshake)
        client.send(Sample.ack)
        try await client.request("x.y.z")
        #expect(client.handshakes.count == 1)
        await frontend.connector.stop()
    }
}
