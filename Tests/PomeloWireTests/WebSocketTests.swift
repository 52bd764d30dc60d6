// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloWire
import Testing

/// Feeds pieces to a decoder and collects what comes out; an error ends the list.
private func events(
    _ pieces: [Bytes], max: Int = 1 << 20, expectsMask: Bool = true
) -> (events: [WebSocketEvent], error: WebSocketError?) {
    var decoder = WebSocketDecoder(maxMessageBytes: max, expectsMask: expectsMask)
    var found: [WebSocketEvent] = []
    do throws(WebSocketError) {
        for piece in pieces {
            try decoder.decode(piece.span) { event, _ in
                found.append(event)
                return true
            }
        }
        return (found, nil)
    } catch {
        return (found, error)
    }
}

private let key: UInt32 = 0x37FA_213D

private func frame(_ opcode: WebSocketOpcode, _ payload: Bytes, final: Bool = true) -> Bytes {
    WebSocketFrame.encode(opcode, payload, maskKey: key, final: final)
}

struct WebSocketCase: CustomTestStringConvertible, Sendable {
    let name: String
    let stream: Bytes
    let events: [WebSocketEvent]
    var closeCode: UInt16?
    var testDescription: String { name }

    static let all = framing + fragments + controls + textCases + closes

    private static let framing =
        [0, 1, 125, 126, 127, 128, 65535, 65536, 65537].map { length in
            let payload = Bytes((0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7) })
            return WebSocketCase(
                name: "binary of \(length) bytes", stream: frame(.binary, payload),
                events: [.message(text: false, payload)])
        } + [
            WebSocketCase(
                name: "the masked hello of RFC 6455 §5.7", stream: hex("81 85 37 fa 21 3d 7f 9f 4d 51 58"),
                events: [.message(text: true, utf8("Hello"))]),
            WebSocketCase(
                name: "reserved bit 1", stream: hex("c1 80 00 00 00 00"), events: [], closeCode: 1002),
            WebSocketCase(name: "reserved bit 3", stream: hex("91"), events: [], closeCode: 1002),
            WebSocketCase(name: "opcode 3", stream: hex("83"), events: [], closeCode: 1002),
            WebSocketCase(name: "opcode 11", stream: hex("8b"), events: [], closeCode: 1002),
            WebSocketCase(name: "no mask", stream: hex("81 01"), events: [], closeCode: 1002),
            WebSocketCase(name: "16 bits for 125", stream: hex("82 fe 00 7d"), events: [], closeCode: 1002),
            WebSocketCase(
                name: "64 bits for 65535", stream: hex("82 ff 00 00 00 00 00 00 ff ff"), events: [],
                closeCode: 1002),
            WebSocketCase(
                name: "64th bit set", stream: hex("82 ff ff 00 00 00 00 00 00 00"), events: [],
                closeCode: 1002),
            WebSocketCase(
                name: "over the limit", stream: hex("82 ff 00 00 00 00 00 10 00 01"), events: [],
                closeCode: 1009),
        ]

    private static let fragments = [
        WebSocketCase(
            name: "three fragments",
            stream: frame(.text, utf8("He"), final: false) + frame(.continuation, [], final: false)
                + frame(.continuation, utf8("llo")),
            events: [.message(text: true, utf8("Hello"))]),
        WebSocketCase(
            name: "a ping between fragments",
            stream: frame(.binary, [1], final: false) + frame(.ping, [9]) + frame(.continuation, [2])
                + frame(.binary, [3]),
            events: [.ping([9]), .message(text: false, [1, 2]), .message(text: false, [3])]),
        WebSocketCase(
            name: "an empty fragmented message",
            stream: frame(.text, [], final: false) + frame(.continuation, []),
            events: [.message(text: true, [])]),
        WebSocketCase(
            name: "continuation of nothing", stream: frame(.continuation, [1]), events: [], closeCode: 1002),
        WebSocketCase(
            name: "unfinished continuation of nothing", stream: frame(.continuation, [1], final: false),
            events: [],
            closeCode: 1002),
        WebSocketCase(
            name: "a message inside another",
            stream: frame(.text, [65], final: false) + frame(.text, [66]), events: [], closeCode: 1002),
        WebSocketCase(
            name: "continuation after the end",
            stream: frame(.text, [65], final: false) + frame(.continuation, [66])
                + frame(.continuation, [67]),
            events: [.message(text: true, [65, 66])], closeCode: 1002),
        WebSocketCase(
            name: "fragments over the limit together",
            stream: frame(.binary, Bytes(repeating: 0, count: 1 << 19), final: false)
                + frame(.continuation, Bytes(repeating: 0, count: 1 << 19), final: false)
                + frame(.continuation, [0]),
            events: [], closeCode: 1009),
    ]

    private static let controls = [
        WebSocketCase(
            name: "pings and pongs",
            stream: frame(.ping, []) + frame(.pong, utf8("x"))
                + frame(.ping, Bytes(repeating: 7, count: 125)),
            events: [.ping([]), .pong(utf8("x")), .ping(Bytes(repeating: 7, count: 125))]),
        WebSocketCase(
            name: "ping of 126 bytes", stream: frame(.ping, Bytes(repeating: 7, count: 126)), events: [],
            closeCode: 1002),
        WebSocketCase(
            name: "fragmented ping", stream: frame(.ping, [1], final: false), events: [], closeCode: 1002),
    ]

    private static let textCases = [
        WebSocketCase(
            name: "text", stream: frame(.text, utf8("κόσμε😀")), events: [.message(text: true, utf8("κόσμε😀"))]
        ),
        WebSocketCase(
            name: "a character cut by a fragment border",
            stream: frame(.text, hex("f0 9f"), final: false) + frame(.continuation, hex("98 80")),
            events: [.message(text: true, utf8("😀"))]),
        WebSocketCase(
            name: "text that is not UTF-8", stream: frame(.text, hex("ce ba e1 ff")), events: [],
            closeCode: 1007),
        WebSocketCase(
            name: "text with a surrogate", stream: frame(.text, hex("ed a0 80")), events: [], closeCode: 1007),
        WebSocketCase(
            name: "text cut short", stream: frame(.text, hex("f0 9f 98")), events: [], closeCode: 1007),
        WebSocketCase(
            name: "binary may be anything", stream: frame(.binary, hex("ff fe")),
            events: [.message(text: false, hex("ff fe"))]),
    ]

    private static let allowedCodes: [UInt16] = [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999,
    ]
    private static let forbiddenCodes: [UInt16] = [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
    ]

    private static let closes: [WebSocketCase] =
        allowedCodes.map { (code: UInt16) in
            WebSocketCase(
                name: "close \(code)",
                stream: WebSocketFrame.close(code: code, reason: "bye é", maskKey: key),
                events: [.close(code: code, reason: "bye é")])
        }
        + forbiddenCodes.map { (code: UInt16) in
            WebSocketCase(
                name: "close \(code)", stream: WebSocketFrame.close(code: code, maskKey: key), events: [],
                closeCode: 1002)
        }
        + [
            WebSocketCase(
                name: "close without a code", stream: frame(.close, []),
                events: [.close(code: nil, reason: "")]),
            WebSocketCase(
                name: "close with one byte", stream: frame(.close, [3]), events: [], closeCode: 1002),
            WebSocketCase(
                name: "close reason not UTF-8", stream: frame(.close, hex("03 e8 ff")), events: [],
                closeCode: 1007),
            WebSocketCase(
                name: "nothing counts after a close",
                stream: frame(.close, []) + frame(.ping, []) + hex("ff ff"),
                events: [.close(code: nil, reason: "")]),
        ]
}

