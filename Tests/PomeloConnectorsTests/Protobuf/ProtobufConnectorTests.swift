// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

@Suite struct ProtobufConnectorTests {
    typealias Transport = TestClient.Transport
    typealias Setting = MemoryNetworkTests.Setting

    /// As the original's answer, its version included.
    @Test @Loop func theHandshakeIsTheOriginals() throws {
        var options = HybridOptions(heartbeat: .seconds(3))
        options.protobuf = .schemas(
            server: ["onMove": ["required uInt32 entityId": 1, "required float speed": 3]],
            client: ["connector.entryHandler.entry": ["required string name": 1]])
        options.dictionary = (handlers: [], extra: ["onMove"])
        let version = "NYXE5w9naBvr9ujp/I42Yw=="
        let dict =
            #""dict":{"onMove":1},"routeToCode":{"onMove":1},"codeToRoute":{"1":"onMove"},"#
            + #""dictVersion":"z43FS/YsPu9VEbUyQdzu6Q==","#
        let protos =
            #""protos":{"server":{"onMove":{"entityId":{"option":"required","type":"uInt32","tag":1},"speed":{"#
            + #""option":"required","type":"float","tag":3},"__messages":{},"__tags":{"1":"entityId","3":"speed"}}},"#
            + #""client":{"connector.entryHandler.entry":{"name":{"option":"required","type":"string","tag":1},"#
            + #""__messages":{},"__tags":{"1":"name"}}},"version":"\#(version)"},"#
        for (known, sent) in [(nil, protos), ("other", protos), (version, "")] as [(String?, String)] {
            let wired = try Wired(options)
            wired.stream.feed(Schemas.handshake(known))
            let answer = String(decoding: wired.stream.taken().dropFirst(4), as: UTF8.self)
            let expected = #"{"code":200,"sys":{"heartbeat":3,\#(dict)"useDict":true,\#(sent)"useProto":true}}"#
            #expect(answer == expected)
        }
    }

