// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloJSON
import PomeloWire
import Testing

@Suite("Route dictionary")
struct RouteDictionaryTests {
    private let handlers = [
        "connector.entryHandler.entry", "chat.chatHandler.send", "chat.chatHandler.Kick",
        "chat.chat2Handler.x",
    ]

    @Test func numbersRoutesAsTheOriginalDoes() throws {
        let dictionary = try RouteDictionary(handlerRoutes: handlers, extra: ["onMove", "onAttack"])
        #expect(
            text(dictionary.versionSource)
                == #"{"chat.chat2Handler.x":1,"chat.chatHandler.Kick":2,"chat.chatHandler.send":3,"#
                + #""connector.entryHandler.entry":4,"onMove":5,"onAttack":6}"#)
        #expect(dictionary.code(for: "onMove") == 5)
        #expect(dictionary.route(for: 3) == "chat.chatHandler.send")
        #expect(dictionary.code(for: "onmove") == nil)
        #expect(dictionary.route(for: 0) == nil)
        #expect(dictionary.route(for: 7) == nil)
        #expect(dictionary.routes.map(\.code) == [1, 2, 3, 4, 5, 6])
    }

    /// The digests are MD5 of the texts that the tests above and below compare.
    @Test(
        arguments: [
            ("800d3b78723bad64be07a3fa75c9ee86", "gA07eHI7rWS+B6P6dcnuhg=="),
            ("99914b932bd37a50b983c5e7c90ae93b", "mZFLkyvTelC5g8XnyQrpOw=="),
        ])
    func versions(digest: String, version: String) {
        #expect(Base64.encode(hex(digest)) == version)
    }

    @Test func empty() throws {
        #expect(text(try RouteDictionary(handlerRoutes: []).versionSource) == "{}")
    }

    @Test func sortsByUTF16CodeUnits() throws {
        // U+FF61 sorts after the surrogates of U+1F600 by code unit, before it by scalar.
        let dictionary = try RouteDictionary(handlerRoutes: ["\u{FF61}", "\u{1F600}", "a", "B"])
        #expect(dictionary.routes.map(\.route) == ["B", "a", "\u{1F600}", "\u{FF61}"])
        #expect(text(dictionary.versionSource) == #"{"B":1,"a":2,"😀":3,"｡":4}"#)
    }

    @Test func aRepeatedRouteIsWrittenWithItsLaterCode() throws {
        let dictionary = try RouteDictionary(handlerRoutes: ["a"], extra: ["b", "a"])
        #expect(dictionary.code(for: "a") == 3)
        #expect(dictionary.route(for: 1) == "a")
        #expect(dictionary.route(for: 3) == "a")
        #expect(text(dictionary.versionSource) == #"{"a":3,"b":2}"#)
    }

    @Test func integerLikeNamesComeFirstInTheText() throws {
        let dictionary = try RouteDictionary(handlerRoutes: ["a"], extra: ["10", "9", "01"])
        #expect(text(dictionary.versionSource) == #"{"9":3,"10":2,"a":1,"01":4}"#)
    }

    @Test func holdsAtMost65535Routes() throws {
        let routes = (0..<65535).map { "r\($0)" }
        #expect(try RouteDictionary(handlerRoutes: [], extra: routes).route(for: 65535) == "r65534")
        let error = wireError { () throws(WireError) in
            _ = try RouteDictionary(handlerRoutes: ["x"], extra: routes)
        }
        #expect(error == .tooLarge(limit: 65535))
    }
}

@Suite("Handshake")
struct HandshakeTests {
    private func body(_ package: Bytes) throws -> String {
        let found = try packages([package])
        #expect(found.count == 1)
        let first = try #require(found.first)
        #expect(first.type == .handshake)
        return text(first.body)
    }

    @Test func readsWhatClientsSend() throws {
        let text =
            #"{"sys":{"type":"js-websocket","version":"0.0.1","rsa":{},"protoVersion":0},"user":{"a":1}}"#
        let decoded = HandshakeRequest.decode(utf8(text).span)
        let request = try #require(decoded)
        #expect(request.type == "js-websocket")
        #expect(request.version == "0.0.1")
        #expect(request.protoVersion == nil)
        #expect(request.dictVersion == nil)
        #expect(request.user == ["a": 1])
        #expect(request.message["sys"]?["rsa"] == [:])
    }

    @Test(
        arguments: [
            "", "{", "null", "[]", "1", "{}", #"{"sys":null}"#, #"{"sys":0}"#, #"{"sys":""}"#,
            #"{"sys":false}"#,
        ])
    func withoutSysItIsABadRequest(_ text: String) {
        #expect(HandshakeRequest.decode(utf8(text).span) == nil)
    }

    @Test func failures() throws {
        #expect(HandshakeReply.badRequest == hex("01 00 00 0c 7b 22 63 6f 64 65 22 3a 35 30 30 7d"))
        #expect(HandshakeReply.rejected == hex("01 00 00 0c 7b 22 63 6f 64 65 22 3a 35 30 31 7d"))
    }

    @Test func successes() throws {
        let routes = try RouteDictionary(handlerRoutes: ["a.b.c"], extra: ["onX"])
        #expect(try body(HandshakeReply.success(heartbeatSeconds: nil)) == #"{"code":200,"sys":{}}"#)
        #expect(
            try body(HandshakeReply.success(heartbeatSeconds: 3)) == #"{"code":200,"sys":{"heartbeat":3}}"#)
        #expect(
            try body(HandshakeReply.success(heartbeat: 0.5, user: ["x": 1]))
                == #"{"code":200,"sys":{"heartbeat":0.5},"user":{"x":1}}"#)
        #expect(
            try body(HandshakeReply.success(heartbeatSeconds: 0, user: 0)) == #"{"code":200,"sys":{}}"#)
        #expect(
            try body(
                HandshakeReply.success(heartbeatSeconds: 3, dictionary: (routes, version: "V", send: true)))
                == #"{"code":200,"sys":{"heartbeat":3,"dict":{"a.b.c":1,"onX":2},"#
                + #""routeToCode":{"a.b.c":1,"onX":2},"codeToRoute":{"1":"a.b.c","2":"onX"},"#
                + #""dictVersion":"V","useDict":true}}"#)
        #expect(
            try body(
                HandshakeReply.success(heartbeatSeconds: nil, dictionary: (routes, version: "V", send: false))
            )
                == #"{"code":200,"sys":{"useDict":true}}"#)
    }
}
