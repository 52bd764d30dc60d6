// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloWire
import Testing

/// What a connection said: requests with their bodies, and the error it ended in.
struct HTTPOutcome: Equatable {
    var requests: [String] = []
    var bodies: [String] = []
    var error: HTTPError?
}

/// Reads a whole stream in the given pieces, as an owner does: what a step leaves is given again.
func readHTTP(_ pieces: [Bytes], maxBodyBytes: Int = 1000) -> HTTPOutcome {
    var decoder = HTTPDecoder(maxHeadBytes: 1024, maxBodyBytes: maxBodyBytes)
    var outcome = HTTPOutcome()
    do throws(HTTPError) {
        for piece in pieces {
            var rest = piece
            while true {
                switch try decoder.decode(rest.span) {
                case .needMore: rest = []
                case .head(let request, let bodyFollows, let consumed):
                    outcome.requests.append("\(request.method) \(request.path)")
                    if !bodyFollows { outcome.bodies.append("-") }
                    rest.removeFirst(consumed)
                    continue
                case .body(let body, let consumed):
                    outcome.bodies.append(text(body))
                    rest.removeFirst(consumed)
                    continue
                }
                break
            }
        }
    } catch {
        outcome.error = error
    }
    return outcome
}

private func lines(_ text: String) -> Bytes { utf8(text.replacing("\n", with: "\r\n")) }

/// The status in which a request with these headers ends, or nil when it can be read.
private func status(_ headers: String, body: String = "", version: String = "1.1") -> Int? {
    let bytes = lines("POST /x HTTP/\(version)\nHost: a\n\(headers)\n\n\(body)")
    let whole = readHTTP([bytes])
    #expect(whole == readHTTP(bytes.map { [$0] }), "\(headers)")
    return whole.error?.status
}

@Suite("HTTP requests")
struct HTTPDecoderTests {
    private let pipeline = lines(
        """
        GET /socket.io/1/?t=1 HTTP/1.1
        Host: a

        POST /socket.io/?EIO=4&sid=x HTTP/1.1
        Host: a
        Content-Length: 4

        40{}POST /y HTTP/1.1
        Host: a
        Transfer-Encoding: chunked

        3
        abc
        0A;name=value
        0123456789
        0
        X-Trailer: none

        POST /z HTTP/1.1
        Host: a
        Content-Length: 0

        OPTIONS /w HTTP/1.0


        """)

