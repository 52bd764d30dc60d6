// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloWire
import Testing

private func request(_ offers: [String]) throws(WireError) -> UpgradeRequest? {
    let lines = offers.map { "Sec-WebSocket-Extensions: \($0)\r\n" }.joined()
    var decoder = UpgradeDecoder()
    let head = utf8("GET / HTTP/1.1\r\nHost: x\r\n\(lines)\r\n")
    guard case .request(let request, _) = try decoder.decode(head.span) else { return nil }
    return request
}

/// What is said to a client's offers of permessage-deflate.
@Suite struct DeflateAgreementTests {
    struct Offer: Sendable, CustomTestStringConvertible {
        let header: [String]
        /// Nil when nothing is agreed to.
        let answer: String?
        var serverBits = 15
        var clientBits = 15
        var testDescription: String { header.joined(separator: " ⏎ ") }

        init(_ header: String..., answer: String?, serverBits: Int = 15, clientBits: Int = 15) {
            self.header = header
            self.answer = answer
            self.serverBits = serverBits
            self.clientBits = clientBits
        }
    }

    static let usual = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

    static let agreed = [
        Offer("permessage-deflate", answer: usual),
        Offer("permessage-deflate; client_max_window_bits", answer: usual),
        Offer("permessage-deflate;client_max_window_bits=10", answer: usual, clientBits: 10),
        Offer("permessage-deflate; client_max_window_bits=\"8\"", answer: usual, clientBits: 8),
        Offer("permessage-deflate; client_max_window_bits=\"\\1\\0\"", answer: usual, clientBits: 10),
        Offer("permessage-deflate; server_no_context_takeover", answer: usual),
        Offer("permessage-deflate; client_no_context_takeover; server_no_context_takeover", answer: usual),
        Offer(
            "permessage-deflate; server_max_window_bits=10", answer: usual + "; server_max_window_bits=10",
            serverBits: 10),
        Offer(
            "permessage-deflate ;\tserver_max_window_bits = 15 ; client_max_window_bits",
            answer: usual + "; server_max_window_bits=15"),
        Offer(
            "permessage-deflate; client_max_window_bits; server_max_window_bits=8, permessage-deflate",
            answer: usual),
        Offer("x-webkit-deflate-frame, permessage-deflate", answer: usual),
        Offer("permessage-bzip2; level=9", "permessage-deflate", answer: usual),
        Offer(
            "permessage-deflate; unknown", "permessage-deflate; server_max_window_bits=9",
            answer: usual + "; server_max_window_bits=9", serverBits: 9),
        Offer(", ,permessage-deflate,,", answer: usual),
    ]

    static let declined =
        ([
            "", ",", "x-webkit-deflate-frame", "Permessage-deflate", "permessage-deflate2",
            "permessage-deflate; unknown", "permessage-deflate; unknown=1",
            "permessage-deflate; server_no_context_takeover=1", "permessage-deflate; client_no_context_takeover=true",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; client_max_window_bits; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=10; client_max_window_bits=11",
            "permessage-deflate; server_max_window_bits",
        ]
        + ["0", "7", "8", "16", "09", "010", "+9", "1e1", "100000000000000000000", "a"].map {
            "permessage-deflate; server_max_window_bits=\($0)"
        } + ["0", "7", "16", "08", "-9", "99"].map { "permessage-deflate; client_max_window_bits=\($0)" })
        .map { Offer($0, answer: nil) }

    @Test(arguments: agreed + declined) func isJudged(_ offer: Offer) throws {
        let agreement = try #require(try request(offer.header)).deflateAgreement()
        #expect(agreement?.answer == offer.answer)
        guard let agreement else { return }
        #expect(agreement.serverWindowBits == offer.serverBits && agreement.clientWindowBits == offer.clientBits)
        #expect(!agreement.clientKeepsContext)
    }

    @Test func whoHasNothingToOfferAgreesToNothing() throws {
        #expect(try #require(try request([])).deflateAgreement() == nil)
    }

    @Test func theClientKeepsItsContextWhereItMayAndHasNotSaidOtherwise() throws {
        for (header, keeps) in [
            ("permessage-deflate", true), ("permessage-deflate; client_max_window_bits=12", true),
            ("permessage-deflate; client_no_context_takeover", false),
        ] {
            let agreement = try #require(try request([header])).deflateAgreement(keepsClientContext: true)
            #expect(agreement?.clientKeepsContext == keeps)
            #expect(agreement?.answer.contains("client_no_context_takeover") == !keeps)
            #expect(agreement?.answer.contains("server_no_context_takeover") == true)
        }
    }

    @Test(arguments: [
        "permessage-deflate;", "permessage-deflate; =1", "permessage-deflate; client_max_window_bits=",
        "permessage-deflate; client_max_window_bits=\"\"", "permessage-deflate; client_max_window_bits=\"10",
        "permessage-deflate; client_max_window_bits=\"1 0\"", "permessage-deflate client_max_window_bits", "@", "a b",
        "permessage-deflate; client_max_window_bits=\"10\"x", "permessage-deflate, \"x\"", "permessage-deflate; ä",
        "x;;y", "a;b=c=d", "a;b=\"\\",
    ])
    func whatIsNoListOfExtensionsIsABrokenRequest(_ header: String) throws {
        let request = try #require(try request([header]))
        #expect(throws: WireError.malformed("Sec-WebSocket-Extensions")) { try request.deflateAgreement() }
    }

