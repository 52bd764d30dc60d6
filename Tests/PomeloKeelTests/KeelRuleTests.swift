// SPDX-License-Identifier: MIT
#if Keel
    import NIOHTTP1
    import PomeloBytes
    import PomeloPlugins
    import Testing

    @testable import PomeloKeel

    /// What needs no connection.
    @Suite struct KeelRuleTests {
        @Test(arguments: [
            ("/", "/"), ("/a/b?c#d", "/a/b?c%23d"), ("/%2F%2f%zz%", "/%2F%2f%25zz%25"), ("/a b", "/a%20b"),
            ("/~-._!$&'()*+,;=:@/?", "/~-._!$&'()*+,;=:@/?"), ("/[\\]^`{|}\"<>", "/%5B%5C%5D%5E%60%7B%7C%7D%22%3C%3E"),
            ("/\u{7F}\r\n\u{0}", "/%7F%0D%0A%00"), ("/é", "/%C3%A9"), ("/%4", "/%254"), ("/%41", "/%41"),
        ]) func whatMayNotStandInAURLIsEscaped(_ path: String, _ escaped: String) {
            #expect(RequestTarget.escaped(path) == escaped)
            #expect(RequestTarget.escaped(escaped) == escaped)
        }

        @Test(arguments: [
            ("/x?y", "/x?y"), ("//x", "//x"), ("http://h/x", "/x"), ("HTTP://h:1/x/?y", "/x/?y"), ("http://h", "/"),
            ("http://h?q=/", "/?q=/"), ("*", nil), ("", nil), ("h:80", nil), ("https://h/", nil), ("x", nil),
        ]) func aTargetIsAPath(_ target: String, _ path: String?) {
            #expect(RequestTarget.path(of: target) == path)
        }

        @Test func headersOfOneHopAreThoseAndThatConnectionNames() {
            let headers = [
                ("A", "1"), ("connection", " x-a ,X-B,, close\t"), ("X-a", "2"), ("x-b", "3"), ("KEEP-ALIVE", "4"),
                ("Proxy-Anything", "5"), ("Connection", "x-c"), ("X-C", "6"), ("a", "7"), ("Te", "8"),
                ("Transfer-Encoding", "9"), ("Proxies", "10"), ("Host", "11"),
            ].map { PluginHeader($0.0, $0.1) }
            let kept = HeaderRules.endToEnd(headers, without: ["host"])
            #expect(kept == [PluginHeader("A", "1"), PluginHeader("a", "7"), PluginHeader("Proxies", "10")])
        }

        @Test(arguments: [("A-b_c.1", true), ("", false), ("a b", false), ("a:", false), ("é", false), ("a\n", false)])
        func namesAreTokens(_ name: String, _ isOne: Bool) {
            #expect(HeaderRules.isToken(name) == isOne)
            #expect(HeaderRules.isSound(PluginHeader(name, "v")) == isOne)
        }

        @Test func valuesHaveNoEndsOfLines() {
            for value in ["a\r\nb", "a\nb", "\u{0}", "\u{7F}", "\u{1B}"] {
                #expect(!HeaderRules.isSound(PluginHeader("A", value)))
            }
            #expect(HeaderRules.isSound(PluginHeader("A", "é\t \"x\"")) && HeaderRules.isSound(PluginHeader("A", "")))
        }

        @Test func anAnswerEndsInOneWay() {
            func head(
                _ status: Int, _ headers: [PluginHeader] = [], length: Int? = nil, _ method: HTTPMethod = .GET,
                _ version: HTTPVersion = .http1_1
            ) -> AnswerHead {
                AnswerHead(
                    status, headers, length: length, to: HTTPRequestHead(version: version, method: method, uri: "/"),
                    keepsAlive: true)
            }
            let length = [PluginHeader("content-length", "5")]
            #expect(head(200).framing == .chunks && head(200).keepsAlive)
            #expect(head(200).head.headers.description.contains("chunked"))
            #expect(head(200, length).framing == .length)
            #expect(head(200, length, length: 7).head.headers["content-length"] == ["7"])
            #expect(head(200, length, .HEAD).framing == .none)
            #expect(head(200, length, .HEAD).head.headers["content-length"] == ["5"])
            #expect(head(204, length).head.headers["content-length"].isEmpty && head(204).framing == .none)
            #expect(head(304, length).head.headers["content-length"] == ["5"] && head(304).framing == .none)
            #expect(head(200, [], .GET, .http1_0).framing == .connection && !head(200, [], .GET, .http1_0).keepsAlive)
            #expect(head(200, length, .GET, .http1_0).head.headers["connection"] == ["keep-alive"])
        }

        @Test(arguments: [
            Bytes(), Bytes([0]), Bytes([255, 254]), Bytes(0...255), Bytes([0xFB, 0xFF, 0xBF]),
        ]) func base64ForURLsHasOneSpelling(_ bytes: Bytes) {
            let text = Base64URL.encode(bytes)
            #expect(text.utf8.allSatisfy { !"+/=".utf8.contains($0) })
            #expect(Base64URL.decode(Bytes(text.utf8)) == bytes)
            for other in [text + "=", text + "A", "+" + text, " " + text] {
                #expect(Base64URL.decode(Bytes(other.utf8)) != bytes)
            }
        }

        @Test func bitsThatAreLeftOverAreNoBase64() {
            #expect(Base64URL.decode(Bytes("AA".utf8)) == [0])
            #expect(Base64URL.decode(Bytes("AB".utf8)) == nil)
        }
    }
#endif