    @Test func readsPipelinedRequestsHoweverTheyAreCut() {
        let expected = HTTPOutcome(
            requests: ["GET /socket.io/1/?t=1", "POST /socket.io/?EIO=4&sid=x", "POST /y", "POST /z", "OPTIONS /w"],
            bodies: ["-", "40{}", "abc0123456789", "-", "-"])
        for pieces in chunkings(of: pipeline, random: 30) { #expect(readHTTP(pieces) == expected) }
    }

    @Test func holdsWhatArrivedAndNoMore() throws {
        var decoder = HTTPDecoder(maxBodyBytes: 1 << 30)
        let head = lines("POST / HTTP/1.1\nHost: a\nContent-Length: 1000000000\n\n")
        guard case .head(_, true, head.count) = try decoder.decode(head.span) else {
            Issue.record("no head")
            return
        }
        let part = Bytes(repeating: 7, count: 1000)
        #expect(try decoder.decode(part.span) == .needMore)
        #expect(decoder.heldBytes < 4096)
    }

    /// RFC 9112 §6.3: what could have two lengths has none.
    @Test(arguments: [
        ("Content-Length: 3\nTransfer-Encoding: chunked", 400), ("Content-Length: 3\nContent-Length: 3", 400),
        ("Content-Length: 3\nContent-Length: 4", 400), ("Content-Length: 3, 3", 400), ("Content-Length: +3", 400),
        ("Content-Length: -1", 400), ("Content-Length: 0x3", 400), ("Content-Length: 3 3", 400),
        ("Content-Length:", 400), ("Content-Length: 1e3", 400), ("Content-Length: ３", 400),
        ("Content-Length: 1000000000000000000000000000000", 400), ("Content-Length: 9223372036854775808", 400),
        ("Content-Length: 1001", 413), ("Transfer-Encoding: gzip, chunked", 501), ("Transfer-Encoding: identity", 501),
        ("Transfer-Encoding: chunked\nTransfer-Encoding: chunked", 501), ("Transfer-Encoding: chunked, chunked", 501),
        ("Transfer-Encoding: xchunked", 501), ("Transfer-Encoding: \u{0B}chunked", 400), ("Host: b", 400),
        ("Expect: 200-ok", 417), ("Content-Length : 3", 400), ("X: y\n Content-Length: 3", 400),
    ])
    func refusesDoubtfulLengths(headers: String, expected: Int) {
        #expect(status(headers, body: "abc") == expected)
    }

    @Test(arguments: [
        "x\nabc", "-1\na", "+1\na", "0x1\na", "\nabc", " 1\na", "ffffffffffffffff\n", "7fffffffffffffff\n",
        "10000000000000000\n", "3\nabcd\n", "3 \nab\n", "1;\u{1}\na\n", "1\u{B}\na", "g\n",
    ])
    func refusesDoubtfulChunks(body: String) {
        #expect(status("Transfer-Encoding: chunked", body: body) == 400, "\(body)")
    }

    @Test func boundsChunks() {
        let chunked = "Transfer-Encoding: chunked"
        #expect(status(chunked, body: "3e9\n") == 413)
        #expect(status(chunked, body: "3e8\n" + String(repeating: "a", count: 1000) + "\n1\n") == 413)
        #expect(status(chunked, body: "1;" + String(repeating: "e", count: 300) + "\na\n") == 400)
        let trailer = String(repeating: "X: " + String(repeating: "y", count: 100) + "\n", count: 50)
        #expect(status(chunked, body: "0\n" + trailer + "\n") == 400)
        #expect(status(chunked, version: "1.0") == 400)
        // A line feed alone ends no line.
        let bare = lines("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n") + utf8("1\na\n0\n\n")
        #expect(readHTTP([bare]).error?.status == 400)
    }

    @Test func wantsOneHost() {
        #expect(readHTTP([lines("GET / HTTP/1.1\n\n")]).error?.status == 400)
        #expect(readHTTP([lines("GET / HTTP/1.0\n\n")]).error == nil)
        #expect(readHTTP([Bytes(repeating: 0x41, count: 1024)]).error?.status == 431)
        #expect(readHTTP([lines("GET x HTTP/1.1\nHost: a\n\n")]).error?.status == 400)
    }

    @Test(arguments: [
        ("1.1", "", true), ("1.1", "Connection: close", false), ("1.1", "Connection: x, Close", false),
        ("1.0", "X: y", false), ("1.0", "Connection: Keep-Alive", true),
        ("1.0", "Connection: keep-alive, close", false),
    ])
    func knowsWhetherToKeepAlive(version: String, header: String, expected: Bool) throws {
        var decoder = HTTPDecoder(maxBodyBytes: 0)
        let bytes = lines("GET / HTTP/\(version)\nHost: a\n\(header.isEmpty ? "" : header + "\n")\n")
        guard case .head(let request, false, _) = try decoder.decode(bytes.span) else {
            Issue.record("no head")
            return
        }
        #expect(request.keepsAlive == expected)
    }

    @Test func seesWhoWaits() throws {
        for (version, waits) in [("1.1", true), ("1.0", false)] {
            var decoder = HTTPDecoder(maxBodyBytes: 10)
            let bytes = lines("POST / HTTP/\(version)\nHost: a\nExpect: 100-Continue\nContent-Length: 1\n\n")
            guard case .head(let request, true, _) = try decoder.decode(bytes.span) else {
                Issue.record("no head")
                continue
            }
            #expect(request.expectsContinue == waits)
            #expect(try decoder.decode(utf8("ab").span) == .body(utf8("a"), consumed: 1))
        }
        #expect(text(HTTPResponse.goOn) == "HTTP/1.1 100 Continue\r\n\r\n")
    }
}
