// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloWire
import Testing

private let good = """
    GET /chat?x=1 HTTP/1.1
    Host: server.example.com
    Upgrade: websocket
    Connection: keep-alive, Upgrade
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
    Origin: http://example.com
    Sec-WebSocket-Version: 13
    """

private func head(_ text: String) -> Bytes {
    utf8(text.replacing("\n", with: "\r\n") + "\r\n\r\n")
}

private func verdict(_ text: String) throws(WireError) -> UpgradeVerdict? {
    var decoder = UpgradeDecoder()
    guard case .request(let request, _) = try decoder.decode(head(text).span) else { return nil }
    return request.verdict()
}

private let sampleKey = "dGhlIHNhbXBsZSBub25jZQ=="

@Suite("HTTP upgrade")
struct UpgradeTests {
    @Test func readsARequest() throws {
        var decoder = UpgradeDecoder()
        let bytes = head(good)
        let step = try decoder.decode((bytes + hex("81 80")).span)
        guard case .request(let request, let consumed) = step else {
            Issue.record("no request")
            return
        }
        #expect(consumed == bytes.count)
        #expect(request.method == "GET")
        #expect(request.path == "/chat?x=1")
        #expect(request.isHTTP11)
        #expect(request.headers.count == 6)
        #expect(request.values("host") == ["server.example.com"])
        #expect(request.verdict() == .accept(key: sampleKey, subprotocol: nil))
    }

    @Test func everyChunkingGivesTheSameRequest() throws {
        let bytes = head(good)
        for pieces in chunkings(of: bytes, random: 20) {
            var decoder = UpgradeDecoder()
            var last = UpgradeDecoder.Step.needMore
            for (index, piece) in pieces.enumerated() {
                last = try decoder.decode(piece.span)
                #expect((last == .needMore) == (index < pieces.count - 1))
            }
            guard case .request(let request, let consumed) = last else { continue }
            #expect(consumed == pieces.last?.count)
            #expect(request.headers.count == 6)
        }
    }

