// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloConnectors
import PomeloContract
import PomeloLoop
import TestHelpers
import Testing

@testable import PomeloCore

/// A codec that is missing, above another, that does not want a message, throws, and that waits.
@Suite struct CustomCodecTests {
    // MARK: whose codec counts

    @Test(arguments: ["decodes", "encodes"])
    @Loop func withoutACodecTheStartIsAnErrorThatNamesTheConnector(_ missing: String) async throws {
        var codec = Custom.plain
        if missing == "decodes" { codec.decode = nil } else { codec.encode = nil }
        let custom = Custom(codec)
        let error = await thrown { _ = try await custom.start() } as? PomeloError
        #expect(error?.code == .configuration)
        #expect(error?.message.contains("nobody \(missing) for the connector TextConnector") == true)
        #expect(custom.connector.starts == 0)
    }

    @Test @Loop func theOptionsStandAboveTheConnectorEachByItself() async throws {
        var options = CustomOptions<String>()
        options.codec.decode = .immediate { text, _ in
            DecodedMessage(id: 9, route: "by.the.options", body: Bytes(text.utf8))
        }
        let decoding = try await Custom(Custom.plain, options).start()
        let first = decoding.connector.connect()
        first.say("hello")
        await decoding.turn()
        #expect(decoding.host.messages.map(\.route.text) == ["by.the.options"])
        #expect(first.sent == ["9  hello"])
        await decoding.adapter.stop()

        options = CustomOptions()
        options.codec.encode = .immediate { message in "by the options: \(message.id ?? 0)" }
        let encoding = try await Custom(Custom.plain, options).start()
        let second = encoding.connector.connect()
        second.say("3 a.b.c x")
        await encoding.turn()
        #expect(encoding.host.messages.map(\.route.text) == ["a.b.c"])
        #expect(second.sent == ["by the options: 3"])
        await encoding.adapter.stop()
    }

    @Test @Loop func passThroughTakesMessagesAsTheyAre() async throws {
        let codec = MessageCodec<DecodedMessage>.passThrough
        let message = DecodedMessage(id: 0, route: "a.b.c", body: [1])
        #expect(message.id == nil)
        guard case .immediate(let decode) = codec.decode, case .immediate(let encode) = codec.encode else {
            Issue.record("it waits")
            return
        }
        let custom = try await Custom().start()
        _ = custom.connector.connect()
        #expect(try decode(message, try #require(custom.host.session)) == message)
        #expect(try encode(message) == message)
        await custom.adapter.stop()
    }

    // MARK: at once

    @Test @Loop func whatTheCodecDoesNotTakeIsDroppedAndCounted() async throws {
        let custom = try await Custom().start()
        let socket = custom.connector.connect()
        socket.say("unwanted", "x y z", "1 a.b.c 1", "0 a.b.c 2")
        await custom.turn()
        #expect(custom.host.messages.map(\.id) == [1, 0])
        #expect(custom.adapter.statistics.undecoded == 1)
        #expect(custom.adapter.statistics.failedDecodes == 1)
        #expect(socket.sent == ["1  1"])
        #expect(socket.disconnects == 0)
        await custom.adapter.stop()
    }

    @Test @Loop func whatTheCodecDoesNotEncodeIsReportedAndNotSent() async throws {
        let codec = MessageCodec<String>(
            decode: Custom.plain.decode,
            encode: .immediate { message in
                if message.body == Bytes("bad".utf8) { throw Fault(400) }
                return message.body == Bytes("none".utf8) ? nil : Custom.encode(message)
            })
        let custom = try await Custom(codec).start()
        let sockets = (0..<3).map { _ in custom.connector.connect() }
        sockets[0].say("1 a.b.c bad", "2 a.b.c none", "3 a.b.c good")
        for body in ["bad", "none", "good"] {
            let message = try PushMessage(route: "on", body: Bytes(body.utf8))
            let outcomes = custom.host.sessions.values.map { $0.socket.push(message) }
            #expect(outcomes == Array(repeating: body == "good", count: 3))
        }
        await custom.turn()
        #expect(sockets.map(\.sent) == [["3  good", "0 on good"], ["0 on good"], ["0 on good"]])
        // Two answers and, once for all three clients, two pushes.
        #expect(custom.adapter.statistics.failedEncodes == 4)
        await custom.adapter.stop()
    }

