// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloConnectors

/// What load balancers and web pages ask of the hybrid connector, beside WebSockets.
@Suite struct HealthCheckTests {
    @Loop private func ask(
        _ method: String, _ target: String, _ lines: [String] = [], _ options: HybridOptions = HybridOptions()
    ) throws -> (wired: Wired, text: String) {
        let wired = try Wired(options)
        let head = (["\(method) \(target) HTTP/1.1", "Host: game.example"] + lines).joined(separator: "\r\n")
        wired.stream.feed(Bytes((head + "\r\n\r\n").utf8))
        return (wired, String(decoding: wired.stream.taken(), as: UTF8.self))
    }

    @Test(arguments: [("GET", "/"), ("HEAD", "/"), ("GET", "/?from=balancer")])
    @Loop func aHealthCheckerIsAnswered(_ method: String, _ target: String) throws {
        let (wired, text) = try ask(method, target)
        #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n") && text.contains("Content-Length: 3\r\n"))
        #expect(text.hasSuffix(method == "HEAD" ? "\r\n\r\n" : "\r\n\r\nOK\n"))
        #expect(text.contains("Connection: close"))
        #expect(wired.stream.flushed && wired.port.statistics.plainAnswers == 1)
        #expect(wired.port.statistics.faults.isEmpty && wired.port.statistics.pending == 0)
        #expect(wired.host.sessions.isEmpty && wired.host.ends.isEmpty, "it is no client")
        wired.stream.end()
        #expect(wired.port.statistics.open == 0 && wired.clock.pendingTimers == 0)
    }

    @Test(arguments: [
        ("GET", "/a", "426"), ("POST", "/", "426"), ("PUT", "/", "426"), ("OPTIONS", "/a", "426"), ("GET", "//", "426"),
    ])
    @Loop func othersAreAnsweredAsBefore(_ method: String, _ target: String, _ status: String) throws {
        let (wired, text) = try ask(method, target)
        #expect(text.hasPrefix("HTTP/1.1 \(status) ") && wired.fault(.notAnUpgrade) == 1)
        #expect(wired.port.statistics.plainAnswers == 0)
    }

    @Test @Loop func whoWantsAWebSocketOfAnotherVersionIsNoHealthChecker() throws {
        let (wired, text) = try ask(
            "GET", "/", ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 6"])
        #expect(text.hasPrefix("HTTP/1.1 426 ") && wired.fault(.notAnUpgrade) == 1)
    }

    @Test @Loop func aPageIsToldWhatItMay() throws {
        let origin = "Origin: https://game.example"
        let (_, text) = try ask("OPTIONS", "/", [origin, "Access-Control-Request-Headers: X-A"])
        #expect(text.hasPrefix("HTTP/1.1 204 "))
        #expect(text.contains("\r\nAllow: GET, HEAD, OPTIONS\r\n"))
        #expect(text.contains("\r\nAccess-Control-Allow-Origin: https://game.example\r\n"))
        #expect(text.contains("\r\nAccess-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n"))
        #expect(text.contains("\r\nAccess-Control-Allow-Headers: X-A\r\n"))
        let (_, plain) = try ask("GET", "/", [origin])
        #expect(plain.contains("\r\nAccess-Control-Allow-Origin: https://game.example\r\n"))
    }

    // MARK: origins

    private static let upgrade = [
        "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]

    @Loop private static func only(_ origins: [String]) -> HybridOptions {
        var options = HybridOptions()
        options.origins = origins
        return options
    }

    @Test(arguments: [
        ("https://other.example", true), ("http://game.example", true), ("https://evil.example", false),
        ("null", false), ("https://other.example.evil", false), ("https://OTHER.example", true),
    ])
    @Loop func onlyNamedPagesMayOpenAWebSocket(_ origin: String, _ may: Bool) throws {
        let options = Self.only(["https://other.example"])
        let (wired, text) = try ask("GET", "/", Self.upgrade + ["Origin: \(origin)"], options)
        #expect(text.hasPrefix(may ? "HTTP/1.1 101 " : "HTTP/1.1 403 "))
        #expect(wired.port.statistics.refusedOrigins == (may ? 0 : 1))
        #expect(wired.host.sessions.count == (may ? 1 : 0) && wired.host.ends.isEmpty)
        let (_, asked) = try ask("OPTIONS", "/", ["Origin: \(origin)"], options)
        #expect(asked.hasPrefix(may ? "HTTP/1.1 204 " : "HTTP/1.1 403 "))
        let (_, checked) = try ask("GET", "/", ["Origin: \(origin)"], options)
        #expect(checked.hasPrefix("HTTP/1.1 200 ") && checked.contains("Allow-Origin") == may)
    }

    @Test @Loop func aProgramNamesNoOriginAndByDefaultAnyMay() throws {
        #expect(try ask("GET", "/", Self.upgrade, Self.only(["https://other.example"])).text.hasPrefix("HTTP/1.1 101"))
        #expect(try ask("GET", "/", Self.upgrade + ["Origin: null"]).text.hasPrefix("HTTP/1.1 101"))
    }

    @Test(arguments: ["game.example", "https://game.example/", "https://*.game.example"])
    @Loop func whatIsNoOriginDoesNotStart(_ origin: String) throws {
        #expect(throws: PomeloError.self) { _ = try Wired(Self.only([origin])) }
        let json = try OptionReader(["origins": ["https://a.example", "*"]], file: "connector.json")
        #expect(try HybridOptions(json).origins == ["https://a.example", "*"])
    }
}
