// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

/// What becomes of each packet, in both ways of naming handlers.
@Loop @Suite struct MQTTMessageTests {
    private func options(
        publish: String? = nil, subscribe: String? = nil, _ change: (inout MQTTOptions) -> Void = { _ in }
    ) -> MQTTOptions {
        var options = MQTTOptions()
        options.publishRoute = publish
        options.subscribeRoute = subscribe
        change(&options)
        return options
    }

    /// The exchanges of the specification's examples, at every split of their bytes.
    @Test func aConversationAtEverySplit() throws {
        let said = Bytes(
            hex: "100e00044d51545404023c3c00026331" + "32090003612f62000a6869" + "8208000a0003612f6201" + "c000"
                + "a207000b0003612f62" + "e000")
        let heard = Bytes(hex: "20020000" + "4002000a" + "9003000a01" + "d000" + "b002000b")
        for split in 0...said.count {
            let wired = try MQTTWired(options(publish: "c.h.publish"))
            wired.host.echoing = false
            wired.stream.feed(Bytes(said[..<split]))
            wired.stream.feed(Bytes(said[split...]))
            #expect(wired.stream.written == heard, "split at \(split)")
            #expect(wired.host.messages.count == 1 && wired.host.ends == [.disconnected("client disconnected")])
        }
    }

    // MARK: publishRoute

