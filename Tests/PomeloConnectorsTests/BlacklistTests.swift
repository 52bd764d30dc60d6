// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloTesting
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

/// Who is on a list is closed before a word of it is read.
@Suite struct BlacklistTests {
    private static func options(_ change: (inout AccessRules) -> Void) -> HybridOptions {
        var options = HybridOptions()
        change(&options.limits.access)
        return options
    }

    @Test(arguments: [
        ("192.0.2.1", true), ("192.0.2.2", false), ("198.51.100.77", true), ("::ffff:198.51.100.77", true),
        ("2001:db8:0:1::5", true), ("2001:db8:1::5", false), ("11.192.0.2", false),
    ])
    @Loop func whoIsListedIsClosedUnheard(_ peer: String, _ isBlocked: Bool) throws {
        let wired = try Wired(
            Self.options { $0.blacklist = ["192.0.2.1", "198.51.100.0/24", "2001:db8::/48"] }, peer: peer)
        #expect((wired.stream.closing != nil) == isBlocked && !wired.stream.flushed)
        #expect((wired.stream.delegate == nil) == isBlocked, "nobody reads what it says")
        #expect(wired.fault(.blocked) == (isBlocked ? 1 : 0))
        #expect(wired.port.statistics.accepted == 1 && wired.port.statistics.pending == (isBlocked ? 0 : 1))
        #expect(wired.clock.pendingTimers == (isBlocked ? 0 : 1))
    }

    @Test @Loop func theListOfTheServerChangesWhileItRuns() throws {
        let wired = try Wired()
        func come(from host: String) -> Bool {
            let stream = ScriptedStream(from: host)
            wired.port.accept(stream)
            return stream.closing == nil
        }
        #expect(try wired.blacklist.add(["198.51.100.0/24", "192.0.2.7", "192.0.2.7"]) == 2)
        #expect(wired.blacklist.entries == ["192.0.2.7", "198.51.100.0/24"])
        #expect(!come(from: "198.51.100.5") && !come(from: "192.0.2.7") && come(from: "192.0.2.8"))
        #expect(wired.stream.closing == nil, "who is there stays")
        #expect(throws: Fault.self) { try wired.blacklist.add(["192.0.2.9", "1.1.1"]) }
        #expect(come(from: "192.0.2.9"), "all or none")
        #expect(try wired.blacklist.remove(["192.0.2.7", "192.0.2.200"]) == 1)
        #expect(come(from: "192.0.2.7") && wired.fault(.blocked) == 2)
    }

    @Test @Loop func theListHasABound() throws {
        let blacklist = Blacklist()
        let all = (0..<Blacklist.maxEntries).map { "10.\($0 >> 16).\($0 >> 8 & 255).\($0 & 255)" }
        #expect(try blacklist.add(all) == Blacklist.maxEntries)
        #expect(throws: Fault.self) { try blacklist.add(["192.0.2.7"]) }
        #expect(try blacklist.remove(all) == Blacklist.maxEntries && blacklist.count == 0)
    }

    @Test @Loop func whomAProxySpeaksForIsBlockedToo() throws {
        let rules = Self.options {
            $0.blacklist = ["192.0.2.7"]
            $0.trustedProxies = ["10.0.0.1"]
            $0.proxyProtocol = .optional
        }
        let header = Bytes("PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\n".utf8)
        let first = try Wired(rules, peer: "10.0.0.1")
        first.stream.feed(header + Sample.handshake)
        #expect(first.stream.closing != nil && first.stream.written.isEmpty && first.fault(.blocked) == 1)
        #expect(first.host.sessions.isEmpty && first.host.ends.isEmpty)
        let second = try Wired(rules, peer: "10.0.0.1")
        second.stream.feed(
            Bytes(Sample.upgrade.dropLast(2)) + Bytes("X-Forwarded-For: 192.0.2.7\r\n\r\n".utf8)
                + Sample.frame(Sample.handshake))
        #expect(second.stream.closing != nil && second.stream.written.isEmpty && second.fault(.blocked) == 1)
    }

    // MARK: the hook

    /// Answers when a test says so.
    @Loop final class Judge {
        private(set) var asked: [SocketAddress] = []
        private var waiting: [CheckedContinuation<Bool, any Error>] = []

        func ask(_ address: SocketAddress) async throws -> Bool {
            asked.append(address)
            return try await withCheckedThrowingContinuation { waiting.append($0) }
        }

