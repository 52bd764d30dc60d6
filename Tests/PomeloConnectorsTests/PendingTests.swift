// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloUV
import Testing

@testable import PomeloConnectors

/// Who says nothing leaves room for those who do.
@Suite struct PendingTests {
    @Loop private func silent(_ wired: Wired, from host: String = "192.0.2.1") -> ScriptedStream {
        let stream = ScriptedStream(from: host)
        wired.port.accept(stream)
        return stream
    }

    @Test @Loop func beyondTheLimitTheOldestMakesRoom() throws {
        var options = HybridOptions()
        options.limits.maxPending = 3
        let wired = try Wired(options)
        let others = (0..<4).map { silent(wired, from: "192.0.2.\($0 + 10)") }
        #expect(wired.stream.closing != nil && !wired.stream.flushed, "the oldest is cut at once")
        #expect(others.map { $0.closing != nil } == [true, false, false, false])
        #expect(wired.fault(.crowdedOut) == 2)
        #expect(wired.port.statistics.pending == 3)
        others[0].end()
        #expect(wired.port.statistics.pending == 3, "it was not pending any more")
    }

    @Test @Loop func oneAddressHasItsOwnLimit() throws {
        var options = HybridOptions()
        options.limits.maxPendingPerAddress = 2
        let wired = try Wired(options)
        let flood = (0..<10).map { _ in silent(wired, from: "198.51.100.1") }
        #expect(flood.map { $0.closing == nil } == Array(repeating: false, count: 8) + [true, true])
        #expect(wired.stream.closing == nil, "others are not concerned")
        #expect(wired.port.statistics.pending == 3)
    }

    @Test @Loop func anAcknowledgedHandshakeIsNotPending() throws {
        var options = HybridOptions()
        options.limits.maxPending = 1
        let wired = try Wired(options)
        wired.work()
        #expect(wired.port.statistics.pending == 0)
        _ = silent(wired)
        let last = silent(wired)
        #expect(wired.stream.closing == nil && last.closing == nil)
        last.feed(Sample.handshake)
        #expect(wired.port.statistics.pending == 1, "only the acknowledgement counts")
    }

    @Test @Loop func atMostHalfOfAllMayBePending() throws {
        let wired = try Wired(HybridOptions(), maxConnections: 40)
        for index in 0..<100 { _ = silent(wired, from: "10.0.0.\(index)") }
        #expect(wired.port.statistics.pending == 20)
    }

    @Test @Loop func manyThatComeAndGoLeaveNothingBehind() throws {
        let line = PendingConnections<StreamConnection>(limit: 10, perAddress: 10)
        let wired = try Wired()
        weak var first: StreamConnection?
        let stays = StreamConnection(wired.port, ScriptedStream())
        #expect(line.add(stays).isEmpty)
        for number in 0..<1000 {
            let connection = StreamConnection(wired.port, ScriptedStream())
            if number == 0 { first = connection }
            #expect(line.add(connection).isEmpty)
            line.remove(connection)
        }
        #expect(first == nil)
        #expect(line.count == 1)
    }

    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1", true), ("192.0.2.1", "192.0.2.2", false),
        ("2001:db8:1:2::1", "2001:db8:1:2:3:4:5:6", true), ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
        ("2001:db8::1", "2001:db8::2:0:0:1", true), ("2001:db8::1", "2001:db8:0:1::1", false),
        ("::1", "::2", true), ("fe80::1", "::1", false),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
    ])
    func anIPv6NetworkOf64BitsCountsAsOneAddress(_ one: String, _ other: String, same: Bool) {
        let origins = [one, other].map { Origin(SocketAddress(host: $0, port: 1)) }
        #expect((origins[0] == origins[1]) == same)
    }

    // MARK: accepting

    /// Counted from accept: who has not spoken yet has a place too.
    @Test @Loop func whoComesBeyondTheLimitWaitsUntilThereIsRoom() async throws {
        let frontend = try await Frontend.start(maxConnections: 3)
        let first = try await frontend.client(.tcp)
        _ = try await frontend.client(.webSocket)
        let silent = try await frontend.connect(.tcp)
        try await frontend.wait(for: "all three") { frontend.connector.statistics.open == 3 }
        #expect(frontend.connector.statistics.acceptPauses == 1)

        let waiting = try await frontend.connect(.tcp)
        let answer = Loop.task { try await waiting.handshake() }
        #expect(try await first.request("a.b.c", ["a": 1]) == ["a": 1])
        #expect(frontend.connector.statistics.accepted == 3)
        #expect(frontend.connector.statistics.refused == 0)
        silent.close()
        _ = try await answer.value
        #expect(frontend.connector.statistics.accepted == 4)
        #expect(frontend.connector.statistics.acceptPauses == 2)
        await frontend.connector.stop()
    }

    @Test @Loop func acceptErrorsAreCounted() throws {
        let wired = try Wired()
        let listener = SilentListener()
        wired.port.listens(on: listener)
        for _ in 0..<3 { listener.onAcceptError?(NetworkError(code: "EMFILE", description: "too many open files")) }
        #expect(wired.port.statistics.acceptErrors == 3)
    }

    @Test @Loop func aNetworkInMemoryMakesThemWaitToo() async throws {
        let clock = SystemClock.shared
        let network = MemoryNetwork(clock: clock).endpoint("127.0.0.1")
        let frontend = try await Frontend.start(on: network, maxConnections: 1)
        let first = try await frontend.client(.tcp)
        let second = try await frontend.connect(.tcp)
        let answer = Loop.task { try await second.handshake() }
        #expect(try await first.request("a.b.c", [:]) == [:])
        #expect(frontend.connector.statistics.accepted == 1)
        first.close()
        _ = try await answer.value
        await frontend.connector.stop()
    }
}

/// Accepts nobody.
@Loop private final class SilentListener: StreamListener {
    let localAddress = SocketAddress(host: "192.0.2.2", port: 2)
    let acceptErrors = 0
    var onAcceptError: (@Loop (NetworkError) -> Void)?
    func pauseAccepting() {}
    func resumeAccepting() {}
    func close() {}
}

extension Loop {
    /// A task on the loop whose result is awaited later.
    fileprivate static func task<T: Sendable>(
        _ body: @escaping @Loop @Sendable () async throws -> T
    ) -> Task<T, any Error> { Task { try await body() } }
}
