// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloTesting
import PomeloUV
import PomeloWire
import Testing

@testable import PomeloRPC

/// Sealed connections on real sockets, with somebody in between.
@Suite struct SealTests {
    private let clock = ManualClock()

    private static let always: RPCOptions = {
        var options = RPCOptions()
        options.seal = .always
        return options
    }()

    /// Lets time pass, in small steps, until a condition holds.
    @Loop private func passing(_ condition: @Loop () -> Bool) async -> Bool {
        await eventually {
            if condition() { return true }
            clock.advance(by: .milliseconds(10))
            return false
        }
    }

    /// Two servers, of which `a` reaches `b` through a relay only.
    @Loop private func pair(
        _ options: RPCOptions, isSealed: Bool = true
    ) async throws -> (TestServer, TestServer, Relay) {
        let cluster = TransportCluster(network: UVNetwork(), clock: clock, seed: nil)
        let a = TestServer("a", instance: "a1", options: options)
        let b = TestServer("b", instance: "b1", options: options)
        for server in [a, b] { try await server.start(cluster) }
        let relay = try await Relay(to: b, isSealed: isSealed)
        var detour = b.info
        detour.record.port = relay.port
        a.directory.add([a.info, detour])
        b.directory.add([a.info, b.info])
        return (a, b, relay)
    }

    @Loop private func stop(_ relay: Relay, _ servers: TestServer...) async {
        for server in servers { await server.transport.stop(within: .seconds(2)) }
        relay.close()
    }

    @Test @Loop func callsOfAllSizesPassSealed() async throws {
        let (a, b, relay) = try await pair(Self.always)
        var seen: Bytes = []
        relay.tamper = { _, record in
            seen += record
            return record
        }
        let secretText = Bytes("nobody reads this".utf8)
        #expect(await a.call(b, "echo", secretText) == .success(secretText))
        let long = RandomSource(seed: 5).bytes(300_000)
        let calls = [a.begin(b, "echo", long), a.begin(b), a.begin(b, "zeros", Bytes("200000".utf8)), b.begin(a)]
        #expect(await passing { calls.allSatisfy { $0.kind == "reply" } })
        #expect(calls[0].value == .success(long))
        #expect(!String(decoding: seen, as: UTF8.self).contains("reads") && seen.count > 300_000)
        #expect(relay.connections == 1)
        await stop(relay, a, b)
    }

    /// A message that would be a call, if the connection took it.
    private static var evil: Bytes {
        get throws {
            let frame = RPCFrame.call(
                id: 4_000_000, sent: 0, remainingMilliseconds: .max, .init(procedure: 0, name: "echo"), payload: [66])
            return try frame.encoded()
        }
    }