@Suite("WebSocket frames")
struct WebSocketTests {
    @Test(arguments: WebSocketCase.all)
    func whole(_ sample: WebSocketCase) {
        let result = events([sample.stream])
        #expect(result.events == sample.events)
        #expect(result.error?.closeCode == sample.closeCode)
    }

    @Test(arguments: WebSocketCase.all.filter { $0.stream.count < 200 })
    func inEveryChunking(_ sample: WebSocketCase) {
        for pieces in chunkings(of: sample.stream, random: 10) {
            let result = events(pieces)
            #expect(result.events == sample.events)
            #expect(result.error?.closeCode == sample.closeCode)
        }
    }

    @Test(arguments: WebSocketCase.all.filter { $0.stream.count >= 200 })
    func inLargePieces(_ sample: WebSocketCase) {
        for size in [1000, 4096, 65536] {
            let pieces = stride(from: 0, to: sample.stream.count, by: size).map { start in
                Bytes(sample.stream[start..<min(sample.stream.count, start + size)])
            }
            #expect(events(pieces).events == sample.events)
        }
    }

    @Test func serverFramesHaveNoMask() {
        let stream =
            WebSocketFrame.encode(.text, utf8("Hello")) + WebSocketFrame.header(.binary, length: 300)
            + Bytes(repeating: 1, count: 300)
        #expect(Bytes(stream[..<7]) == hex("81 05 48 65 6c 6c 6f"))
        let result = events([stream], expectsMask: false)
        #expect(
            result.events == [
                .message(text: true, utf8("Hello")), .message(text: false, Bytes(repeating: 1, count: 300)),
            ])
        #expect(events([frame(.text, [65])], expectsMask: false).error?.closeCode == 1002)
    }

    @Test(arguments: [
        (0, "82 00"), (125, "82 7d"), (126, "82 7e 00 7e"), (65535, "82 7e ff ff"),
        (65536, "82 7f 00 00 00 00 00 01 00 00"),
    ])
    func headers(length: Int, wire: String) {
        #expect(WebSocketFrame.header(.binary, length: length) == hex(wire))
    }

    @Test func maskingCoversEveryRemainder() {
        for length in 0..<200 {
            let payload = Bytes((0..<length).map { UInt8($0) })
            let masked = WebSocketFrame.encode(.binary, payload, maskKey: key)
            let mask = hex("37 fa 21 3d")
            let expected = payload.enumerated().map { $1 ^ mask[$0 % 4] }
            #expect(Bytes(masked.suffix(length)) == expected)
        }
    }

    @Test func closeReasonsAreCutToFit() {
        let close = WebSocketFrame.close(code: 1000, reason: String(repeating: "é", count: 100))
        #expect(close.count == 2 + 2 + 122)
        #expect(
            events([close], expectsMask: false).events
                == [.close(code: 1000, reason: String(repeating: "é", count: 61))])
        #expect(WebSocketFrame.close(code: nil) == hex("88 00"))
    }

    @Test func theLimitCanChangeBetweenTwoFramesOfOneInput() throws {
        let stream = frame(.binary, [1]) + frame(.binary, [1, 2, 3])
        for pieces in chunkings(of: stream, random: 5) {
            var decoder = WebSocketDecoder(maxMessageBytes: 1)
            var count = 0
            for piece in pieces {
                try decoder.decode(piece.span) { _, limit in
                    limit = 3
                    count += 1
                    return true
                }
            }
            #expect(count == 2)
        }
        #expect(events([stream], max: 1).error?.closeCode == 1009)
    }

    @Test func stopsWhenToldTo() throws {
        var decoder = WebSocketDecoder(maxMessageBytes: 10)
        var count = 0
        let stream = frame(.ping, []) + frame(.ping, []) + hex("ff")
        try decoder.decode(stream.span) { _, _ in
            count += 1
            return false
        }
        #expect(count == 1)
    }
}
