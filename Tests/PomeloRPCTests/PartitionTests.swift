// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloRPC
import PomeloTesting
import Testing

/// Links that are slow, cut, or open in one direction only.
@Suite struct PartitionTests {
    /// Servers `a` and `b` on hosts of their own.
    @Loop private final class Hosts {
        let clock = ManualClock()
        let network: MemoryNetwork
        let a = TestServer("a", instance: "a1", options: RPCOptions())
        let b = TestServer("b", instance: "b1", options: RPCOptions())

        init() async throws {
            network = MemoryNetwork(clock: clock)
            for server in [a, b] {
                let host = network.endpoint(server.info.id.rawValue)
                try await server.start(TransportCluster(network: host, clock: clock))
            }
            for server in [a, b] { server.directory.add([a.info, b.info]) }
        }

        func advance(_ duration: Duration, step: Duration = .milliseconds(10)) async {
            let end = clock.deadline(after: duration)
            while clock.now < end {
                clock.advance(to: min(end, clock.deadline(after: step)))
                for _ in 0..<4 { await nextTurn() }
            }
        }
    }

    @Test(arguments: [1, 2, 7, 100])
    @Loop func bytesMayArriveInAnyPieces(size: Int) async throws {
        let hosts = try await Hosts()
        hosts.network.maxChunk = size
        let payload = RandomSource(seed: 9).bytes(3000)
        let calls = (0..<10).map { _ in hosts.a.begin(hosts.b, "echo", payload) }
        #expect(await eventually { calls.allSatisfy { $0.value == .success(payload) } })
    }

    @Test @Loop func aDelayCostsEachCallOneRoundTrip() async throws {
        let hosts = try await Hosts()
        hosts.network.delay = .milliseconds(40)
        let first = hosts.a.begin(hosts.b)
        await hosts.advance(.milliseconds(500))
        #expect(first.kind == "reply")
        let calls = (0..<10).map { _ in hosts.a.begin(hosts.b) }
        await hosts.advance(.milliseconds(70))
        #expect(calls.allSatisfy { $0.kind == "pending" })
        await hosts.advance(.milliseconds(30))
        #expect(calls.allSatisfy { $0.kind == "reply" })
    }

    struct Cut: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let apply: @Loop @Sendable (MemoryNetwork) -> Void
        /// Whether the callee still gets what was called.
        let executes: Bool
    }

    @Test(arguments: [
        Cut(testDescription: "both directions", apply: { $0.partition("a", "b") }, executes: false),
        Cut(testDescription: "calls do not arrive", apply: { $0.block(from: "a", to: "b") }, executes: false),
        Cut(
            testDescription: "replies do not arrive", apply: { $0.block(from: "b", to: "a") },
            executes: true),
    ])
    @Loop func aCutLinkIsNoticedAndHeals(_ cut: Cut) async throws {
        let hosts = try await Hosts()
        let (a, b) = (hosts.a, hosts.b)
        let warm = a.begin(b)
        #expect(await eventually { warm.kind == "reply" })
        cut.apply(hosts.network)
        let call = a.begin(b, "echo", [9])
        await hosts.advance(.milliseconds(2100))
        #expect(call.kind == "maybeExecuted" && a.directory.isSuspect("b"))
        #expect(b.seen.contains([9]) == cut.executes)
        #expect(await a.call(b).isNotSent)
        await hosts.advance(.seconds(20), step: .milliseconds(100))
        hosts.network.heal("a", "b")
        await hosts.advance(.milliseconds(2500))
        #expect(!a.directory.isSuspect("b"))
        let again = a.begin(b)
        await hosts.advance(.milliseconds(100))
        #expect(again.kind == "reply" && call.all.count == 1)
        // The call that waited in the cut link may still be executed, but only once.
        #expect(b.seen.count(where: { $0 == [9] }) <= 1)
    }

    @Test(arguments: [["a", "b"], ["b", "a"]])
    @Loop func anIdleLinkThatIsCutInOneDirectionIsNoticedAtBothEndsWithinTwoSeconds(_ cut: [String]) async throws {
        for phase in stride(from: 0, to: 1000, by: 90) {
            let hosts = try await Hosts()
            await hosts.advance(.milliseconds(3000 + phase))
            hosts.network.block(from: cut[0], to: cut[1])
            await hosts.advance(.milliseconds(2010))
            #expect(hosts.a.directory.isSuspect("b") && hosts.b.directory.isSuspect("a"), "after \(phase) ms")
        }
    }

    @Test @Loop func aCrashedServerIsSuspectAtOnce() async throws {
        let hosts = try await Hosts()
        let held = hosts.a.begin(hosts.b, "hold")
        #expect(await eventually { hosts.b.seen.count == 1 })
        hosts.network.crash("b")
        await hosts.advance(.milliseconds(200))
        #expect(held.kind == "maybeExecuted" && hosts.a.directory.isSuspect("b"))
        hosts.b.releaseAll()
    }
}
