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

@Suite struct HandshakeTests {
    typealias Transport = TestClient.Transport

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var options = HybridOptions()
        let sent: String
        let received: Bytes
        let fault: ConnectionFault?
    }

    static let cases = [
        Case(
            testDescription: "plain", sent: #"{"sys":{"type":"c","version":"0.3.4"}}"#,
            received: Sample.welcome,
            fault: nil),
        Case(
            testDescription: "heartbeat 3", options: HybridOptions(heartbeat: .seconds(3)),
            sent: #"{"sys":{"type":"c"}}"#, received: Sample.welcomeHeartbeat3, fault: nil),
        Case(
            testDescription: "heartbeats are told in whole seconds",
            options: HybridOptions(heartbeat: .milliseconds(2_100)), sent: #"{"sys":{"type":"c"}}"#,
            received: Sample.welcomeHeartbeat3, fault: nil),
        Case(testDescription: "empty", sent: "", received: Sample.refused500, fault: .handshakeRefused),
        Case(testDescription: "null", sent: "null", received: Sample.refused500, fault: .handshakeRefused),
        Case(testDescription: "no JSON", sent: "{sys", received: Sample.refused500, fault: .handshakeRefused),
        Case(
            testDescription: "no sys", sent: #"{"user":{}}"#, received: Sample.refused500,
            fault: .handshakeRefused),
        Case(
            testDescription: "old client", options: choosy, sent: #"{"sys":{"type":"js","version":"0.0.0"}}"#,
            received: Sample.refused501, fault: .clientRejected),
        Case(
            testDescription: "client without version", options: choosy, sent: #"{"sys":{"type":"js"}}"#,
            received: Sample.welcome, fault: nil),
        Case(
            testDescription: "hook refuses", options: hooked,
            sent: #"{"sys":{"type":"js"},"user":{"reject":1}}"#, received: Sample.refused500,
            fault: .handshakeRefused),
        Case(
            testDescription: "hook answers", options: hooked,
            sent: #"{"sys":{"type":"js"},"user":{"name":"ann"}}"#,
            received: package(#"{"code":200,"sys":{},"user":{"hello":"ann"}}"#), fault: nil),
        Case(
            testDescription: "hook has nothing to say", options: hooked, sent: #"{"sys":{"type":"js"}}"#,
            received: Sample.welcome, fault: nil),
    ]

    static func package(_ text: String) -> Bytes { [1, 0, 0, UInt8(text.utf8.count)] + Bytes(text.utf8) }

    static var choosy: HybridOptions {
        var options = HybridOptions()
        options.checkClient = { _, version in version != "0.0.0" }
        return options
    }

    static var hooked: HybridOptions {
        var options = HybridOptions()
        options.handshake = { message in
            await Loop.yield()
            if message["user"]?["reject"] != nil { throw Fault(403) }
            return message["user"]?["name"].map { ["hello": $0] }
        }
        return options
    }

    @Test(arguments: cases, Transport.allCases)
    @Loop func answerIsExact(_ item: Case, over transport: Transport) async throws {
        let frontend = try await Frontend.start(item.options)
        let client = try await frontend.connect(transport)
        try client.send(package: .handshake, Bytes(item.sent.utf8))
        let received = try await client.receive(item.received.count)
        #expect(received == item.received)
        if let fault = item.fault {
            _ = try await client.closed()
            #expect(client.closeCode == (transport == .webSocket ? 1000 : nil))
            #expect(frontend.connector.statistics.faults == [fault: 1])
        } else {
            client.send(Sample.ack + Sample.echo1)
            #expect(try await client.answer(to: 1) == Bytes(#"{"a":1}"#.utf8))
        }
        await frontend.connector.stop()
    }

    /// One key in two spellings, and a version that no dictionary has: these held every client up for seconds.
    ///
    /// In a process of its own: other tests would share its loop, and their time would count.
    @Test func hostileTextsAreReadInLinearTime() async {
        await #expect(processExitsWith: .success) {
            for pairs in [7_800, 120_000] { try await Self.readHostileTexts(pairs: pairs) }
        }
    }

    @Loop private static func readHostileTexts(pairs: Int) async throws {
        var options = compressing
        options.limits.maxBytesBeforeAck = 1 << 20
        options.limits.handshakeTimeout = .seconds(60)
        let frontend = try await Frontend.start(options)
        let marks = String(repeating: "\u{301}\u{316}", count: pairs)
        let turned = String(repeating: "\u{316}\u{301}", count: pairs)
        let began = SystemClock.shared.now
        for sent in [
            #"{"sys":{"type":"c"},"\#(marks)":1,"\#(turned)":2}"#,
            #"{"sys":{"type":"c","dictVersion":"\#(marks)"}}"#,
        ] {
            let client = try await frontend.connect(.tcp)
            try client.send(package: .handshake, Bytes(sent.utf8))
            let reply = try await client.receive(15)
            #expect(Bytes(reply[4..<15]) == Bytes(#"{"code":200"#.utf8))
            client.close()
        }
        // In square time the longer one takes a minute.
        #expect(SystemClock.shared.now - began < 20_000_000_000)
        await frontend.connector.stop()
    }

    static var compressing: HybridOptions {
        var options = HybridOptions()
        options.dictionary = (
            handlers: [
                "connector.entryHandler.entry", "chat.chatHandler.send", "chat.chatHandler.Kick",
                "chat.chat2Handler.x",
            ], extra: ["onMove", "onAttack"]
        )
        return options
    }

    static let version = "gA07eHI7rWS+B6P6dcnuhg=="

    @Test(arguments: Transport.allCases)
    @Loop func theDictionaryIsSentToThoseWithoutIt(_ transport: Transport) async throws {
        let frontend = try await Frontend.start(Self.compressing)
        for (known, sent) in [(nil, true), ("other", true), (Self.version, false)] {
            let client = try await frontend.connect(transport)
            let reply = try await client.handshake(dictVersion: known)
            #expect(reply["sys"]?["useDict"] == true)
            #expect(reply["sys"]?["dictVersion"] == (sent ? .string(Self.version) : nil))
            #expect((reply["sys"]?["dict"] != nil) == sent)
            #expect(reply["sys"]?["dict"] == reply["sys"]?["routeToCode"])
            #expect(reply["sys"]?["codeToRoute"]?["5"] == (sent ? "onMove" : nil))
        }
        await frontend.connector.stop()
    }

    @Test func aDictionaryInTheFileHasItsCodesInThatOrder() throws {
        var reader = try OptionReader(["dictionary": ["onMove", "chat.chatHandler.send"]], file: "connector.json")
        var options = HybridOptions()
        try options.read(&reader)
        try reader.finish()
        let routes = try #require(options.dictionary)
        let codes = try RouteCodes(handlers: routes.handlers, extra: routes.extra)
        #expect(codes.dictionary.code(for: "onMove") == 1)
        #expect(codes.dictionary.code(for: "chat.chatHandler.send") == 2)
    }

    @Test(arguments: Transport.allCases)
    @Loop func codesAreReadAndWritten(_ transport: Transport) async throws {
        let frontend = try await Frontend.start(Self.compressing)
        let client = try await frontend.client(transport)
        #expect(try await client.request("chat.chatHandler.send", ["a": 1]) == ["a": 1])
        #expect(frontend.host.messages.map(\.route.text) == ["chat.chatHandler.send"])
        let before = client.received.count
        let socket = try #require(frontend.host.session?.socket)
        #expect(socket.push(try PushMessage(route: "onMove", body: Bytes("{}".utf8))))
        #expect(socket.push(try PushMessage(route: "onOther", body: Bytes("{}".utf8))))
        _ = try await client.next("onMove")
        _ = try await client.next("onOther")
        let pushes =
            Sample.data([7, 0, 5] + Bytes("{}".utf8)) + Sample.data([6, 7] + Bytes("onOther{}".utf8))
        #expect(Bytes(client.received[before...]) == pushes)
        await frontend.connector.stop()
    }

    @Test @Loop func aDictionaryTooLargeIsAnErrorAtStart() async throws {
        var options = HybridOptions()
        options.dictionary = (handlers: [], extra: (0...65_535).map { "r\($0)" })
        await #expect(throws: PomeloError.self) { try await Frontend.start(options) }
    }

    @Test @Loop func aPortInUseIsNamed() async throws {
        let first = try await Frontend.start()
        let second = HybridConnector()
        let context = ConnectorContext(
            network: first.network, clock: SystemClock.shared, random: RandomSource(seed: 1),
            address: first.address)
        let error = await #expect(throws: PomeloError.self) { try await second.start(FakeHost(), context) }
        #expect(error?.code == .network)
        #expect(error?.message.contains(String(first.address.port)) == true)
        await first.connector.stop()
    }
}
