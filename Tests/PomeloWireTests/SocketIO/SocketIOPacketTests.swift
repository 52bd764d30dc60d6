// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloWire
import Testing

private func read(_ text: String, _ revision: SocketIORevision) -> SocketIOPacket? { read(utf8(text), revision) }

private func read(_ data: Bytes, _ revision: SocketIORevision) -> SocketIOPacket? {
    var packet: SocketIOPacket?
    let error = wireError { () throws(WireError) in packet = try SocketIOPacket(data.span, revision) }
    #expect((packet == nil) == (error != nil))
    return packet
}

@Suite("socket.io packets")
struct SocketIOPacketTests {
    @Test(arguments: [
        ("0", SocketIOPacket.connect(namespace: "")), ("0{}", .connect(namespace: "")),
        (#"0{"token":"x"}"#, .connect(namespace: "")), ("0/,{}", .connect(namespace: "")),
        ("0/admin,{}", .connect(namespace: "/admin")), ("0/admin?a=b", .connect(namespace: "/admin")),
        ("1", .disconnect(namespace: "")), ("1/admin,", .disconnect(namespace: "/admin")),
        (#"2["message","hi"]"#, .message(utf8("hi"))), (#"2["message",""]"#, .message([])),
        (#"212["message","hi"]"#, .message(utf8("hi"))), (#"2/,["message","hi"]"#, .message(utf8("hi"))),
        (#"2 [ "message" , "hi" ] "#, .message(utf8("hi"))), (#"2/a,["message","hi"]"#, .foreign(.namespace)),
        (#"2/a,7["message","hi"]"#, .foreign(.namespace)), (#"2["other","hi"]"#, .foreign(.event)),
        (#"2["message"]"#, .foreign(.arguments)), (#"2["message","a","b"]"#, .foreign(.arguments)),
        (#"2["message",{"a":1}]"#, .foreign(.arguments)), (#"2["message",null]"#, .foreign(.arguments)),
        ("31[]", .foreign(.acknowledgement)), (#"4{"message":"x"}"#, .foreign(.error)),
        (#"51-["message",{"_placeholder":true,"num":0}]"#, .foreign(.binary)), ("61-1[]", .foreign(.binary)),
        ("5999999999999999999999999-[]", .foreign(.binary)),
    ])
    func readsLaterRevisions(text: String, packet: SocketIOPacket) {
        for revision in [SocketIORevision.four, .five] { #expect(read(text, revision) == packet, "\(text)") }
    }

    @Test(arguments: [
        "", "2", "2{}", "2[]", "2[1]", "7", "x", #"2["message","#, #"2["message","a"]x"#,
        "2999999999999999999999[\"a\"]",
        #"2["message","\x"]"#, "2\"message\"", #"2/a["message","hi"]"#,
    ])
    func refusesInLaterRevisions(text: String) {
        #expect(read(text, .five) == nil, "\(text)")
    }

    @Test func bounds() {
        #expect(read("0/" + String(repeating: "a", count: 511), .five) != nil)
        #expect(read("0/" + String(repeating: "a", count: 512), .five) == nil)
        #expect(read(utf8("0/") + hex("ff") + utf8(","), .five) == nil)
        // A lone surrogate stands for no character, in an escape or as bytes.
        #expect(read(#"2["message","\ud83d"]"#, .five) == .message(utf8("\u{FFFD}")))
        #expect(read(utf8(#"2["message",""#) + hex("eda0bd") + utf8("\"]"), .five) == .message(utf8("\u{FFFD}")))
        #expect(read(String(repeating: "[", count: 100_000), .five) == nil)
        #expect(read("2" + String(repeating: "[", count: 100_000), .five) == nil)
    }

    @Test(arguments: [
        ("1::", SocketIOPacket.connect(namespace: "")), ("1::/chat?x=1", .connect(namespace: "/chat")),
        ("0::", .disconnect(namespace: "")), ("0::/chat", .disconnect(namespace: "/chat")),
        ("3:::hello", .message(utf8("hello"))), ("3:1::a:b::c", .message(utf8("a:b::c"))),
        ("3:1+::x", .message(utf8("x"))), ("3:::", .message([])), ("3::", .message([])),
        ("3::/chat:x", .foreign(.namespace)), (#"4:::"text""#, .message(utf8("text"))),
        (#"4:::{"a":1}"#, .foreign(.arguments)), (#"5:::{"name":"message","args":["x"]}"#, .message(utf8("x"))),
        (#"5:::{"name":"other","args":["x"]}"#, .foreign(.event)), (#"5:::{"name":"message"}"#, .foreign(.arguments)),
        ("6:::1", .foreign(.acknowledgement)), ("7:::1+0", .foreign(.error)),
    ])
    func readsRevisionOne(text: String, packet: SocketIOPacket) {
        #expect(read(text, .one) == packet, "\(text)")
    }

    @Test(arguments: [
        "", "3", "3:", "3::".prefix(2) + "x", "9::", "x::", "33::", "3:x::", "3:1", "3:1+", "4:::{", "5:::1",
    ])
    func refusesInRevisionOne(text: String) {
        #expect(read(text, .one) == nil, "\(text)")
    }

    @Test func writesPackets() {
        #expect(
            SocketIORevision.allCases.map { text(SocketIOPacket.connected(sid: "s", $0)) } == [
                "1::", "40", #"40{"sid":"s"}"#,
            ])
        #expect(SocketIORevision.allCases.map { text(SocketIOPacket.disconnected($0)) } == ["0::", "41", "41"])
        #expect(
            SocketIORevision.allCases.map { text(SocketIOPacket.connectError("no", namespace: "/a", $0)) }
                == ["7::/a:1+0", #"44/a,"no""#, #"44/a,{"message":"no"}"#])
        #expect(text(SocketIOPacket.connectError("no", .five)) == #"44{"message":"no"}"#)
    }
}

@Suite("socket.io 0.9 payloads")
struct SocketIO09PayloadTests {
    private func read(_ body: Bytes, maxPackets: Int = 1024) -> ([SocketIO09Packet], WireError?) {
        var found: [SocketIO09Packet] = []
        let error = wireError { () throws(WireError) in
            try SocketIO09Payload.decode(body.span, maxPackets: maxPackets) {
                found.append($0)
                return true
            }
        }
        return (found, error)
    }

    private func framed(_ packets: [String], _ count: (String) -> Int) -> Bytes {
        utf8(packets.map { "\u{FFFD}\(count($0))\u{FFFD}\($0)" }.joined())
    }

    private let said = ["3:::\u{0}\u{0}\u{0}È\ntest.burst{\"text\":\"héllo 世界 😀\"}", "2::", "3:::\u{FFFD}3\u{FFFD}x😀"]

    @Test func readsOneAlone() {
        #expect(read(utf8("2:::")).0 == [SocketIO09Packet(.heartbeat)])
        #expect(read(utf8(said[0])).0 == [SocketIO09Packet(.message, data: utf8(said[0].replacing("3:::", with: "")))])
    }

    @Test func readsBothCountings() {
        for count in [{ (text: String) in text.utf16.count }, { (text: String) in text.unicodeScalars.count }] {
            let (packets, error) = read(framed(said, count))
            #expect(error == nil)
            #expect(packets.map { text($0.encoded()) } == said)
        }
    }

    @Test func writesUTF16Lengths() {
        #expect(EngineIOPayload(said.map { utf8($0) }, .one).body == framed(said) { $0.utf16.count })
        let ascii = ["1::", "3:::{\"id\":1}"]
        #expect(EngineIOPayload(ascii.map { utf8($0) }, .one).body == framed(ascii) { $0.utf8.count })
    }

    @Test func everyKindIsReadAsWritten() throws {
        for kind in SocketIO09Packet.Kind.allCases {
            for endpoint in ["", "/chat"] {
                for (id, wantsData) in [("", false), ("1", false), ("20", true)] {
                    for data in ["", "x:y"] {
                        let packet = SocketIO09Packet(
                            kind, id: utf8(id), wantsData: wantsData, endpoint: utf8(endpoint), data: utf8(data))
                        #expect(try SocketIO09Packet(packet.encoded().span) == packet)
                    }
                }
            }
        }
    }

    @Test(arguments: [
        "", "\u{FFFD}", "\u{FFFD}3", "\u{FFFD}3\u{FFFD}", "\u{FFFD}\u{FFFD}1::", "\u{FFFD}4\u{FFFD}1::",
        "\u{FFFD}2\u{FFFD}1::",
        "\u{FFFD}-3\u{FFFD}1::", "\u{FFFD}1000000000000000000000000000000\u{FFFD}1::", "\u{FFFD}3\u{FFFD}1::x",
        "\u{FFFD}99999999999\u{FFFD}1::", "\u{FFFD}3:1::", "1::\u{FFFD}".prefix(2) + "",
    ])
    func refuses(body: String) {
        #expect(read(utf8(body)).1?.isLike(.malformed("")) == true, "\(body)")
    }

    @Test func boundsAndUTF8() {
        let three = framed(["2::", "2::", "2::"]) { $0.utf8.count }
        #expect(read(three, maxPackets: 3).1 == nil)
        #expect(read(three, maxPackets: 2).1 == .tooLarge(limit: 2))
        #expect(read(utf8("3:::") + hex("ff")).1 != nil)
        #expect(read(utf8("3:::") + hex("eda080")).1 != nil)
    }

    @Test func shakesHands() {
        let body = SocketIO09Handshake.body(
            sid: "s", heartbeatSeconds: 60, closeSeconds: 60, transports: ["websocket", "xhr-polling"])
        #expect(text(body) == "s:60:60:websocket,xhr-polling")
        let none = SocketIO09Handshake.body(sid: "s", heartbeatSeconds: nil, closeSeconds: 1, transports: [])
        #expect(text(none) == "s:1000000:1:")
    }
}
