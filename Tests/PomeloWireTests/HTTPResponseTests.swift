// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloWire
import Testing

@Suite("HTTP answers and targets")
struct HTTPResponseTests {
    @Test func writesAnAnswer() {
        let response = HTTPResponse(
            contentType: "text/plain", headers: [.init(name: "Access-Control-Allow-Origin", value: "http://a")],
            body: utf8("ok"))
        let head = """
            HTTP/1.1 200 OK\r
            Content-Type: text/plain\r
            Access-Control-Allow-Origin: http://a\r
            Content-Length: 2\r
            Connection: keep-alive\r
            \r

            """
        #expect(text(response.encoded(keepsAlive: true)) == head + "ok")
        #expect(text(response.encoded(keepsAlive: true, omitsBody: true)) == head)
        #expect(text(response.encoded(keepsAlive: false)).contains("\r\nConnection: close\r\n"))
    }

    @Test func hasNoLengthWithoutContent() {
        #expect(
            text(HTTPResponse(status: 204).encoded(keepsAlive: true))
                == "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n")
        #expect(text(HTTPResponse(status: 400).encoded(keepsAlive: false)).contains("\r\nContent-Length: 0\r\n"))
    }

    /// An origin that is echoed must not end its line, and comes back byte for byte.
    @Test func headersStayInTheirLines() {
        let response = HTTPResponse(headers: [.init(name: "X", value: "a\r\nSet-Cookie: b\u{0}\u{7F}c")])
        #expect(text(response.encoded(keepsAlive: true)).contains("\r\nX: a  Set-Cookie: b  c\r\n"))
        let bytes = HTTPResponse(headers: [.init(name: "X", value: "\u{E9}\u{4E16}")]).encoded(keepsAlive: true)
        #expect(bytes.contains(0xE9))
        #expect(!bytes.contains(0xE4))
    }

    @Test(arguments: [
        (EngineIOError.unknownTransport, #"{"code":0,"message":"Transport unknown"}"#),
        (.unknownSession, #"{"code":1,"message":"Session ID unknown"}"#),
        (.badHandshakeMethod, #"{"code":2,"message":"Bad handshake method"}"#),
        (.badRequest, #"{"code":3,"message":"Bad request"}"#),
        (.forbidden, #"{"code":4,"message":"Forbidden"}"#),
        (.unsupportedVersion, #"{"code":5,"message":"Unsupported protocol version"}"#),
    ])
    func engineErrors(error: EngineIOError, body: String) {
        #expect(error.response.status == (error == .forbidden ? 403 : 400))
        #expect(text(error.response.body) == body)
    }

    @Test func everyStatusInUseHasAPhrase() {
        for status in [200, 204, 400, 401, 403, 404, 405, 408, 413, 417, 426, 431, 501, 503] {
            #expect(!text(HTTPResponse(status: status).encoded(keepsAlive: true)).contains("\(status) Status"))
        }
        let answer = HTTPResponse(HTTPError(status: 413, reason: "x")).encoded(keepsAlive: false)
        #expect(text(answer).hasPrefix("HTTP/1.1 413 "))
    }

    @Test func cutsATarget() throws {
        let target = try HTTPTarget("/socket.io/?EIO=4&transport=polling&t=a%2Bb+c&sid=x&sid=y&empty&=z&&%e4%b8%96=1")
        #expect(target.path == "/socket.io/")
        #expect(target.segments == ["socket.io"])
        #expect(target.value("EIO") == "4")
        #expect(target.value("t") == "a+b c")
        #expect(target.value("sid") == "x")
        #expect(target.value("empty") == "")
        #expect(target.value("世") == "1")
        #expect(target.value("none") == nil)
        #expect(
            try HTTPTarget("/socket.io/1/xhr-polling/SID?t=1").segments == ["socket.io", "1", "xhr-polling", "SID"])
        #expect(try HTTPTarget("/").segments == [])
        #expect(try HTTPTarget("//a/?").segments == ["", "a"])
        #expect(try HTTPTarget("/x?").parameters == [])
        #expect(try HTTPTarget("/x?a=b=c?d").value("a") == "b=c?d")
    }

    @Test func refusesBrokenTargets() {
        for target in ["/?a=%", "/?a=%1", "/?%zz=1", "/?a=%ff", "/?a=%C3", "/?a=%+1"] {
            #expect(wireError { () throws(WireError) in _ = try HTTPTarget(target) }?.isLike(.malformed("")) == true)
        }
        let many = "/?" + String(repeating: "a=1&", count: 33)
        #expect(wireError { () throws(WireError) in _ = try HTTPTarget(many) } == .tooLarge(limit: 32))
    }
}
