// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloJSON
import PomeloWire
import Testing

@Suite("Protobuf schemas")
struct ProtobufSchemaTests {
    private func form(_ source: JSON) throws -> String { text(try ProtobufSchema(source).parsedForm) }

    /// As pomelo-protobuf 0.4.0 parsed it.
    @Test func theParsedFormIsTheOriginals() throws {
        let source: JSON = [
            "onAttack": [
                "required uInt32 attacker": 1, "required uInt32 target": 2,
                "message AttackResult": [
                    "required uInt32 result": 1, "required uInt32 damage": 2, "optional uInt32 exp": 3,
                ], "required AttackResult result": 3,
            ]
        ]
        #expect(
            try form(source)
                == #"{"onAttack":{"attacker":{"option":"required","type":"uInt32","tag":1},"target":{"option":"#
                + #""required","type":"uInt32","tag":2},"result":{"option":"required","type":"AttackResult","tag":3},"#
                + #""__messages":{"AttackResult":{"result":{"option":"required","type":"uInt32","tag":1},"damage":{"#
                + #""option":"required","type":"uInt32","tag":2},"exp":{"option":"optional","type":"uInt32","tag":3},"#
                + #""__messages":{},"__tags":{"1":"result","2":"damage","3":"exp"}}},"#
                + #""__tags":{"1":"attacker","2":"target","3":"result"}}}"#)
    }

    @Test func rootMessagesStayAndAreNoRoutes() throws {
        let schema = try ProtobufSchema(["message Path": ["required double x": 1], "onMove": ["repeated Path path": 1]])
        #expect(schema.routes == ["onMove"])
        #expect(text(schema.parsedForm).hasPrefix(#"{"message Path":{"x":{"#))
        #expect(schema.codec(for: "constructor") == nil)
    }

    @Test func tagsThatAreTakenAndOtherKeysAreLeftOut() throws {
        let schema = try ProtobufSchema([
            "r": ["required uInt32 a": 1, "optional string b": 1, "note": 2, "optional uInt32  c": 3]
        ])
        #expect(
            text(schema.parsedForm)
                == #"{"r":{"a":{"option":"required","type":"uInt32","tag":1},"__messages":{},"__tags":{"1":"a"}}}"#)
        #expect(schema.notes.count == 3)
        #expect(schema.notes[0].contains("r: the field b") && schema.notes[0].contains("tag 1"))
    }