    @Test @Loop func aPushIsEncodedOnceForAllClients() async throws {
        let counter = Counter()
        let codec = MessageCodec<String>(
            decode: Custom.plain.decode,
            encode: .immediate { message in
                counter.count += 1
                return Custom.encode(message)
            })
        let custom = try await Custom(codec).start()
        let sockets = (0..<10).map { _ in custom.connector.connect() }
        let messages = try (0..<2).map { try PushMessage(route: "on", body: Bytes("\($0)".utf8)) }
        for session in custom.host.sessions.values { for message in messages { session.socket.push(message) } }
        await custom.turn()
        #expect(counter.count == 2)
        #expect(sockets.allSatisfy { $0.sent == ["0 on 0", "0 on 1"] && $0.batches == [2] })
        await custom.adapter.stop()
    }

    // MARK: a codec that waits

    @Test @Loop func aCodecThatAnswersLateKeepsTheOrderOfEachClient() async throws {
        let codec = ManualCodec()
        let custom = try await Custom(codec.codec).start()
        let (slow, quick) = (custom.connector.connect(), custom.connector.connect())
        slow.say("1 a.b.c slow", "2 a.b.c slow")
        quick.say("1 a.b.c quick")
        try await custom.wait(for: "both clients' first") { codec.begun.count == 2 }
        codec.answer("1 a.b.c quick")
        try await custom.wait(for: "the other client") { custom.host.messages.count == 1 }
        codec.answer("1 a.b.c slow")
        try await custom.wait(for: "the second") { codec.begun.contains("2 a.b.c slow") }
        codec.answer("2 a.b.c slow")
        try await custom.wait(for: "all") { custom.host.messages.count == 3 }
        #expect(custom.host.messages.map(\.id) == [1, 1, 2])

        // Out: an answer that is late holds what follows it, also a push that the other client has already.
        let push = try PushMessage(route: "on", body: Bytes("all".utf8))
        for session in custom.host.sessions.values { session.socket.push(push) }
        try await custom.wait(for: "the push") { codec.begun.contains("0 on all") }
        codec.answer("0 on all")
        codec.answer("1  quick")
        try await custom.wait(for: "the quick client's") { quick.sent.count == 2 }
        #expect(quick.sent == ["1  quick", "0 on all"])
        // Sent once more it has its form already, and waits all the same.
        for session in custom.host.sessions.values { session.socket.push(push) }
        await custom.turn()
        #expect(slow.sent == [])
        codec.answer("1  slow")
        try await custom.wait(for: "the next answer") { codec.begun.contains("2  slow") }
        codec.answer("2  slow")
        try await custom.wait(for: "the slow client's") { slow.sent.count == 4 }
        #expect(slow.sent == ["1  slow", "2  slow", "0 on all", "0 on all"])
        #expect(codec.begun.count { $0 == "0 on all" } == 1)
        await custom.adapter.stop()
    }