    @Test func whatIsPublishedReachesTheRoute() throws {
        let wired = try MQTTWired(options(publish: "c.h.publish"))
        wired.host.echoing = false
        try wired.work()
        try wired.say(
            .publish(MQTTPublish("a/b", Bytes("hé".utf8), retain: true)),
            .publish(MQTTPublish("a", [0xFF, 0, 1], qos: 1, isRepeated: true, id: 7)),
            .publish(MQTTPublish("a", [], qos: 2, id: 8)))
        #expect(wired.host.messages.map(\.id) == [0, 7, 8])
        #expect(wired.host.messages.allSatisfy { $0.route.text == "c.h.publish" })
        #expect(
            wired.host.messages.map { String(decoding: $0.body, as: UTF8.self) } == [
                #"{"topic":"a/b","payload":"hé","qos":0,"retain":true,"dup":false}"#,
                #"{"topic":"a","payloadBase64":"/wAB","qos":1,"retain":false,"dup":true,"messageId":7}"#,
                #"{"topic":"a","payload":"","qos":2,"retain":false,"dup":false,"messageId":8}"#,
            ])
        #expect(try wired.heard() == [.publishAck(7), .publishReceived(8)])
    }

    /// The original destroyed the connection for any answer that was no message.
    @Test func answersThatAreMessagesArePublishedAndOthersAreNot() throws {
        let wired = try MQTTWired(options(publish: "c.h.publish"))
        wired.host.echoing = false
        try wired.work()
        let socket = try #require(wired.host.session).socket
        for answer in [
            "{}", "", "[]", "null", "no JSON", "{\"code\":500}", "{\"topic\":\"a\"}", "{\"topic\":7,\"payload\":\"\"}",
        ] {
            socket.respond(id: 1, body: Bytes(answer.utf8))
        }
        #expect(try wired.heard().isEmpty)
        #expect(wired.service.statistics.swallowedAnswers == 8)
        socket.respond(id: 1, body: Bytes(#"{"topic":"a","payload":"p"}"#.utf8))
        socket.respond(id: 2, body: Bytes(#"{"topic":"b","payloadBase64":"/wA=","qos":1,"retain":true}"#.utf8))
        socket.respond(id: 3, body: Bytes(#"{"topic":"c/+","payload":"p"}"#.utf8))
        #expect(
            try wired.heard() == [
                .publish(MQTTPublish("a", Bytes("p".utf8))),
                .publish(MQTTPublish("b", [0xFF, 0], qos: 1, retain: true, id: 1)),
            ], "what cannot be a message is logged, and nothing is sent")
        #expect(wired.stream.closing == nil)
    }

    // MARK: topics as routes

    @Test func withoutARouteTopicsAreRoutes() throws {
        let wired = try MQTTWired()
        try wired.work()
        try wired.say(
            .publish(MQTTPublish("a.b.c", Bytes("{\"x\":1}".utf8))),
            .publish(MQTTPublish("a.b.d", Bytes("{\"x\":2}".utf8), qos: 1, id: 65_535)))
        #expect(wired.host.messages.map(\.route.text) == ["a.b.c", "a.b.d"])
        #expect(wired.host.messages.map(\.id) == [0, 65_535])
        #expect(
            Set(try wired.heard().map { try $0.encoded() })
                == Set(
                    try [
                        MQTTPacket.publish(MQTTPublish("answer/65535", Bytes("{\"x\":2}".utf8))), .publishAck(65_535),
                    ].map { try $0.encoded() }))
    }

    @Test func twoClientsMayHaveTheSameIDs() throws {
        let wired = try MQTTWired(options(subscribe: "c.h.subscribe"))
        try wired.work()
        wired.host.echoing = false
        let first = try #require(wired.host.session).socket
        let other = try wired.another(MQTTConnect("c1"))
        #expect(wired.host.sessions.count == 2, "a name takes nobody's place")
        let second = try #require(wired.host.sessions.values.first { $0.socket !== first }).socket
        try wired.say(.subscribe(5, [.init("a", qos: 1)]), .publish(MQTTPublish("a.b.c", [], qos: 1, id: 5)))
        other.feed(try MQTTPacket.subscribe(5, [.init("b", qos: 0), .init("c", qos: 0)]).encoded())
        #expect(try wired.heard() == [.publishAck(5)])
        let ids = wired.host.messages.map(\.id)
        #expect(ids == [5 | 1 << 16, 5, 5 | 1 << 16])
        first.respond(id: 5, body: Bytes("{}".utf8))
        second.respond(id: ids[2], body: Bytes("[0]".utf8))
        first.respond(id: ids[0], body: Bytes("[1]".utf8))
        first.respond(id: ids[0], body: Bytes("[1]".utf8))
        #expect(
            try wired.heard() == [.publish(MQTTPublish("answer/5", Bytes("{}".utf8))), .subscribeAck(5, [1])],
            "an answer comes once")
        #expect(try MQTTWired.packets(other.taken()) == [.subscribeAck(5, [0, 0x80])])
    }

    // MARK: QoS 2

    @Test func aMessageOfQoS2IsHandedOnOnce() throws {
        let wired = try MQTTWired(options(publish: "c.h.publish"))
        wired.host.echoing = false
        try wired.work()
        var publish = MQTTPublish("a", [1], qos: 2, id: 9)
        try wired.say(.publish(publish))
        publish.isRepeated = true
        try wired.say(.publish(publish), .publishRelease(9), .publishRelease(9))
        #expect(
            try wired.heard() == [.publishReceived(9), .publishReceived(9), .publishComplete(9), .publishComplete(9)])
        #expect(wired.host.messages.count == 1)
        #expect(wired.service.statistics.repeated == 1 && wired.port.statistics.ignoredPackages == 1)
        try wired.say(.publish(publish))
        #expect(wired.host.messages.count == 2, "released, the id is another message's")
    }

    // MARK: SUBSCRIBE

    @Test func withoutARouteEverythingIsGranted() throws {
        let wired = try MQTTWired()
        try wired.work()
        try wired.say(
            .subscribe(1, [.init("a/#", qos: 0), .init("b", qos: 1), .init("c", qos: 2)]), .unsubscribe(2, ["a/#"]))
        #expect(try wired.heard() == [.subscribeAck(1, [0, 1, 1]), .unsubscribeAck(2)])
        #expect(wired.host.messages.isEmpty)
    }

    @Test func theHandlerIsAskedAndAnswersWhatItGrants() throws {
        let wired = try MQTTWired(options(subscribe: "c.h.subscribe"))
        wired.host.echoing = false
        try wired.work()
        let socket = try #require(wired.host.session).socket
        let asked: [MQTTSubscription] = [.init("a", qos: 0), .init("b", qos: 1), .init("c", qos: 2)]
        let answers: [(String, Bytes)] = [
            ("[0,1,2]", [0, 1, 1]), ("{\"granted\":[2,2,2]}", [0, 1, 1]), ("[0]", [0, 0x80, 0x80]),
            ("[128,-1,null]", [0x80, 0x80, 0x80]), ("[3,true,\"1\"]", [0x80, 0x80, 0x80]),
            ("{\"code\":500}", [0x80, 0x80, 0x80]), ("", [0x80, 0x80, 0x80]), ("[0,0,0,0,0]", [0, 0, 0]),
        ]
        for (answer, granted) in answers {
            try wired.say(.subscribe(3, asked))
            let message = try #require(wired.host.messages.last)
            #expect(message.route.text == "c.h.subscribe")
            #expect(
                String(decoding: message.body, as: UTF8.self)
                    == #"{"subscriptions":[{"topic":"a","qos":0},{"topic":"b","qos":1},{"topic":"c","qos":2}]}"#)
            socket.respond(id: message.id, body: Bytes(answer.utf8))
            #expect(try wired.heard() == [.subscribeAck(3, granted)], "\(answer)")
        }
    }

    // MARK: pushes

    @Test func aPushIsAMessageOnItsRouteOrAsItsBodySays() throws {
        let wired = try MQTTWired()
        try wired.work()
        let socket = try #require(wired.host.session).socket
        let bodies: [(JSON, MQTTPublish?)] = [
            (["msg": "hi"], MQTTPublish("onChat", Bytes(#"{"msg":"hi"}"#.utf8))),
            (["topic": "a/b", "payload": "p", "qos": 0], MQTTPublish("a/b", Bytes("p".utf8))),
            (["topic": "a", "payload": "p", "qos": 1], MQTTPublish("a", Bytes("p".utf8), qos: 1, id: 1)),
            (
                ["topic": "a", "payload": "p", "qos": 2, "retain": true],
                MQTTPublish("a", Bytes("p".utf8), qos: 1, retain: true, id: 2)
            ),
            (
                ["topic": "a", "payload": ["x": 1]],
                MQTTPublish("onChat", Bytes(#"{"topic":"a","payload":{"x":1}}"#.utf8))
            ),
            (["topic": "a/#", "payload": "p"], nil),
            ([1, 2], MQTTPublish("onChat", Bytes("[1,2]".utf8))),
        ]
        for (body, publish) in bodies {
            #expect(socket.push(try MQTTWired.push("onChat", body)) == (publish != nil), "\(body)")
            #expect(try wired.heard() == (publish.map { [.publish($0)] } ?? []), "\(body)")
        }
        #expect(!socket.push(try MQTTWired.push("on/#", ["a": 1])), "a route that is no topic")
        #expect(wired.stream.closing == nil)
    }

    /// All clients are written the same memory, for QoS 0 has no ids.
    @Test func aPushIsWrittenOnce() throws {
        let wired = try MQTTWired()
        try wired.work()
        let other = try wired.another()
        let message = try MQTTWired.push("on", ["a": .string(String(repeating: "x", count: 1000))])
        for session in wired.host.sessions.values { #expect(session.socket.push(message)) }
        let form = wired.service.form(of: message, wired.port.unsendable)
        #expect(form === wired.service.form(of: message, wired.port.unsendable))
        #expect(wired.stream.parts.last == form.plain && other.parts.last == form.plain)
        // Each has its own id where there are ids.
        let numbered = try MQTTWired.push("on", ["topic": "t", "payload": "p", "qos": 1])
        let first = try #require(wired.host.sessions.values.first)
        #expect(first.socket.push(numbered) && first.socket.push(numbered))
        let ids = try [wired.stream, other].flatMap { try MQTTWired.packets($0.taken()) }.compactMap { packet in
            if case .publish(let publish) = packet, publish.qos == 1 { publish.id } else { nil }
        }
        #expect(ids == [1, 2])
    }

    @Test func aKickIsToldAndThenTheConnectionIsClosed() throws {
        let wired = try MQTTWired()
        try wired.work()
        let socket = try #require(wired.host.session).socket
        socket.close(kick: "too loud")
        #expect(try wired.heard() == [.publish(MQTTPublish("onKick", Bytes(#"{"reason":"too loud"}"#.utf8)))])
        #expect(wired.stream.flushed && wired.host.ends == [.kicked("too loud")])
        #expect(!socket.push(try MQTTWired.push("on", [:])))
    }
}
