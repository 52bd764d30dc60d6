// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

/// What the open internet does to a port, and that clients are served all the while.
@Suite struct HostileInternetTests {
    /// From eight addresses, each of which has its part of the places.
    @Test @Loop func tenThousandThatSayNothingTakeNobodysPlace() async throws {
        let network = MemoryNetwork(clock: SystemClock.shared)
        var options = HybridOptions()
        options.limits.handshakeTimeout = .seconds(60)
        let frontend = try await Frontend.start(options, on: network.endpoint("127.0.0.1"))
        let first = try await frontend.client(.tcp)
        var flood: [any ByteStream] = []
        for number in 0..<10_000 {
            let attacker = network.endpoint("198.51.100.\(number % 8)")
            flood.append(try await attacker.connect(to: frontend.address, within: .seconds(20)))
        }
        #expect(try await first.request("a.b.c", ["a": 1]) == ["a": 1], "who was there is answered")
        for transport in TestClient.Transport.allCases {
            let client = try await frontend.client(transport)
            #expect(try await client.request("a.b.c", ["a": 2]) == ["a": 2], "who comes is served")
        }
        let statistics = frontend.connector.statistics
        #expect(statistics.accepted == 10_003)
        #expect(statistics.pending <= options.limits.maxPending)
        #expect((statistics.faults[.crowdedOut] ?? 0) >= 10_000 - options.limits.maxPending)
        #expect(flood.count == 10_000)
        await frontend.connector.stop()
    }

    /// A byte each second shows that somebody is there, and is no handshake.
    @Test(arguments: [
        "GET / HTTP/1.1\r\nHost: game.example\r\nX-A: b\r\n", "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443",
        "\u{1}\0\0\u{44}{\"sys\":{\"type\":\"js\"", "OPTIONS / HTTP/1.1\r\n",
    ])
    @Loop func whoSaysAByteASecondIsClosedInTime(_ words: String) throws {
        var options = HybridOptions()
        options.limits.access.trustedProxies = ["192.0.2.1"]
        options.limits.access.proxyProtocol = .optional
        let wired = try Wired(options)
        for byte in Bytes(words.utf8).prefix(10) {
            #expect(wired.stream.closing == nil)
            wired.stream.feed([byte])
            wired.clock.advance(by: .seconds(1))
        }
        #expect(wired.fault(.handshakeTimeout) == 1)
        wired.stream.end()
        #expect(wired.port.statistics.open == 0 && wired.port.statistics.heldBytes == 0)
        #expect(wired.clock.pendingTimers == 0)
    }

    /// Addresses that somebody makes up buy neither places nor a way around a list.
    @Test @Loop func madeUpAddressesAreWorthNothing() throws {
        var options = HybridOptions()
        options.limits.maxPendingPerAddress = 2
        options.limits.access.trustedProxies = ["10.0.0.1"]
        options.limits.access.blacklist = ["192.0.2.66"]
        let wired = try Wired(options, accepts: false)
        let streams = (0..<20).map { number in
            let stream = ScriptedStream(from: "198.51.100.1")
            wired.port.accept(stream)
            let line = "X-Forwarded-For: 203.0.113.\(number)\r\nForwarded: for=203.0.113.\(number)\r\n\r\n"
            stream.feed(Bytes(Sample.upgrade.dropLast(2)) + Bytes(line.utf8))
            return stream
        }
        #expect(streams.filter { $0.closing == nil }.count == 2)
        #expect(wired.host.sessions.values.allSatisfy { $0.address.host == "198.51.100.1" })
        let listed = ScriptedStream(from: "192.0.2.66")
        wired.port.accept(listed)
        #expect(listed.closing != nil && wired.fault(.blocked) == 1)
    }
}
