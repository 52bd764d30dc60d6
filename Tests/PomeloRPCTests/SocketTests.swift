// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloUV
import Testing

@testable import PomeloRPC

/// The transport on real sockets, most of it with hostile or broken peers.
@Suite struct SocketTests {
    /// Time stands still unless a test moves it, so that a slow machine changes nothing.
    private let clock = ManualClock()

    @Loop private func cluster() -> TransportCluster { TransportCluster(network: UVNetwork(), clock: clock, seed: nil) }

    @Loop private func pair(_ options: RPCOptions = RPCOptions()) async throws -> (TestServer, TestServer) {
        try await cluster().pair(options)
    }

    /// Lets time pass, in small steps, until a condition holds.
    @Loop private func passing(_ condition: @Loop () -> Bool) async -> Bool {
        await eventually {
            if condition() { return true }
            clock.advance(by: .milliseconds(10))
            return false
        }
    }

    @Loop private func stop(_ servers: TestServer...) async {
        for server in servers {
            server.releaseAll()
            await server.transport.stop(within: .seconds(2))
        }
    }

    @Test @Loop func tenThousandCallsInBothDirections() async throws {
        let (a, b) = try await pair()
        var outcomes: [CallOutcome] = []
        for number in 0..<5000 {
            let method = number % 3 == 0 ? "later" : "echo"
            for (caller, callee) in [(a, b), (b, a)] {
                outcomes.append(caller.begin(callee, method, Bytes("\(number)".utf8)))
            }
            if number % 1000 == 999 {
                #expect(await eventually { outcomes.allSatisfy { !$0.all.isEmpty } })
            }
        }
        #expect(outcomes.count == 10_000 && outcomes.allSatisfy { $0.all.count == 1 && $0.kind == "reply" })
        await stop(a, b)
    }

    @Test @Loop func longCallsAndRepliesArriveWhole() async throws {
        let (a, b) = try await pair()
        _ = await a.call(b)
        let payload = Bytes(Array(repeating: RandomSource(seed: 5).bytes(4093), count: 768).joined())
        let long = (0..<3).map { _ in a.begin(b, "echo", payload) }
        let short = (0..<50).map { a.begin(b, "echo", [UInt8($0)]) }
        #expect(await eventually { (long + short).allSatisfy { !$0.all.isEmpty } })
        #expect(long.allSatisfy { $0.value == .success(payload) })
        for number in 0..<50 { #expect(short[number].value == .success([UInt8(number)])) }
        await stop(a, b)
    }

    @Test @Loop func aPortInUseIsNamed() async throws {
        let (a, b) = try await pair()
        let other = TestServer("x", instance: "x1", options: RPCOptions())
        let port = a.info.record.port
        let error = await #expect(throws: PomeloError.self) { try await other.start(cluster(), port: port) }
        #expect(error?.code == .network && error?.message.contains("127.0.0.1:\(port)") == true)
        await stop(a, b)
    }

    @Test @Loop func aDeadServerFailsCallsAtOnce() async throws {
        let (a, b) = try await pair()
        let held = a.begin(b, "hold")
        #expect(await eventually { b.seen.count == 1 })
        await b.transport.stop(within: .zero)
        #expect(await eventually { held.kind == "maybeExecuted" })
        let next = a.begin(b)
        #expect(await passing { next.kind == "notSent" })
        await stop(a, b)
    }

    // MARK: strangers

    struct Stranger: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let bytes: Bytes
    }

    @Test(arguments: [
        Stranger(testDescription: "text", bytes: Bytes("GET / HTTP/1.1\r\n\r\n".utf8)),
        Stranger(testDescription: "zeros", bytes: Bytes(repeating: 0, count: 64)),
        Stranger(testDescription: "an endless length", bytes: [0xFF, 0xFF, 0xFF, 0xFF, 1]),
        Stranger(
            testDescription: "a hello over 1 KiB",
            bytes: [0, 0, 4, 2, 1] + Bytes(repeating: 0x20, count: 1025)),
        Stranger(
            testDescription: "a call without a handshake",
            bytes: [0, 0, 0, 12, 6, 0, 0, 0, 1, 0, 0, 0, 9, 0, 1, 101]),
    ])
    @Loop func strangersAreClosed(_ stranger: Stranger) async throws {
        let (a, b) = try await pair()
        let client = try await RawClient(b)
        client.stream.write(stranger.bytes)
        #expect(await eventually { client.end != nil })
        #expect(b.transport.counters.refused == 1)
        #expect(await a.call(b).isReply)
        await stop(a, b)
    }

