// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloWire
import Testing

/// The packets of a payload, or the error.
private func packets(
    _ body: Bytes, _ revision: SocketIORevision, maxPackets: Int = 1024
) -> (packets: [EngineIOPacket], error: WireError?) {
    var decoder = EngineIOPayloadDecoder(revision, maxPackets: maxPackets)
    return packets(body, &decoder)
}

private func packets(
    _ body: Bytes, _ decoder: inout EngineIOPayloadDecoder
) -> (packets: [EngineIOPacket], error: WireError?) {
    var found: [EngineIOPacket] = []
    let error = wireError { () throws(WireError) in
        try decoder.decode(body.span) {
            found.append($0)
            return true
        }
    }
    return (found, error)
}

private func message(_ data: String) -> EngineIOPacket { EngineIOPacket(.message, utf8(data)) }

private let burst = #"2["message","\u0000\u0000\u0000È\ntest.burst{\"text\":\"héllo 世界 😀\"}"]"#

@Suite("Engine.IO payloads")
struct EngineIOPayloadTests {
    // MARK: - Version 4

    @Test func readsVersion4() {
        // socket.io-client 4.7.5 in Chromium.
        let body = utf8("4\(burst)\u{1E}3\u{1E}42[\"message\",\"\"]")
        let expected = [message(burst), EngineIOPacket(.pong), message(#"2["message",""]"#)]
        #expect(packets(body, .five) == (expected, nil))
        // python-socketio 5.18.1 leaves.
        #expect(packets(utf8("41\u{1E}1"), .five) == ([message("1"), EngineIOPacket(.close)], nil))
        #expect(packets(utf8("bAQIDBA=="), .five).packets == [.init(.message, [1, 2, 3, 4], isBinary: true)])
        #expect(packets(utf8("bAQIDBA"), .five).packets == [.init(.message, [1, 2, 3, 4], isBinary: true)])
    }

    @Test(arguments: ["", "\u{1E}", "40\u{1E}", "x", "7", "9x", "b*", "bA", "bAAAA=AAA"])
    func refusesInVersion4(body: String) {
        #expect(packets(utf8(body), .five).error?.isLike(.malformed("")) == true)
    }

    // MARK: - Version 3

    @Test func readsTextInUTF16Units() {
        // socket.io-client 2.5.0: characters beyond U+FFFF count two.
        let body = utf8("\(burst.utf16.count + 1):4\(burst)1:2")
        #expect(packets(body, .four) == ([message(burst), EngineIOPacket(.ping)], nil))
    }

    @Test func readsTextInCodePoints() {
        let body = utf8("\(burst.unicodeScalars.count + 1):4\(burst)2:40")
        #expect(packets(body, .four) == ([message(burst), message("0")], nil))
    }

    @Test func readsTextEncodedTwice() {
        // socket.io-client 1.7.2 in Chromium, as captured.
        let posted =
            utf8(#"81:42["message","\u0000\u0000\u0000"#)
            + hex("c383c288") + utf8(#"\ntest.burst{\"text\":\"h"#) + hex("c383c2a9") + utf8("llo ")
            + hex("c3a4c2b8c296 c3a7c295c28c 20 c3b0c29fc298c280") + utf8(#"\"}"]"#)
        #expect(packets(posted, .four) == ([message(burst)], nil))
    }

    @Test func remembersAClientThatEncodesOnce() {
        var decoder = EngineIOPayloadDecoder(.four)
        let doubtful = utf8("5:4Ã©é".replacing("é", with: "")) + utf8("xx")
        #expect(packets(doubtful, &decoder).packets == [message("éxx")])
        #expect(packets(utf8("2:4世"), &decoder).packets == [message("世")])
        #expect(packets(doubtful, &decoder).packets == [message("Ã©xx")])
        // Bytes that are no UTF-8 cannot have been encoded twice either.
        var other = EngineIOPayloadDecoder(.four)
        #expect(packets(utf8("2:4é"), &other).packets == [message("é")])
        #expect(packets(doubtful, &other).packets == [message("Ã©xx")])
    }

    @Test func readsBinaryFraming() {
        // python-socketio 4.6.1 leaves.
        #expect(packets(hex("0002ff 3431 0001ff 31"), .four) == ([message("1"), EngineIOPacket(.close)], nil))
        let text = utf8("4\(burst)")
        let digits = "\(text.count)".utf8.map { $0 - 0x30 }
        #expect(packets([0] + digits + [0xFF] + text, .four).packets == [message(burst)])
        #expect(packets(hex("0103ff 04 0102"), .four).packets == [.init(.message, [1, 2], isBinary: true)])
        // A text packet in a frame of the other type.
        #expect(packets(hex("0101ff 32"), .four).packets == [EngineIOPacket(.ping)])
        #expect(packets(utf8("10:b4AQIDBA=="), .four).packets == [.init(.message, [1, 2, 3, 4], isBinary: true)])
    }

    @Test(arguments: [
        "", "1", ":", "1:", ":4", "2:4", "1:x", "a:4", "-1:4", "+1:4", "1:22:", "1 :4", "0:", "1:23", "٣:4ab",
        "1000000000000000000000000000000:4", "9223372036854775807:4", "99999999999:4", "2:4😀x", "1:bA",
    ])
    func refusesInText(body: String) {
        #expect(packets(utf8(body), .four).error?.isLike(.malformed("")) == true, "\(body)")
    }

    @Test(arguments: [
        "00", "0001", "00ff", "0001ff", "00010aff", "000109ff32", "0001ff3200", "0001ff3202", "0101ff09", "0000ff",
        "00 09090909090909090909 ff 32", "00 0909090909090909090909 ff 32", "0002ff34ff", "0100ff",
    ])
    func refusesInBinary(body: String) {
        #expect(packets(hex(body), .four).error?.isLike(.malformed("")) == true, "\(body)")
    }

    @Test func refusesWhatIsNoUTF8() {
        for body in ["32 3a 34 ff", "33 3a 34 eda080", "32 3a 34 c3", "34 3a 34 f0 9f 98"] {
            #expect(packets(hex(body), .four).error?.isLike(.malformed("")) == true)
        }
        #expect(packets(hex("34 ff"), .five).error?.isLike(.malformed("")) == true)
        #expect(packets(utf8("40"), .one).error?.isLike(.unsupported("")) == true)
    }

    @Test func boundsTheNumberOfPackets() {
        let (five, four) = (utf8("2\u{1E}2\u{1E}2"), utf8("1:21:21:2"))
        for (body, revision) in [
            (five, SocketIORevision.five), (four, .four), (hex("0001ff320001ff320001ff32"), .four),
        ] {
            #expect(packets(body, revision, maxPackets: 3).error == nil)
            #expect(packets(body, revision, maxPackets: 2).error == .tooLarge(limit: 2))
        }
    }

    @Test func stopsWhenTold() throws {
        for (body, revision) in [(utf8("2\u{1E}x"), SocketIORevision.five), (hex("0001ff32 05"), .four)] {
            var decoder = EngineIOPayloadDecoder(revision)
            var count = 0
            try decoder.decode(body.span) { _ in
                count += 1
                return false
            }
            #expect(count == 1)
        }
    }

    // MARK: - Towards clients

    @Test func writesEachFraming() {
        let ascii = [utf8("42[\"message\",\"x\"]"), utf8("3")]
        #expect(text(EngineIOPayload(ascii, .five).body) == "42[\"message\",\"x\"]\u{1E}3")
        #expect(text(EngineIOPayload(ascii, .four).body) == "17:42[\"message\",\"x\"]1:3")
        let beyond = EngineIOPayload([utf8("4é"), utf8("3")], .four)
        #expect(beyond.body == hex("00 03 ff 34c3a9 00 01 ff 33"))
        #expect(beyond.isBinary)
        #expect(beyond.contentType == "application/octet-stream")
        #expect(EngineIOPayload(ascii, .four).contentType == "text/plain; charset=UTF-8")
        #expect(text(EngineIOPayload([utf8("1::")], .one).body) == "1::")
    }

    @Test(arguments: SocketIORevision.allCases)
    func readsWhatItWrites(revision: SocketIORevision) {
        guard revision != .one else { return }
        let written = ["40", "2", "4" + burst, "3probe", "6"].map { utf8($0) }
        var decoder = EngineIOPayloadDecoder(revision)
        let read = packets(EngineIOPayload(written, revision).body, &decoder)
        #expect(read.error == nil)
        #expect(read.packets.map { EngineIOPacket.encode($0.kind, $0.data) } == written)
    }

    @Test func opens() {
        let packet = EngineIOOpen.packet(
            sid: "s", upgrades: ["websocket"], pingIntervalMilliseconds: 25000, pingTimeoutMilliseconds: 20000,
            maxPayload: 1_000_000)
        #expect(
            text(packet)
                == #"0{"sid":"s","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"#
                + #""maxPayload":1000000}"#
        )
        let three = EngineIOOpen.packet(
            sid: "s", upgrades: [], pingIntervalMilliseconds: 1, pingTimeoutMilliseconds: 2, maxPayload: nil)
        #expect(text(three) == #"0{"sid":"s","upgrades":[],"pingInterval":1,"pingTimeout":2}"#)
    }

    @Test func readsPacketsOfWebSockets() throws {
        #expect(try EngineIOPacket(text: utf8("2probe").span) == EngineIOPacket(.ping, utf8("probe")))
        #expect(try EngineIOPacket(binary: hex("04 07").span, .four) == .init(.message, [7], isBinary: true))
        #expect(try EngineIOPacket(binary: hex("07").span, .five) == .init(.message, [7], isBinary: true))
        for bytes in [[], hex("07")] {
            #expect(wireError { () throws(WireError) in _ = try EngineIOPacket(text: bytes.span) } != nil)
            #expect(wireError { () throws(WireError) in _ = try EngineIOPacket(binary: bytes.span, .four) } != nil)
            #expect(wireError { () throws(WireError) in _ = try EngineIOPacket(binary: bytes.span, .one) } != nil)
        }
    }

    @Test func knowsTheVersions() {
        #expect(SocketIORevision(engineIO: "3") == .four)
        #expect(SocketIORevision(engineIO: "4") == .five)
        for other in [nil, "", "2", "5", "04", "4 "] { #expect(SocketIORevision(engineIO: other) == nil) }
    }
}
