// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloJSON
import PomeloWire
import Testing

@Suite("pomelo's text over socket.io")
struct PomeloTextTests {
    private func read(_ bytes: Bytes) -> (UInt32, String, String)? {
        do throws(WireError) {
            let head = try PomeloText(bytes.span)
            return (head.id, try head.route(in: bytes.span), text(head.body(in: bytes.span)))
        } catch {
            return nil
        }
    }

    /// As socketIO-client 0.5.7.2, the page of socket.io 0.9.6 and socket.io-client 4.7.5 sent them.
    @Test(
        arguments: [
            (
                "\u{0}\u{0}\u{0}\u{1}\u{17}connector.handler.login{\"userId\":\"u\",\"lessonId\":4}", 1,
                "connector.handler.login"
            ),
            ("\u{0}\u{0}\u{0}È\ntest.burst{\"text\":\"héllo 世界 😀\"}", 200, "test.burst"),
            ("\u{0}\u{1}\u{0}\u{1}\ttest.echo{\"n\":2}", 65537, "test.echo"),
            ("\u{0}\u{0}\u{0}\u{0}\u{B}test.notify{\"n\":1}", 0, "test.notify"),
            ("ÿÿÿÿ\u{4}世😀x", UInt32.max, "世😀x"), ("\u{0}\u{0}\u{0}\u{0}\u{0}", 0, ""),
        ] as [(String, UInt32, String)])
    func reads(message: String, id: UInt32, route: String) throws {
        let parts = try #require(read(utf8(message)))
        #expect(parts.0 == id)
        #expect(parts.1 == route)
        #expect(message.hasSuffix(parts.2))
        #expect(try PomeloText.encode(id: parts.0, route: parts.1, body: utf8(parts.2)) == utf8(message))
    }

    @Test func routesOfAnyLength() throws {
        for length in [0, 1, 127, 128, 255] {
            let route = String(repeating: "é", count: length)
            let message = try PomeloText.encode(id: 7, route: route, body: utf8("{}"))
            #expect(read(message)?.1 == route)
        }
        let error = wireError { () throws(WireError) in
            _ = try PomeloText.encode(id: 1, route: String(repeating: "a", count: 256), body: [])
        }
        #expect(error == .tooLarge(limit: 255))
    }

    @Test(arguments: [
        "", "\u{0}", "\u{0}\u{0}\u{0}", "\u{0}\u{0}\u{0}\u{0}", "\u{0}\u{0}\u{0}\u{0}\u{1}",
        "\u{0}\u{0}\u{0}\u{100}\u{0}",
        "\u{0}\u{0}\u{0}\u{0}\u{100}", "世\u{0}\u{0}\u{0}\u{0}", "\u{0}\u{0}\u{0}\u{0}\u{1}😀", "\u{0}\u{0}\u{0}\u{0}ÿa",
    ])
    func refuses(message: String) {
        #expect(read(utf8(message)) == nil)
    }

    @Test func everyBeginningAndEveryByteChangedIsReadWithoutATrap() throws {
        let message = try PomeloText.encode(id: 0xC8_00_FF_01, route: "a.世.😀", body: utf8("{\"é\":1}"))
        for end in 0...message.count { _ = read(Bytes(message[..<end])) }
        for index in message.indices {
            for byte in UInt8.min...UInt8.max {
                var changed = message
                changed[index] = byte
                _ = read(changed)
            }
        }
        #expect(read(hex("00000000 02 eda080")) == nil)
    }
}

@Suite("pomelo's messages to socket.io")
struct SocketIOMessageTests {
    private func written(_ message: SocketIOMessage) -> [String] {
        [text(message.packet(.one)), text(message.packet(.five))]
    }

    @Test func writesEachKind() {
        #expect(
            written(.response(id: 2, body: utf8(#"{"code":200}"#)))
                == [#"3:::{"id":2,"body":{"code":200}}"#, #"42["message","{\"id\":2,\"body\":{\"code\":200}}"]"#])
        #expect(
            written(.push(route: "onMove", body: utf8(#"{"a":1}"#)))
                == [
                    #"3:::{"route":"onMove","body":{"a":1}}"#,
                    #"42["message","{\"route\":\"onMove\",\"body\":{\"a\":1}}"]"#,
                ])
        #expect(
            written(.kick(reason: "kick"))
                == [
                    #"3:::{"route":"onKick","reason":"kick"}"#,
                    #"42["message","{\"route\":\"onKick\",\"reason\":\"kick\"}"]"#,
                ])
        #expect(written(.response(id: .max, body: [])).first == #"3:::{"id":4294967295}"#)
        let batch: [SocketIOMessage] = [
            .push(route: "onMove", body: utf8(#"{"a":1}"#)), .response(id: 2, body: utf8(#"{"code":200}"#)),
        ]
        #expect(
            text(SocketIOMessage.batch(batch, .four))
                == #"42["message","[{\"route\":\"onMove\",\"body\":{\"a\":1}},{\"id\":2,\"body\":{\"code\":200}}]"]"#)
        #expect(text(SocketIOMessage.batch([], .one)) == "3:::[]")
    }

    @Test func writesASCIIAlone() {
        let push = SocketIOMessage.push(route: "on世\"", body: utf8(#"{"text":"héllo 世界 😀"}"#))
        #expect(
            written(push) == [
                #"3:::{"route":"on\u4e16\"","body":{"text":"h\u00e9llo \u4e16\u754c \ud83d\ude00"}}"#,
                #"42["message","{\"route\":\"on\u4e16\\\"\",\"body\":{\"text\":"#
                    + #"\"h\u00e9llo \u4e16\u754c \ud83d\ude00\"}}"]"#,
            ])
    }

    /// What a client reads is what was said, whatever characters it holds.
    @Test func readsBackTheSame() throws {
        var random = Seeded(9)
        let scalars: [Unicode.Scalar] = [
            "a", "\"", "\\", "\n", "\u{0}", "\u{7F}", "é", "\u{7FF}", "\u{800}", "世", "\u{FFFF}", "😀", "\u{10FFFF}",
        ]
        for _ in 0..<500 {
            var words = ["", "", ""]
            for index in words.indices {
                for _ in 0..<random.below(12) {
                    words[index].unicodeScalars.append(scalars[random.below(scalars.count)])
                }
            }
            let body = JSON.object([words[0]: .string(words[1])])
            let message = SocketIOMessage.push(route: words[2], body: body.encoded())
            for revision in SocketIORevision.allCases {
                let packet = message.packet(revision)
                #expect(packet.allSatisfy { $0 < 0x80 })
                let data = revision == .one ? packet : Bytes(packet.dropFirst())
                guard case .message(let inner) = try SocketIOPacket(data.span, revision) else {
                    Issue.record("no message")
                    continue
                }
                #expect(try JSON.parse(inner) == ["route": .string(words[2]), "body": body])
            }
        }
    }

    @Test func mendsWhatIsNoUTF8() throws {
        for bad in ["ff", "c3", "eda080", "f09f98", "80", "f5808080", "c080"] {
            let body = utf8("{\"a\":\"") + hex(bad) + utf8("\"}")
            let packet = SocketIOMessage.push(route: "r", body: body).packet(.four)
            #expect(packet.allSatisfy { $0 < 0x80 })
            #expect(text(packet).contains("\\ufffd"))
        }
    }
}