    @Test @Loop func aCodecThatNeverAnswersLosesOneMessageAndNoClient() async throws {
        let codec = ManualCodec()
        let custom = try await Custom(codec.codec).start()
        let socket = custom.connector.connect()
        socket.say("1 a.b.c never", "2 a.b.c x")
        try await custom.wait(for: "the first") { codec.begun.count == 1 }
        custom.clock.advance(by: .seconds(5))
        try await custom.wait(for: "the second") { codec.begun.count == 2 }
        codec.answer("2 a.b.c x")
        try await custom.wait(for: "its answer's turn") { codec.begun.count == 3 }
        #expect(custom.adapter.statistics.lateDecodes == 1)
        // The first comes after all: nobody waits for it any more.
        codec.answer("1 a.b.c never")
        custom.clock.advance(by: .seconds(5))
        try await custom.wait(for: "the late answer") { custom.adapter.statistics.lateEncodes == 1 }
        codec.answer("2  x")
        await custom.turn()
        #expect(custom.host.messages.map(\.id) == [2])
        #expect(socket.sent == [])
        socket.say("3 a.b.c y")
        try await custom.wait(for: "the third") { codec.begun.last == "3 a.b.c y" }
        codec.answer("3 a.b.c y")
        try await custom.wait(for: "its answer") { codec.begun.last == "3  y" }
        codec.answer("3  y")
        try await custom.wait(for: "it at the client") { socket.sent == ["3  y"] }
        codec.answerAll()
        await custom.adapter.stop()
    }

    @Test @Loop func aCodecThatThrowsLaterLosesOneMessageAndNoClient() async throws {
        let codec = ManualCodec()
        let custom = try await Custom(codec.codec).start()
        let socket = custom.connector.connect()
        socket.say("1 a.b.c x", "2 a.b.c null")
        try await custom.wait(for: "the first") { codec.begun.count == 1 }
        codec.answer("1 a.b.c x", throwing: Fault(400))
        try await custom.wait(for: "the second") { codec.begun.count == 2 }
        codec.answer("2 a.b.c null")
        try await custom.wait(for: "its answer") { codec.begun.count == 3 }
        codec.answer("2  null")
        try await custom.wait(for: "what has no form") { custom.adapter.statistics.failedEncodes == 1 }
        #expect(custom.adapter.statistics.failedDecodes == 1)
        #expect(custom.host.messages.map(\.id) == [2])
        #expect(custom.host.sessions.count == 1)
        await custom.adapter.stop()
    }

    @Test @Loop func whatWaitsForACodecIsBounded() async throws {
        let codec = ManualCodec()
        var options = CustomOptions<String>()
        options.codec.decode = Custom.plain.decode
        options.maxUnencoded = 4
        let custom = try await Custom(codec.codec, options).start()
        let socket = custom.connector.connect()
        for id in 1...4 { socket.say("\(id) a.b.c x") }
        #expect(custom.host.sessions.count == 1)
        socket.say("5 a.b.c x")
        try await custom.wait(for: "the end") { custom.host.sessions.isEmpty }
        #expect(custom.adapter.statistics.unencodedTooMuch == 1)
        #expect(socket.disconnects == 1)
        codec.answerAll()
        await custom.turn()
        #expect(socket.sent == [])
        await custom.adapter.stop()
    }

    @Test @Loop func aFarewellWaitsForWhatTheCodecHas() async throws {
        let codec = ManualCodec()
        var options = CustomOptions<String>()
        options.codec.decode = Custom.plain.decode
        let custom = try await Custom(codec.codec, options).start()
        let (socket, other) = (custom.connector.connect(), custom.connector.connect())
        socket.say("1 a.b.c last")
        try await custom.wait(for: "the answer") { codec.begun.count == 1 }
        custom.host.sessions.values.first { $0.socket === socket.delegate }?.socket.close(kick: "enough")
        #expect(custom.host.ends == [.kicked("enough")])
        #expect(socket.disconnects == 0)
        codec.answer("1  last")
        try await custom.wait(for: "the farewell") { socket.disconnects == 1 }
        #expect(socket.sent == ["1  last"])
        #expect(socket.farewells == [.kicked("enough")])
        // At the stop nobody waits longer than a second.
        other.say("1 a.b.c never")
        try await custom.wait(for: "the other's") { codec.begun.count == 2 }
        let stop = Loop.spawn { await custom.adapter.stop() }
        await custom.turn()
        #expect(other.disconnects == 0)
        custom.clock.advance(by: .seconds(1))
        await stop.value
        #expect(other.disconnects == 1)
        codec.answerAll()
    }
}

@Loop private final class Counter {
    var count = 0
    nonisolated init() {}
}