    @Test @Loop func aHandshakeThatDripsIsClosedAtTheDeadline() async throws {
        let (_, b) = try await pair()
        let client = try await RawClient(b)
        let hello: Bytes = [0, 0, 0, 200, 1] + Bytes(repeating: 0x20, count: 199)
        for byte in hello.prefix(19) {
            client.stream.write([byte])
            await nextTurn()
            clock.advance(by: .milliseconds(100))
            await nextTurn()
        }
        #expect(client.end == nil)
        clock.advance(by: .milliseconds(150))
        #expect(await eventually { client.end != nil })
        #expect(b.seen.isEmpty)
    }

    @Test @Loop func strangersBeyondTheBoundAreClosedAtOnce() async throws {
        var options = RPCOptions()
        options.maxPendingHandshakes = 5
        let (a, b) = try await pair(options)
        // Else a's own handshake may be the oldest one, which gives way, and would be tried again when time passes.
        #expect(await a.call(b).isReply)
        var clients: [RawClient] = []
        for _ in 0..<12 { clients.append(try await RawClient(b)) }
        #expect(await eventually { clients.count(where: { $0.end != nil }) == 7 })
        for client in clients { client.stream.close() }
        #expect(await eventually { clients.allSatisfy { $0.end != nil } })
        #expect(await eventually { b.transport.handshakes == 0 })
        #expect(await a.call(b).isReply)
        await stop(a, b)
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    @Loop func damagedStreamsHarmNobodyElse(seed: UInt64) async throws {
        let (a, b) = try await pair()
        let steady = a.begin(b, "hold")
        #expect(await eventually { b.seen.count == 1 })
        var random = SplitMix64(seed: seed)
        for _ in 0..<100 {
            let client = try await RawClient(b)
            var bytes = try RawClient.script()
            for _ in 0...(random.next() % 4) {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
            }
            let split = Int(random.next() % UInt64(bytes.count))
            client.stream.write(Bytes(bytes[..<split]))
            await nextTurn()
            client.stream.write(Bytes(bytes[split...]))
            client.stream.closeAfterFlush(within: .seconds(1))
            #expect(await eventually { client.end != nil })
        }
        #expect(b.seen.count == 1 && b.transport.counters.served == 1)
        b.releaseAll()
        #expect(await eventually { steady.kind == "reply" })
        await stop(a, b)
    }

    @Test(arguments: [21, 22, 23] as [UInt64])
    @Loop func damageAfterTheHandshakeClosesThatConnectionOnly(seed: UInt64) async throws {
        let (a, b) = try await pair()
        let proxy = try await DamagingProxy(to: b, seed: seed)
        let c = TestServer("c", instance: "c1", options: RPCOptions())
        try await c.start(cluster())
        var detour = b.info
        detour.record.port = proxy.port
        c.directory.add([detour])
        var outcomes: [CallOutcome] = []
        for round in 0..<60 {
            for number in 0..<20 {
                outcomes.append(c.begin(b, "echo", Bytes(repeating: UInt8(number), count: 40 + round)))
            }
            let steady = a.begin(b)
            #expect(await eventually { steady.kind == "reply" })
        }
        #expect(await passing { outcomes.allSatisfy { $0.all.count == 1 } })
        #expect(proxy.damaged > 0)
        await stop(a, b, c)
        proxy.close()
    }

    // MARK: silence

    @Test @Loop func aPeerThatAcceptsAndNeverAnswersIsSuspect() async throws {
        let (a, b) = try await pair()
        let address = SocketAddress(host: "127.0.0.1", port: 0)
        let hole = try await UVNetwork().listen(on: address) { _ in }
        var record = b.info
        record.record.id = "hole"
        record.record.port = hole.localAddress.port
        a.directory.add([record])
        let call = a.begin("hole")
        #expect(await passing { call.kind == "notSent" })
        #expect(await passing { a.directory.isSuspect("hole") })
        #expect(await a.call("hole", "echo", []).isNotSent)
        var answer: Bool?
        Loop.spawn { answer = await a.transport.ping(record, within: .milliseconds(50)) }
        #expect(await passing { answer == false })
        hole.close()
        await stop(a, b)
    }
}