    @Test func theAnswerIsALineOfTheHead() {
        let head = UpgradeReply.accept(key: "k", protocol: "p", extensions: Self.usual) { _ in [1] }
        let text = String(decoding: head, as: UTF8.self)
        #expect(text.hasSuffix("\r\nSec-WebSocket-Protocol: p\r\nSec-WebSocket-Extensions: \(Self.usual)\r\n\r\n"))
        let plain = UpgradeReply.accept(key: "k", protocol: nil) { _ in [1] }
        #expect(!String(decoding: plain, as: UTF8.self).contains("Extensions"))
    }
}

/// Frames whose first reserved bit says that a message is compressed.
@Suite struct CompressedFrameTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let stream: Bytes
        let events: [WebSocketEvent]
        var isFault = false
    }

    private static func frame(
        _ opcode: WebSocketOpcode, _ payload: Bytes, final: Bool = true, compressed: Bool = false
    ) -> Bytes {
        WebSocketFrame.encode(opcode, payload, maskKey: 0x37FA_213D, final: final, compressed: compressed)
    }

    /// "Hello", compressed: RFC 7692 §7.2.3.1.
    private static let hello = hex("f2 48 cd c9 c9 07 00")

    static let all = [
        Case(
            testDescription: "one frame", stream: frame(.text, hello, compressed: true),
            events: [.compressed(text: true, hello)]),
        Case(
            testDescription: "two frames, as in RFC 7692 §7.2.3.1",
            stream: frame(.binary, hex("f2 48 cd"), final: false, compressed: true)
                + frame(.continuation, hex("c9 c9 07 00")),
            events: [.compressed(text: false, hello)]),
        Case(
            testDescription: "control frames between fragments",
            stream: frame(.text, hex("f2"), final: false, compressed: true) + frame(.ping, [7])
                + frame(.continuation, hex("48 cd c9"), final: false) + frame(.pong, [])
                + frame(.continuation, hex("c9 07 00")),
            events: [.ping([7]), .pong([]), .compressed(text: true, hello)]),
        Case(
            testDescription: "messages that are not compressed between those that are",
            stream: frame(.text, utf8("a")) + frame(.text, hello, compressed: true) + frame(.text, utf8("b"))
                + frame(.text, [0], final: false, compressed: true) + frame(.continuation, [])
                + frame(.text, utf8("c"), final: false) + frame(.continuation, []),
            events: [
                .message(text: true, utf8("a")), .compressed(text: true, hello), .message(text: true, utf8("b")),
                .compressed(text: true, [0]), .message(text: true, utf8("c")),
            ]),
        Case(
            testDescription: "an empty message", stream: frame(.text, [], compressed: true),
            events: [.compressed(text: true, [])]),
        Case(
            testDescription: "text that is not UTF-8, as far as one can tell",
            stream: frame(.text, [0xff], compressed: true), events: [.compressed(text: true, [0xff])]),
        Case(
            testDescription: "a compressed ping", stream: frame(.ping, [0], compressed: true), events: [],
            isFault: true),
        Case(
            testDescription: "a compressed close", stream: frame(.close, [], compressed: true), events: [],
            isFault: true),
        Case(
            testDescription: "a compressed continuation",
            stream: frame(.text, [0], final: false, compressed: true)
                + frame(.continuation, [0], compressed: true), events: [], isFault: true),
        Case(testDescription: "the second reserved bit", stream: hex("a1 80 00 00 00 00"), events: [], isFault: true),
        Case(testDescription: "the third reserved bit", stream: hex("d1 80 00 00 00 00"), events: [], isFault: true),
    ]

    private func outcome(
        _ pieces: [Bytes], allowsCompressed: Bool = true, limit: Int = 1000
    ) -> (events: [WebSocketEvent], error: WebSocketError?) {
        var decoder = WebSocketDecoder(maxMessageBytes: limit, allowsCompressed: allowsCompressed)
        var events: [WebSocketEvent] = []
        do throws(WebSocketError) {
            for piece in pieces {
                try decoder.decode(piece.span) { event, _ in
                    events.append(event)
                    return true
                }
            }
            return (events, nil)
        } catch {
            return (events, error)
        }
    }

    @Test(arguments: all) func isReadAtEverySplit(_ item: Case) {
        for split in 0...item.stream.count {
            let (events, error) = outcome([Bytes(item.stream[..<split]), Bytes(item.stream[split...])])
            #expect(events == item.events && error?.closeCode == (item.isFault ? 1002 : nil))
        }
    }

    @Test(arguments: all.prefix(6)) func whoHasNotAgreedRefusesThem(_ item: Case) {
        #expect(outcome([item.stream], allowsCompressed: false).error?.closeCode == 1002)
    }

    @Test func theLimitIsForCompressedMessagesToo() {
        let long = Bytes(repeating: 0, count: 501)
        let parts = Self.frame(.binary, long, final: false, compressed: true) + Self.frame(.continuation, long)
        #expect(outcome([parts]).error?.closeCode == 1009)
    }

    @Test func framesSayThatTheyAreCompressed() {
        let head = WebSocketFrame.header(.text, length: 7, compressed: true)
        #expect(head + Self.hello == hex("c1 07 f2 48 cd c9 c9 07 00"))
        #expect(WebSocketFrame.encode(.text, Self.hello, compressed: true) == head + Self.hello)
    }
}