    @Test func aNameThatComesTwiceHasBothTags() throws {
        let schema = try ProtobufSchema(["r": ["required uInt32 a": 1, "optional string a": 2]])
        #expect(
            text(schema.parsedForm)
                == #"{"r":{"a":{"option":"optional","type":"string","tag":2},"__messages":{},"#
                + #""__tags":{"1":"a","2":"a"}}}"#
        )
        let codec = try #require(schema.codec(for: "r"))
        #expect(text(try codec.decode(hex("0a 01 78").span, maxBytes: 100)) == #"{"a":"x"}"#)
        #expect(try codec.encode(["a": "x"]) == hex("12 01 78"))
    }

    @Test func integerLikeNamesComeFirst() throws {
        let schema = try ProtobufSchema(["b": ["optional uInt32 x": 10, "optional uInt32 7": 2], "2": [:]])
        #expect(
            text(schema.parsedForm)
                == #"{"2":{"__messages":{},"__tags":{}},"b":{"7":{"option":"optional","type":"uInt32","tag":2},"x":{"#
                + #""option":"optional","type":"uInt32","tag":10},"__messages":{},"__tags":{"2":"7","10":"x"}}}"#)
    }

    /// Not in between: what a message's parent defines is not its own.
    @Test func typesAreLookedForInTheMessageAndTheRoot() throws {
        let inner: JSON = ["message In": ["optional Out o": 1], "optional In i": 1]
        let error = wireError { () throws(WireError) in
            _ = try ProtobufSchema(["r": .object(["message Out": [:], "message M": inner, "optional M m": 1])])
        }
        #expect(error == .malformed("r.M.In: the field o has the unknown type Out"))
        #expect(throws: Never.self) { try ProtobufSchema(["r": inner, "message Out": [:]]) }
    }

    static let refused: [(source: JSON, text: String)] = [
        ([], "it must hold an object"), (["r": 1], "r: a message must be an object"),
        (["r": ["message M": 1]], "r.M: a message must be an object"),
        (["a.b.c": ["optional vec3 at": 1]], "a.b.c: the field at has the unknown type vec3"),
        (["r": ["optional bytes b": 1]], "r: the field b has the unknown type bytes"),
        (["r": ["optional uInt32 a": "1"]], "r: the field a needs a tag"),
        (["r": ["optional uInt32 a": -1]], "r: the field a needs a tag"),
        (["r": ["optional uInt32 a": 268_435_456]], "r: the field a needs a tag"),
        (["r": ["optional uInt32 a": 1.5]], "r: the field a needs a tag"),
        (["r": ["optional uInt32 __tags": 1]], "r: the field __tags cannot be called so"),
        (["r": ["optional uInt32 ": 1]], "cannot be called so"),
    ]

    @Test(arguments: refused.indices) func whatIsNoSchemaIsNamed(_ index: Int) {
        let error = wireError { () throws(WireError) in _ = try ProtobufSchema(Self.refused[index].source) }
        guard case .malformed(let text) = error else {
            Issue.record("\(Self.refused[index].source) is read")
            return
        }
        #expect(text.contains(Self.refused[index].text), "\(text)")
    }

    @Test func definitionsEndAt64() {
        var source: JSON = [:]
        for _ in 0..<64 { source = ["message M": source] }
        let deepest = source
        let error = wireError { () throws(WireError) in _ = try ProtobufSchema(["r": deepest]) }
        #expect(error != nil)
        #expect(throws: Never.self) { try ProtobufSchema(["r": deepest["message M"] ?? [:]]) }
    }

    /// The digests are MD5 of the text that the test below compares, and of `{}{}`.
    @Test(
        arguments: [
            ("3585c4e70f67681bebf6e8e9fc8e3663", "NYXE5w9naBvr9ujp/I42Yw=="),
            ("c53f4ebe9b2a50bc2b52fd88a5d503e1", "xT9OvpsqULwrUv2IpdUD4Q=="),
        ]) func versions(digest: String, version: String)
    {
        #expect(Base64.encode(hex(digest)) == version)
    }

    @Test func theVersionsSourceIsTheOriginals() throws {
        let client = try ProtobufSchema(["connector.entryHandler.entry": ["required string name": 1]])
        let server = try ProtobufSchema(["onMove": ["required uInt32 entityId": 1, "required float speed": 3]])
        #expect(
            text(client.versionSource + server.versionSource)
                == #"{"connector.entryHandler.entry":{"name":{"option":"required","type":"string","tag":1},"#
                + #""__messages":{},"__tags":{"1":"name"}}}{"onMove":{"entityId":{"option":"required","type":"#
                + #""uInt32","tag":1},"speed":{"option":"required","type":"float","tag":3},"__messages":{},"#
                + #""__tags":{"1":"entityId","3":"speed"}}}"#)
    }

    /// Clients get two escapes; the version is that of the text JavaScript writes.
    @Test func charactersBeyondThreeBytesAreEscapedForClientsOnly() throws {
        let schema = try ProtobufSchema(["r": ["optional uInt32 😀": 1]])
        #expect(text(schema.parsedForm).contains(#""\ud83d\ude00":{"#))
        #expect(text(schema.versionSource).contains(#""😀":{"#))
        let codec = try #require(schema.codec(for: "r"))
        #expect(text(try codec.decode([8, 1].span, maxBytes: 100)) == #"{"\ud83d\ude00":1}"#)
    }
}