        func answer(_ result: Result<Bool, any Error>) {
            for one in waiting { one.resume(with: result) }
            waiting = []
        }
    }

    enum Verdict: CaseIterable { case blocked, served, unknown }

    @Loop private func judged(
        _ verdict: Verdict, peer: String = "192.0.2.1", _ bytes: Bytes
    ) async throws -> (wired: Wired, judge: Judge) {
        let judge = Judge()
        let wired = try Wired(
            Self.options {
                $0.isBlocked = { try await judge.ask($0) }
                $0.trustedProxies = ["10.0.0.1"]
                $0.proxyProtocol = .optional
            }, peer: peer)
        for byte in bytes { wired.stream.feed([byte]) }
        try await eventually("the question", within: .seconds(60)) { judge.asked.count == 1 }
        #expect(wired.stream.written.isEmpty && wired.host.sessions.isEmpty, "nothing is heard meanwhile")
        switch verdict {
        case .blocked: judge.answer(.success(true))
        case .served: judge.answer(.success(false))
        case .unknown: judge.answer(.failure(Fault(500)))
        }
        try await eventually("the outcome", within: .seconds(60)) {
            verdict == .blocked ? wired.stream.closing != nil : wired.host.messages.count == 1
        }
        #expect(wired.fault(.blocked) == (verdict == .blocked ? 1 : 0))
        #expect(wired.port.statistics.failedFilters == (verdict == .unknown ? 1 : 0))
        return (wired, judge)
    }

    @Test(arguments: Verdict.allCases) @Loop func whoIsAskedAboutWaits(_ verdict: Verdict) async throws {
        let tcp = try await judged(verdict, Sample.handshake + Sample.ack + Sample.echo1)
        #expect(tcp.judge.asked.map(\.host) == ["192.0.2.1"])
        let frames = Sample.upgrade + [Sample.handshake, Sample.ack, Sample.echo1].flatMap { Sample.frame($0) }
        let webSocket = try await judged(verdict, frames)
        #expect(webSocket.judge.asked.count == 1)
    }

    @Test(arguments: Verdict.allCases) @Loop func theClientOfAProxyIsAskedAbout(_ verdict: Verdict) async throws {
        let header = Bytes("PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\n".utf8)
        let tcp = try await judged(
            verdict, peer: "10.0.0.1", header + Sample.handshake + Sample.ack + Sample.echo1)
        #expect(tcp.judge.asked.map(\.host) == ["192.0.2.7"])
        let frames = [Sample.handshake, Sample.ack, Sample.echo1].flatMap { Sample.frame($0) }
        let named = Bytes(Sample.upgrade.dropLast(2)) + Bytes("X-Forwarded-For: 192.0.2.8\r\n\r\n".utf8) + frames
        let webSocket = try await judged(verdict, peer: "10.0.0.1", named)
        #expect(webSocket.judge.asked.map(\.host) == ["192.0.2.8"])
        let unnamed = try await judged(verdict, peer: "10.0.0.1", Sample.handshake + Sample.ack + Sample.echo1)
        #expect(unnamed.judge.asked.map(\.host) == ["10.0.0.1"])
    }

    @Test @Loop func aJudgeThatDoesNotAnswerHoldsNobodyForEver() async throws {
        let judge = Judge()
        let wired = try Wired(Self.options { $0.isBlocked = { try await judge.ask($0) } })
        wired.stream.feed(Sample.handshake)
        try await eventually("the question", within: .seconds(60)) { judge.asked.count == 1 }
        wired.clock.advance(by: .seconds(10))
        #expect(wired.fault(.handshakeTimeout) == 1)
        wired.stream.end()
        judge.answer(.success(false))
        await Loop.yield()
        #expect(wired.host.sessions.isEmpty && wired.port.statistics.open == 0 && wired.clock.pendingTimers == 0)
    }

    @Test @Loop func aCustomConnectorAsksTheServersListToo() async throws {
        let custom = try await Custom().start()
        try custom.context.blacklist.add(["192.0.2.1"])
        let socket = custom.connector.connect()
        #expect(socket.disconnects == 1 && custom.host.sessions.isEmpty)
        #expect(custom.adapter.statistics.blocked == 1 && custom.adapter.statistics.open == 0)
        await custom.adapter.stop()
    }
}