    @Test @Loop func withoutDictionaryAndHeartbeatTheSchemasStandAlone() throws {
        var options = HybridOptions()
        options.protobuf = .schemas(server: [:], client: [:])
        options.handshake = { _ in ["hello": 1] }
        let reply = try HybridProtocol(options, clock: ManualClock(), logger: Logger(label: "test"))
        let found = HandshakeRequest.decode(Bytes(#"{"sys":{}}"#.utf8).span)
        let request = try #require(found)
        let answer = try reply.edition.welcome(request, user: ["hello": 1])
        #expect(
            String(decoding: answer.dropFirst(4), as: UTF8.self)
                == #"{"code":200,"sys":{"protos":{"server":{},"client":{},"version":"xT9OvpsqULwrUv2IpdUD4Q=="},"#
                + #""useProto":true},"user":{"hello":1}}"#)
    }

    @Test(arguments: Transport.allCases)
    @Loop func messagesOfARouteWithASchemaAreTranslated(_ transport: Transport) async throws {
        let setting = try await Setting.make(Schemas.options)
        let client = try await setting.client(transport)
        try await client.handshake()
        // {"x":300,"s":"hé"} both ways; the handler sees JSON.
        let id = try client.ask(Schemas.echo, Bytes(hex: "10ac021a0368c3a9"))
        #expect(try await client.answer(to: id) == Bytes(hex: "10ac021a0368c3a9"))
        #expect(setting.frontend.host.messages.last?.body == Bytes(#"{"x":300,"s":"hé"}"#.utf8))
        // Only what clients send has a schema here.
        let plain = try client.ask(Schemas.plain, Bytes(hex: "0803020104"))
        #expect(try await client.answer(to: plain) == Bytes(#"{"list":[1,-1,2]}"#.utf8))
        // No schema at all.
        #expect(try await client.request("game.areaHandler.other", ["a": 1]) == ["a": 1])
        let socket = try #require(setting.frontend.host.session?.socket)
        #expect(socket.push(try PushMessage(route: "onMove", body: Bytes(#"{"id":5,"who":"x"}"#.utf8))))
        #expect(socket.push(try PushMessage(route: "onOther", body: Bytes(#"{"id":5}"#.utf8))))
        let pushes = try await client.wait(for: "pushes") { client.pushes.count == 2 ? client.pushes : nil }
        #expect(pushes.map(\.body) == [Bytes(hex: "0805120178"), Bytes(#"{"id":5}"#.utf8)])
        await setting.frontend.connector.stop()
        #expect(setting.clock.pendingTimers == 0)
    }

    @Test @Loop func anEmptyMessageIsOne() async throws {
        let setting = try await Setting.make(Schemas.options)
        let client = try await setting.client()
        try await client.handshake()
        #expect(try await client.answer(to: try client.ask(Schemas.echo, [])) == [])
        #expect(setting.frontend.host.messages.last?.body == Bytes("{}".utf8))
        #expect(setting.frontend.connector.statistics.unencodableMessages == 0)
        await setting.frontend.connector.stop()
    }

    // MARK: what does not fit

    /// A request is answered 500, as far as its answer can say that; the connection lives on.
    @Test @Loop func whatIsNoMessageIsDroppedAndCounted() throws {
        let wired = try Wired(Schemas.options)
        wired.work()
        for (number, bytes) in ["ffffffffff", "10", "1aff01", "1a036869", "0801", "7b2278223a317d"].enumerated() {
            wired.stream.feed(Sample.data(try Message.request(id: 9, route: Schemas.echo, body: Bytes(hex: bytes))))
            #expect(wired.stream.taken() == Sample.data([4, 9, 8, 0xF4, 3]), "\(bytes)")
            #expect(wired.port.statistics.undecodableMessages == number + 1)
        }
        wired.stream.feed(Sample.data(try Message.request(id: 9, route: Schemas.plain, body: [8, 9])))
        #expect(wired.stream.taken() == Sample.data([4, 9] + Bytes(#"{"code":500}"#.utf8)))
        wired.stream.feed(Sample.data(try Message.request(id: 9, route: Schemas.strict, body: [8])))
        wired.stream.feed(Sample.data(try Message.notify(route: Schemas.echo, body: [8])))
        #expect(wired.stream.taken() == [])
        #expect(wired.host.messages.isEmpty)
        #expect(wired.port.statistics.undecodableMessages == 9)
        #expect(wired.stream.closing == nil)
    }

    /// Of what comes in, no more JSON is made than a client may send as JSON.
    @Test @Loop func whatIsMadeOfAMessageIsBounded() throws {
        var options = Schemas.options
        options.limits.maxMessageBytes = 1000
        let wired = try Wired(options)
        wired.work()
        for (count, isRead) in [(400, true), (600, false)] {
            let list = Bytes([8, UInt8(count & 127 | 128), UInt8(count >> 7)]) + Bytes(repeating: 0, count: count)
            wired.stream.feed(
                try Packet.encode(.data, try Message.request(id: 1, route: Schemas.plain, body: list)))
            #expect(wired.host.messages.count == 1, "\(count)")
            #expect(wired.port.statistics.undecodableMessages == (isRead ? 0 : 1))
        }
    }

    @Test @Loop func anAnswerThatDoesNotFitGoesOutEmpty() throws {
        let wired = try Wired(Schemas.options)
        wired.host.echoing = false
        wired.work()
        let socket = try #require(wired.host.session?.socket)
        for body in ["{}", "[1]", "no JSON", #"{"name":5}"#, #"{"code":500}"#] {
            socket.respond(id: 7, route: Route(Schemas.strict), body: Bytes(body.utf8))
            #expect(wired.stream.taken() == Sample.data([4, 7]), "\(body)")
        }
        #expect(wired.port.statistics.unencodableMessages == 5)
        socket.respond(id: 7, route: Route(Schemas.echo), body: Bytes(#"{"code":500}"#.utf8))
        #expect(wired.stream.taken() == Sample.data([4, 7, 8, 0xF4, 3]))
        let push = try PushMessage(route: "onMove", body: Bytes("{}".utf8))
        #expect(socket.push(push) && socket.push(push))
        #expect(
            wired.stream.taken() == Sample.data([6, 6] + Bytes("onMove".utf8))
                + Sample.data([6, 6] + Bytes("onMove".utf8)))
        #expect(wired.port.statistics.unencodableMessages == 6, "one push is framed once")
    }

    @Test @Loop func anAnswerThatDoesNotFitAPackageFailsInItsSchema() throws {
        let wired = try Wired(Schemas.options)
        wired.work()
        let socket = try #require(wired.host.session?.socket)
        let body: JSON = ["s": .string(String(repeating: "x", count: Packet.maxBodyLength))]
        socket.respond(id: 7, route: Route(Schemas.echo), body: body.encoded())
        #expect(wired.stream.taken() == Sample.data([4, 7, 8, 0xF4, 3]))
    }

    @Test(arguments: [1, 2, 3] as [UInt64]) @Loop func hostileBytesLeaveNothingBehind(_ seed: UInt64) throws {
        let random = RandomSource(seed: seed)
        for _ in 0..<300 {
            let wired = try Wired(Schemas.options)
            wired.work()
            for _ in 0..<(1 + random.next() % 8) {
                let route = [Schemas.echo, Schemas.strict, Schemas.plain][Int(random.next() % 3)]
                var body = Bytes(hex: ["10ac021a0368c3a9", "0801", "0803020104"][Int(random.next() % 3)])
                body[Int(random.next() % UInt64(body.count))] = UInt8(truncatingIfNeeded: random.next())
                body += random.bytes(Int(random.next() % 6))
                let id = UInt32(random.next() % 3)
                wired.stream.feed(Sample.data(try Message.request(id: id, route: route, body: body)))
            }
            #expect(wired.stream.closing == nil)
            wired.stream.end()
            #expect(wired.clock.pendingTimers == 0 && wired.host.sessions.isEmpty)
        }
    }
}