    struct Attack: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// Given the number of a record, the record, and what came before: what goes on.
        let tamper: @Loop @Sendable (Int, Bytes, [Bytes]) -> Bytes?
        var isCut = false
    }

    private static let attacks = [
        Attack(testDescription: "an injected frame") { number, record, _ in
            number == 3 ? record + ((try? evil) ?? []) : record
        },
        Attack(testDescription: "an injected record") { number, record, _ in
            guard number == 3, let evil = try? evil else { return record }
            return record + [0, UInt8(evil.count)] + evil
        },
        Attack(testDescription: "a changed byte") { number, record, _ in
            guard number == 3 else { return record }
            return record.dropLast() + [(record.last ?? 0) ^ 1]
        },
        Attack(testDescription: "a changed length") { number, record, _ in
            guard number == 3 else { return record }
            return [record[0], record[1] &- 1] + record.dropFirst(2)
        },
        Attack(testDescription: "a record twice") { number, record, _ in number == 3 ? record + record : record },
        Attack(testDescription: "a record of before") { number, record, before in
            number == 4 ? before[2] : record
        },
        Attack(testDescription: "a record left out") { number, record, _ in number == 3 ? [] : record },
        Attack(testDescription: "two records in the wrong order") { number, record, before in
            number == 3 ? [] : number == 4 ? record + before[3] : record
        },
        Attack(
            testDescription: "the end cut off",
            tamper: { number, record, _ in
                number == 3 ? nil : record
            }, isCut: true),
        Attack(
            testDescription: "half a record and the end",
            tamper: { number, record, before in
                if number == 3 { return Bytes(record.prefix(record.count / 2)) }
                return number == 4 ? nil : record
            }, isCut: true),
    ]

    /// Whatever the relay does, what is run are the caller's calls, each once and in their order, and the connection
    /// ends with an error that both sides know of.
    @Test(arguments: attacks)
    @Loop func aRelayCannotChangeWhatIsSaid(_ attack: Attack) async throws {
        let (a, b, relay) = try await pair(Self.always)
        var before: [Bytes] = []
        relay.tamper = { number, record in
            defer { before.append(record) }
            return attack.tamper(number, record, before)
        }
        var outcomes: [CallOutcome] = []
        for number in 1...8 {
            outcomes.append(a.begin(b, "echo", [UInt8(number)], within: .seconds(3)))
            await nextTurn()
        }
        #expect(await passing { outcomes.allSatisfy { !$0.all.isEmpty } })
        #expect(await passing { relay.connections > 1 }, "it was noticed")
        #expect(b.transport.counters.violations == (attack.isCut ? 0 : 1))
        let run = b.seen.flatMap { $0 }
        #expect(run == Array(Set(run)).sorted() && run.allSatisfy { (1...8).contains($0) }, "\(run)")
        for (index, outcome) in outcomes.enumerated() {
            #expect(outcome.all.count == 1)
            if outcome.kind == "reply" { #expect(outcome.value == .success([UInt8(index + 1)])) }
            if outcome.kind == "notSent" { #expect(!run.contains(UInt8(index + 1))) }
        }
        #expect(outcomes.contains { $0.kind == "maybeExecuted" || $0.kind == "notSent" })
        var last = a.begin(b, "echo", [99])
        #expect(
            await passing {
                if last.kind != "reply", last.kind != "pending" { last = a.begin(b, "echo", [99]) }
                return last.kind == "reply"
            })
        await stop(relay, a, b)
    }

    /// What a sealed connection sent is of no use on the next one.
    @Test @Loop func recordsOfOneConnectionAreOfNoUseOnTheNext() async throws {
        let (a, b, relay) = try await pair(Self.always)
        var first: [Bytes] = []
        relay.tamper = { number, record in
            if number < 3 { first.append(record) }
            if number == 3 { return nil }
            // The second connection: its first record is replaced by that of the first one.
            return number == 4 ? first[0] : record
        }
        var call = a.begin(b, "echo", [1])
        #expect(await passing { call.kind == "reply" })
        call = a.begin(b, "echo", [2])
        #expect(await passing { relay.connections > 1 })
        #expect(await passing { b.transport.counters.refused == 1 })
        #expect(!b.seen.contains([66]) && b.seen.count <= 2)
        await stop(relay, a, b)
    }

    /// The relay of these tests is able to do what sealing prevents: on the loopback interface nothing is sealed.
    @Test @Loop func withoutSealingARelayCanInject() async throws {
        let (a, b, relay) = try await pair(RPCOptions(), isSealed: false)
        let evil = try Self.evil
        relay.tamper = { number, frame in number == 3 ? frame + evil : frame }
        let calls = (1...3).map { a.begin(b, "echo", [UInt8($0)]) }
        #expect(await passing { calls.allSatisfy { !$0.all.isEmpty } })
        #expect(await passing { b.seen.contains([66]) })
        await stop(relay, a, b)
    }

    // MARK: who seals

    struct Place: Sendable, CustomTestStringConvertible {
        let local: String
        let remote: String
        let seal: Seal
        let isSealed: Bool
        var testDescription: String { "\(local) to \(remote), \(seal)" }
    }

    @Test(arguments: [
        Place(local: "127.0.0.1", remote: "127.0.0.1", seal: .offLoopback, isSealed: false),
        Place(local: "127.0.0.1", remote: "127.0.0.1", seal: .always, isSealed: true),
        Place(local: "::1", remote: "::1", seal: .offLoopback, isSealed: false),
        Place(local: "::ffff:127.0.0.1", remote: "127.8.9.1", seal: .offLoopback, isSealed: false),
        Place(local: "127.0.0.1", remote: "10.0.0.1", seal: .offLoopback, isSealed: true),
        Place(local: "10.0.0.1", remote: "127.0.0.1", seal: .offLoopback, isSealed: true),
        Place(local: "10.0.0.1", remote: "10.0.0.1", seal: .offLoopback, isSealed: true),
        Place(local: "127.0.0.1", remote: "127.0.0.1.example.org", seal: .offLoopback, isSealed: true),
        Place(local: "127.0.0.1", remote: "128.0.0.1", seal: .offLoopback, isSealed: true),
        Place(local: "::1", remote: "::2", seal: .offLoopback, isSealed: true),
        Place(local: "", remote: "", seal: .offLoopback, isSealed: true),
    ])
    @Loop func theSocketsTwoAddressesDecide(_ place: Place) {
        var options = RPCOptions()
        options.seal = place.seal
        let info = ServerInfo(record: ServerRecord(id: "a", type: "t", port: 1), instance: "a1", state: .up)
        let context = RPCContext(
            network: UVNetwork(), clock: clock, random: RandomSource(), cluster: "c", secret: [], own: info,
            servers: ServerDirectory(), procedures: ProcedureTable())
        let core = ConnectionTable(context, options, Logger(label: "test"))
        let stream = PlacedStream(
            SocketAddress(host: place.local, port: 1), SocketAddress(host: place.remote, port: 2))
        #expect(core.mustSeal(stream) == place.isSealed)
        #expect(core.lacksSecret(for: stream) == (place.isSealed && place.seal == .offLoopback))
    }

    /// Hosts of their own are sealed without being told to; a frame in the open is refused.
    @Test @Loop func betweenHostsEverythingIsSealed() async throws {
        let network = MemoryNetwork(clock: clock)
        let a = TestServer("a", instance: "a1", options: RPCOptions(), host: "10.0.0.1")
        let b = TestServer("b", instance: "b1", options: RPCOptions(), host: "10.0.0.2")
        for server in [a, b] {
            try await server.start(TransportCluster(network: network.endpoint(server.info.id.rawValue), clock: clock))
        }
        for server in [a, b] { server.directory.add([a.info, b.info]) }
        let call = a.begin(b)
        #expect(await eventually { call.kind == "reply" })
        let address = SocketAddress(host: b.info.record.host, port: b.info.record.port)
        let stranger = try await network.endpoint("a").connect(to: address, within: .seconds(1))
        let listener = Collector()
        stranger.delegate = listener
        let hello = Hello(cluster: "c", server: "a", instance: "a1", callee: "b", expected: nil, nonce: "n")
        stranger.write(try RPCFrame.hello(hello.encoded()).encoded())
        #expect(await eventually { listener.isOver })
        #expect(String(decoding: listener.bytes, as: UTF8.self).contains("sealed connections only"))
    }

    /// Without a secret nothing leaves the machine, and nothing is taken from elsewhere.
    @Test @Loop func withoutASecretThereIsNoCallBetweenHosts() async throws {
        let network = MemoryNetwork(clock: clock)
        let a = TestServer("a", instance: "a1", options: RPCOptions(), host: "10.0.0.1")
        let b = TestServer("b", instance: "b1", options: RPCOptions(), host: "10.0.0.2")
        for server in [a, b] {
            let host = TransportCluster(network: network.endpoint(server.info.id.rawValue), clock: clock)
            try await server.start(host, secret: "")
        }
        for server in [a, b] { server.directory.add([a.info, b.info]) }
        let call = a.begin(b)
        #expect(await eventually { call.kind == "notSent" })
        let refused = await #expect(throws: PomeloError.self) { try await a.transport.proveSecret(to: b.info) }
        #expect(refused?.code == .configuration)
        #expect(b.transport.handshakes == 0 && b.seen.isEmpty)
    }
}

/// Keeps what a stream brings.
@Loop private final class Collector: ByteStreamDelegate {
    private(set) var bytes: Bytes = []
    private(set) var isOver = false

    func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
        for index in bytes.indices { self.bytes.append(bytes[index]) }
    }

    func streamDidDrain(_ stream: any ByteStream) {}
    func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) { isOver = true }
}

/// A stream between two addresses, and nothing more.
@Loop private final class PlacedStream: ByteStream {
    var delegate: (any ByteStreamDelegate)?
    let localAddress: SocketAddress
    let remoteAddress: SocketAddress
    let queuedBytes = 0

    init(_ local: SocketAddress, _ remote: SocketAddress) {
        localAddress = local
        remoteAddress = remote
    }

    func write(_ bytes: [UInt8]) {}
    func pauseReading() {}
    func resumeReading() {}
    func closeAfterFlush(within deadline: Duration) {}
    func close() {}
}