    @Test(
        "judges",
        arguments: [
            ("Upgrade: websocket", "Upgrade: WebSocket", .accept(key: sampleKey, subprotocol: nil)),
            (
                "Connection: keep-alive, Upgrade", "Connection: upgrade",
                .accept(key: sampleKey, subprotocol: nil)
            ),
            ("Version: 13", "Version: 8", .accept(key: sampleKey, subprotocol: nil)),
            (
                "Origin: http://example.com", "Sec-WebSocket-Protocol: pomelo, other",
                .accept(key: sampleKey, subprotocol: "pomelo")
            ),
            (
                "Origin: http://example.com", "Sec-WebSocket-Protocol: a\nSec-WebSocket-Protocol: b",
                .accept(key: sampleKey, subprotocol: "a")
            ),
            ("Origin: http://example.com", "Content-Length: 0", .accept(key: sampleKey, subprotocol: nil)),
            ("Upgrade: websocket\n", "", .upgradeRequired),
            ("Upgrade: websocket", "Upgrade: h2c", .upgradeRequired),
            ("keep-alive, Upgrade", "keep-alive", .upgradeRequired), ("GET", "POST", .upgradeRequired),
            ("GET", "HEAD", .upgradeRequired),
            ("Version: 13", "Version: 7", .versionMismatch),
            ("Sec-WebSocket-Version: 13", "X: y", .versionMismatch),
            ("Version: 13", "Version: 13, 8", .versionMismatch),
            ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n", "", .badRequest),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ", .badRequest),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZ===", .badRequest),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhl*HNhbXBsZSBub25jZQ==", .badRequest),
            ("Origin:", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nOrigin:", .badRequest),
            ("Host: server.example.com\n", "", .badRequest), ("Origin:", "Host: b\nOrigin:", .badRequest),
            ("HTTP/1.1", "HTTP/1.0", .badRequest),
            ("Origin: http://example.com", "Content-Length: 5", .badRequest),
            ("Origin: http://example.com", "Transfer-Encoding: chunked", .badRequest),
            ("Origin: http://example.com", "Sec-WebSocket-Protocol: a b", .badRequest),
        ] as [(String, String, UpgradeVerdict)])
    func judges(part: String, replacement: String, expected: UpgradeVerdict) throws {
        #expect(good.contains(part))
        #expect(try verdict(good.replacing(part, with: replacement, maxReplacements: 1)) == expected)
    }

    @Test(
        "refuses broken heads",
        arguments: [
            ("GET /chat?x=1 HTTP/1.1", "GET  /chat HTTP/1.1"), ("GET /chat?x=1 HTTP/1.1", "GET /chat"),
            ("GET /chat?x=1 HTTP/1.1", ""), ("GET /chat?x=1 HTTP/1.1", "GET chat HTTP/1.1"),
            ("GET /chat?x=1 HTTP/1.1", "GET http://a/ HTTP/1.1"), ("HTTP/1.1", "HTTP/2.0"),
            ("HTTP/1.1", "http/1.1"),
            ("HTTP/1.1", "HTTP/1.1 "), ("GET /chat", "G@T /chat"), ("GET /chat", "GET /ch\u{7F}at"),
            ("GET /chat", "GET /ch\u{1}at"), ("GET /chat", "GET /chät"), ("Host:", "Host :"),
            ("Host:", " Host:"),
            ("Host:", ": "), ("Host: server", "Host server"), ("Origin:", "\tfolded\nOrigin:"),
            ("Origin:", "Or\u{0}igin:"), ("http://example", "http:\u{0}//example"), ("Origin:", "Or(igin:"),
            ("Origin: ", "Origin: \r"),
        ])
    func refuses(part: String, replacement: String) {
        let error = wireError { () throws(WireError) in
            _ = try verdict(good.replacing(part, with: replacement, maxReplacements: 1))
        }
        #expect(error?.isLike(.malformed("")) == true)
    }

    @Test func refusesBareLineFeeds() {
        var decoder = UpgradeDecoder()
        let bytes = utf8("GET / HTTP/1.1\nHost: a\r\n\r\n")
        let error = wireError { () throws(WireError) in _ = try decoder.decode(bytes.span) }
        #expect(error?.isLike(.malformed("")) == true)
    }

    @Test func refusesLongHeads() throws {
        let padding = String(repeating: "a", count: 8192)
        let long = head("GET / HTTP/1.1\nX: \(padding)")
        var whole = UpgradeDecoder()
        #expect(
            wireError { () throws(WireError) in _ = try whole.decode(long.span) } == .tooLarge(limit: 8192))
        var slow = UpgradeDecoder(maxHeadBytes: 20)
        #expect(try slow.decode(utf8("GET / HTTP/1.1\r\nHos").span) == .needMore)
        #expect(
            wireError { () throws(WireError) in _ = try slow.decode(utf8("t: a").span) }
                == .tooLarge(limit: 20))
        let many = head("GET / HTTP/1.1\n" + (0..<65).map { "H\($0): x" }.joined(separator: "\n"))
        var crowded = UpgradeDecoder()
        let error = wireError { () throws(WireError) in _ = try crowded.decode(many.span) }
        #expect(error == .malformed("HTTP: too many headers"))
    }

    @Test("the example of RFC 6455 §1.3")
    func accept() {
        var hashed = ""
        let reply = UpgradeReply.accept(key: sampleKey, protocol: "chat") { bytes in
            hashed = text(bytes)
            return hex("b3 7a 4f 2c c0 62 4f 16 90 f6 46 06 cf 38 59 45 b2 be c4 ea")
        }
        #expect(hashed == sampleKey + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
        #expect(
            text(reply)
                == "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
        )
        #expect(!text(UpgradeReply.accept(key: sampleKey, protocol: nil) { $0 }).contains("Protocol:"))
    }

    @Test func clientsReadTheAnswer() throws {
        let reply = UpgradeReply.accept(key: sampleKey, protocol: nil) { Bytes($0.prefix(20)) }
        let stream = reply + hex("82 00")
        let length = try UpgradeReply.acceptedLength(stream.span, key: sampleKey) {
            Bytes($0.prefix(20))
        }
        #expect(length == reply.count)
        let partial = Bytes(reply.dropLast())
        let early = try UpgradeReply.acceptedLength(partial.span, key: sampleKey) { $0 }
        #expect(early == nil)
        let wrong = wireError { () throws(WireError) in
            _ = try UpgradeReply.acceptedLength(reply.span, key: sampleKey) { $0 }
        }
        #expect(wrong == .malformed("Sec-WebSocket-Accept"))
        let refusal = UpgradeReply.badRequest
        let refused = wireError { () throws(WireError) in
            _ = try UpgradeReply.acceptedLength(refusal.span, key: sampleKey) { $0 }
        }
        #expect(refused == .unsupported("HTTP/1.1 400 Bad Request"))
    }

    @Test func refusals() {
        let all = [
            UpgradeReply.upgradeRequired: "426", UpgradeReply.versionMismatch: "426",
            UpgradeReply.badRequest: "400",
            UpgradeReply.headTooLarge: "431",
        ]
        for (reply, status) in all {
            #expect(text(reply).hasPrefix("HTTP/1.1 \(status) "))
            #expect(text(reply).contains("\r\nConnection: close"))
            #expect(text(reply).hasSuffix("\r\nContent-Length: 0\r\n\r\n"))
        }
        #expect(text(UpgradeReply.versionMismatch).contains("\r\nSec-WebSocket-Version: 13\r\n"))
    }

    @Test func clientAndServerAgree() throws {
        var decoder = UpgradeDecoder()
        let client = UpgradeRequest.clientHead(host: "127.0.0.1:3050", key: sampleKey)
        guard case .request(let request, let consumed) = try decoder.decode(client.span) else {
            Issue.record("no request")
            return
        }
        #expect(consumed == client.count)
        #expect(request.verdict() == .accept(key: sampleKey, subprotocol: nil))
    }
}
