// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

/// Who may connect from a web page, and what a browser is told of it.
@Loop @Suite struct SocketIOOriginTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let listed: [String]
        let origin: String?
        let isAllowed: Bool
    }

    nonisolated static let cases = [
        Case(testDescription: "a program", listed: [], origin: nil, isAllowed: true),
        Case(testDescription: "the same host", listed: [], origin: "http://game.example", isAllowed: true),
        Case(testDescription: "the same host, secure", listed: [], origin: "HTTPS://Game.Example", isAllowed: true),
        Case(testDescription: "another host", listed: [], origin: "http://evil.example", isAllowed: false),
        Case(testDescription: "another port", listed: [], origin: "http://game.example:81", isAllowed: false),
        Case(testDescription: "none at all", listed: [], origin: "null", isAllowed: false),
        Case(
            testDescription: "listed", listed: ["https://page.example"], origin: "https://page.example",
            isAllowed: true),
        Case(
            testDescription: "a longer one", listed: ["https://page.example"], origin: "https://page.example.evil",
            isAllowed: false),
        Case(testDescription: "any", listed: ["*"], origin: "http://evil.example", isAllowed: true),
    ]

    private let begin = "/socket.io/?EIO=4&transport=polling"

    private func wired(_ one: Case) throws -> SocketIOWired {
        var options = SocketIOOptions()
        options.origins = one.listed
        return try SocketIOWired(options)
    }

    private func headers(_ one: Case) -> [String] { one.origin.map { ["Origin: \($0)"] } ?? [] }

    @Test(arguments: cases) func requests(_ one: Case) async throws {
        let wired = try wired(one)
        let answer = try wired.line().get(begin, headers(one))
        #expect(answer.status == (one.isAllowed ? 200 : 403))
        let shown = one.isAllowed ? one.origin : nil
        #expect(answer.headers["access-control-allow-origin"] == shown)
        #expect(answer.headers["access-control-allow-credentials"] == shown.map { _ in "true" })
        #expect(answer.headers["vary"] == shown.map { _ in "Origin" })
        #expect(wired.service.statistics.refused[.forbidden] == (one.isAllowed ? nil : 1))
        #expect(wired.service.statistics.open == (one.isAllowed ? 1 : 0))
    }

    @Test(arguments: cases) func preflights(_ one: Case) async throws {
        let wired = try wired(one)
        let line = wired.line()
        line.send("OPTIONS", begin, headers(one) + ["Access-Control-Request-Headers: content-type"])
        let answer = try #require(try line.answers().first)
        #expect(answer.status == (one.isAllowed ? 204 : 403))
        #expect(answer.headers["access-control-allow-origin"] == (one.isAllowed ? one.origin : nil))
        if one.isAllowed {
            #expect(answer.headers["access-control-allow-methods"] == "GET, POST, OPTIONS")
            #expect(answer.headers["access-control-allow-headers"] == "content-type")
        }
        #expect(wired.service.statistics.open == 0)
    }

    @Test(arguments: cases) func webSockets(_ one: Case) async throws {
        let wired = try wired(one)
        let line = wired.line()
        line.upgrade("/socket.io/?EIO=4&transport=websocket", headers(one))
        let start = String(decoding: line.stream.written.prefix(12), as: UTF8.self)
        #expect(start == (one.isAllowed ? "HTTP/1.1 101" : "HTTP/1.1 403"))
        #expect(wired.port.statistics.openWebSocket == (one.isAllowed ? 1 : 0))
    }

    /// Errors are shown to a page too, or its client could not tell them from a network that is down.
    @Test func errorsAreShown() async throws {
        let wired = try SocketIOWired()
        let answer = try wired.line().get(begin + "&sid=x", ["Origin: http://game.example"])
        #expect(answer.status == 400 && answer.headers["access-control-allow-origin"] == "http://game.example")
    }
}
