// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloConnectors
import PomeloCore
import PomeloLoop
import TestHelpers
import Testing

/// What clients of a custom connector miss that read slowly, and how much may wait of what all of them said.
@Suite struct CustomBoundTests {
    @Loop private func started(
        _ policy: SlowReaderPolicy, _ codec: MessageCodec<String> = Custom.plain
    ) async throws -> (custom: Custom, socket: TextSocket, client: any ClientSocket) {
        var options = CustomOptions<String>()
        options.slowReaders = policy
        options.maxOutboundBytes = 400
        let custom = try await Custom(codec, options).start()
        let socket = custom.connector.connect()
        socket.isStuck = true
        return (custom, socket, try #require(custom.host.session).socket)
    }

    @Loop private func push(_ client: any ClientSocket, _ numbers: Range<Int>, _ route: String = "on") throws {
        for number in numbers { client.push(try PushMessage(route: route, body: Bytes("\(number)".utf8))) }
    }

    /// The client reads all there is, again and again, until the last has come.
    @Loop private func read(_ custom: Custom, _ socket: TextSocket, until last: String) async throws -> [String] {
        try await custom.wait(for: last) {
            socket.queuedBytes = 0
            socket.delegate?.drained()
            return socket.sent.last == last
        }
        return socket.sent
    }

    static let codecs = [
        Custom.plain, MessageCodec(decode: Custom.plain.decode, encode: .waiting { Custom.encode($0) }),
    ]

    @Test(arguments: [0, 1]) @Loop func aSlowReaderMissesTheOldestAndReadsOn(_ codec: Int) async throws {
        let (custom, socket, client) = try await started(.dropOldest, Self.codecs[codec])
        for number in 100..<200 {
            try push(client, number..<(number + 1))
            await custom.turn()
        }
        client.respond(id: 7, body: Bytes("x".utf8))
        #expect(custom.host.ends.isEmpty)
        let sent = try await read(custom, socket, until: "7  x")
        #expect(sent.first == "0 on 100" && sent.suffix(2) == ["0 on 199", "7  x"])
        #expect(sent == sent.dropLast().sorted() + ["7  x"], "the order is kept")
        #expect(sent.count - 1 + custom.adapter.statistics.droppedPushes == 100)
        #expect((40..<80).contains(custom.adapter.statistics.droppedPushes))
        try push(client, 200..<202)
        _ = try await read(custom, socket, until: "0 on 201")
        await custom.adapter.stop()
    }

    @Test @Loop func aSlowReaderGetsTheNewestOfEachRoute() async throws {
        let (custom, socket, client) = try await started(.latestOnly)
        try push(client, 100..<200, "onMove")
        try push(client, 100..<103, "onScore")
        let sent = try await read(custom, socket, until: "0 onScore 102")
        #expect(sent.suffix(2) == ["0 onMove 199", "0 onScore 102"])
        #expect(sent.count < 20)
        await custom.adapter.stop()
    }

    @Test(arguments: SlowReaderPolicy.allCases) @Loop
    func whoReadsNoAnswersIsDisconnected(_ policy: SlowReaderPolicy) async throws {
        let (custom, socket, client) = try await started(policy)
        // So that answers wait behind pushes, where these may.
        try push(client, 100..<130)
        for id in 1...100 { client.respond(id: UInt32(id), body: Bytes("answer".utf8)) }
        await custom.turn()
        #expect(custom.host.ends.map(\.description) == ["slowConsumer"])
        #expect(custom.adapter.statistics.slowConsumers == 1)
        #expect(socket.disconnects == 1)
        await custom.adapter.stop()
    }

    @Test @Loop func whatWasNotOfferedYetIsNotLeftOut() async throws {
        let (custom, socket, client) = try await started(.dropOldest)
        socket.isStuck = false
        try push(client, 100..<300)
        await custom.turn()
        #expect(socket.sent.count == 200)
        #expect(custom.adapter.statistics.droppedPushes == 0)
        await custom.adapter.stop()
    }

    @Test @Loop func whatWaitsLeavesBeforeTheFarewell() async throws {
        let (custom, socket, client) = try await started(.dropOldest)
        try push(client, 100..<200)
        client.close(kick: "enough")
        #expect(socket.sent.last == "0 on 199")
        #expect(socket.farewells == [.kicked("enough")])
        await custom.adapter.stop()
    }

    @Test @Loop func whatAllClientsSaidIsBounded() async throws {
        var options = CustomOptions<String>()
        options.maxTotalHeldBytes = 1000
        let custom = try await Custom(Custom.plain, options).start()
        let sockets = (0..<3).map { _ in custom.connector.connect() }
        for session in custom.host.sessions.values { session.socket.pauseReading() }
        for (socket, count) in zip(sockets, [4, 6, 3]) {
            for _ in 0..<count { socket.say("0 a.b.c x") }
        }
        // Thirteen messages of 73 bytes; one more is too much, and who said most goes.
        #expect(custom.adapter.statistics.heldBytes == 949)
        sockets[2].say("0 a.b.c x")
        await custom.turn()
        #expect(custom.adapter.statistics.heldTooMuch == 1)
        #expect(custom.adapter.statistics.heldBytes == 8 * 73)
        #expect(sockets.map(\.disconnects) == [0, 1, 0])
        await custom.adapter.stop()
    }
}
