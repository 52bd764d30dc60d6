// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

@testable import PomeloRPC

/// One suite holds the transport over TCP, and the one in memory that stands in for it, to the same rules.
@Suite struct TransportRuleTests {
    @Test(arguments: TransportSuite.Case.allCases) @Loop func overTCP(_ rule: TransportSuite.Case) async throws {
        let world = SocketWorld(handshakeTimeout: rule == .proofSilent ? .seconds(2) : .seconds(30))
        try await TransportSuite(world).run(rule)
        await world.stop()
    }

    @Test(arguments: TransportSuite.Case.allCases) @Loop func inMemory(_ rule: TransportSuite.Case) async throws {
        try await TransportSuite(LoopbackWorld()).run(rule)
    }
}

/// Real sockets in real time.
@Loop private final class SocketWorld: TransportWorld {
    let network: any Network = UVNetwork()
    let clock: any LoopClock = SystemClock.shared
    private var transports: [TCPTransport] = []
    private var listeners: [any StreamListener] = []
    private var streams: [any ByteStream] = []
    /// All rules at once, among simulations that may have the loop for seconds, take longer than a network.
    private let handshakeTimeout: Duration

    init(handshakeTimeout: Duration) { self.handshakeTimeout = handshakeTimeout }

    func makeTransport(of server: ServerID) -> any RPCTransport {
        var options = RPCOptions()
        options.handshakeTimeout = handshakeTimeout
        let transport = TCPTransport(options: options, logger: quiet)
        transports.append(transport)
        return transport
    }

    func silent(_ server: ServerID) async throws -> ServerRecord {
        let listener = try await network.listen(on: SocketAddress(host: "127.0.0.1", port: 0)) { [weak self] in
            self?.streams.append($0)
        }
        listeners.append(listener)
        return ServerRecord(id: server, type: "test", port: listener.localAddress.port)
    }

    func drive(_ body: @escaping @Loop @Sendable () async throws -> Void) async throws { try await body() }

    func stop() async {
        for transport in transports { await transport.stop(within: .zero) }
        for listener in listeners { listener.close() }
        for stream in streams { stream.close() }
    }
}

/// A network in memory, on time that moves when all else rests.
@Loop private final class LoopbackWorld: TransportWorld {
    private let manual = ManualClock()
    private lazy var loopback = LoopbackNetwork(clock: manual)
    private var frozen: [LoopbackTransport] = []
    var network: any Network { MemoryNetwork(clock: manual).endpoint("nowhere") }
    var clock: any LoopClock { manual }

    func makeTransport(of server: ServerID) -> any RPCTransport { loopback.transport(of: server) }

    func silent(_ server: ServerID) async throws -> ServerRecord {
        let transport = loopback.transport(of: server)
        var record = ServerRecord(id: server, type: "test", port: 0)
        try await transport.start(
            RPCContext(
                network: network, clock: manual, random: RandomSource(seed: 1), cluster: "c",
                secret: Bytes("secret".utf8), own: ServerInfo(record: record, instance: "c1", state: .up),
                servers: ServerDirectory(), procedures: ProcedureTable()))
        frozen.append(transport)
        loopback.freeze(server)
        record.port = transport.localAddress?.port ?? 0
        return record
    }

    func drive(_ body: @escaping @Loop @Sendable () async throws -> Void) async throws {
        var result: Result<Void, any Error>?
        Loop.spawn {
            do {
                try await body()
                result = .success(())
            } catch {
                result = .failure(error)
            }
        }
        for _ in 0..<3000 where result == nil {
            await settle()
            if result == nil { manual.advance(by: .milliseconds(10)) }
        }
        try #require(result).get()
    }
}

/// What a transport writes about servers that come and go.
@Suite struct DoubtLogTests {
    @Test @Loop func aStormOfDoubtsIsToldAsANumber() async throws {
        let clock = ManualClock()
        let lines = Lines()
        let core = ConnectionTable(
            RPCContext(
                network: TestNetwork(), clock: clock, random: RandomSource(seed: 1), cluster: "c", secret: [],
                own: ServerInfo(record: ServerRecord(id: "a", type: "t", port: 1), instance: "i", state: .up),
                servers: ServerDirectory(), procedures: ProcedureTable()),
            RPCOptions(), Logger(label: "test", factory: { _ in LineHandler(lines: lines) }))
        for number in 0..<500 { core.silent.write(["pomelo.server": "s\(number)"]) }
        #expect(lines.all.count == 20)
        clock.advance(by: .seconds(10))
        #expect(lines.all.count == 21)
        #expect(lines.all.last?.contains("480") == true)
        core.answering.write(["pomelo.server": "s1"])
        #expect(lines.all.last == "a server answers again pomelo.server=s1")
        clock.advance(by: .seconds(60))
        #expect(lines.all.count == 22)
    }
}

@Loop private final class Lines {
    var all: [String] = []
}

private struct LineHandler: LogHandler {
    let lines: Lines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.debug

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let fields = (event.metadata ?? [:]).map { " \($0.key)=\($0.value)" }.sorted().joined()
        Loop.assumeIsolated { lines.all.append("\(event.message)\(fields)") }
    }
}
