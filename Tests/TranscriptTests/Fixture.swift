// SPDX-License-Identifier: MIT
import Logging
import Pomelo
import PomeloGlobalChannel
import PomeloStatus
import PomeloTesting
import PomeloUV

/// The application of the recordings: one connector and one chat server, on sockets of the kernel.
///
/// Time in it is the recording's: it passes only between recorded lines. Calls between its two servers take
/// real time.
@Loop final class Fixture {
    let connector: Application
    let chat: Application
    let network = UVNetwork()
    private let hybrid: HybridConnector
    private let clock = ManualClock()
    private let began: UInt64
    private var pulse: TestClient?

    /// Starts both servers as the recording's were configured, and makes them known to each other.
    static func start(for transcript: Transcript) async throws -> Fixture {
        let fixture = try Fixture(transcript)
        try await fixture.chat.start()
        try await fixture.connector.start()
        for application in [fixture.chat, fixture.connector] {
            application.servers.add([fixture.chat, fixture.connector].map(info))
        }
        fixture.pulse = try await fixture.client()
        return fixture
    }

    private init(_ transcript: Transcript) throws {
        began = clock.now
        let online = MemoryStatusStore.Entries()
        let records = [
            ServerRecord(
                id: "connector-server-1", type: "connector", port: 0, clientPort: 0, isFrontend: true),
            ServerRecord(id: "chat-server-1", type: "chat", port: 0),
        ]
        let configuration = Configuration(servers: records)
        let clock = clock
        let network = network
        let applications = try records.enumerated().map { index, record in
            let world = World(
                clock: clock, random: RandomSource(seed: UInt64(index)), network: network,
                transport: RealTimeTransport())
            let application = try Application(configuration, id: record.id, world: world)
            application.secret = Bytes("recorded".utf8)
            try application.use(GlobalChannel(store: MemoryChannelStore()))
            try application.use(Status(store: MemoryStatusStore(online)))
            return application
        }
        connector = applications[0]
        chat = applications[1]
        // This recording was made in a process that had taken one note before.
        let notes = Notes(transcript.scenario == "msgtype_from_client" ? 1 : 0)
        try connector.handle(EntryHandler(app: connector, notes: notes))
        try chat.handle(ChatHandler(app: chat))
        let routes = connector.servedRoutes + chat.servedRoutes
        hybrid = HybridConnector(try Self.options(transcript.config, routes), logger: quiet)
        connector.connector = hybrid
    }

    private static func info(of application: Application) -> ServerInfo {
        var record = application.record
        record.port = (application.transport as? RealTimeTransport)?.tcp.localAddress?.port ?? 0
        return ServerInfo(record: record, instance: application.instance, state: .up)
    }

    private static func options(_ config: String, _ routes: [String]) throws -> HybridOptions {
        var options = HybridOptions()
        // The original knows no limit below the 16 MiB of a package.
        options.limits.maxMessageBytes = 2 << 20
        switch config {
        case "plain": break
        case "hb": options.heartbeat = .seconds(3)
        case "dict":
            options.heartbeat = .seconds(3)
            options.dictionary = (routes, ["onMessage", "onAdd", "onProto"])
        case "dictproto":
            options.heartbeat = .seconds(3)
            options.dictionary = (routes, ["onMessage", "onAdd", "onProto"])
            options.protobuf = .schemas(server: RecordedSchemas.server, client: RecordedSchemas.client)
        case "hsuser":
            options.checkClient = { _, version in version != "0.0.0" }
            options.handshake = { message in
                if message["user"]?["reject"] != nil { throw Fault(500) }
                return nil
            }
        default: throw Unknown(config: config)
        }
        return options
    }

    struct Unknown: Error { let config: String }

    // MARK: time

    /// Milliseconds of the recording that have passed.
    var elapsed: Int { Int((clock.now - began) / 1_000_000) }

    /// Lets time pass up to a moment of the recording, after all that was sent has had its effect.
    func pass(to milliseconds: Int) async throws {
        let instant = began + UInt64(milliseconds) * 1_000_000
        guard instant > clock.now else { return }
        try await settle()
        clock.advance(to: instant)
    }

    /// Returns when the servers have read what was sent before, and answered what needs no waiting.
    ///
    /// A request of another client goes the whole way, client to connector to chat and back. What the kernel
    /// took earlier is read earlier.
    func settle() async throws {
        guard let pulse, pulse.end == nil else { return }
        _ = try await pulse.request("chat.chatHandler.echo")
    }

    // MARK: clients

    var address: SocketAddress { hybrid.localAddress ?? SocketAddress(host: "not started", port: 0) }

    /// A well-behaved client, past its handshake.
    func client() async throws -> TestClient {
        let client = try await TestClient.connect(to: address, over: network)
        try await client.handshake()
        return client
    }

    /// Whether a new client is served, as the recordings note for the original.
    func serves() async throws -> Bool {
        let client = try await client()
        let reply = try await client.request("connector.entryHandler.echo", ["alive": 1])
        try await client.leave()
        return reply == ["alive": 1, "__route__": "connector.entryHandler.echo"]
    }

    func stop() async {
        pulse?.close()
        await connector.stop()
        await chat.stop()
        // Handlers that never answer wait for a time that comes now.
        clock.advance(by: .seconds(7200))
    }
}

/// Nothing is written for what a recording provokes.
private var quiet: Logger { Logger(label: "transcript", factory: { _ in SwiftLogNoOpLogHandler() }) }

/// Calls over TCP in real time, for an application whose own time stands still.
@Loop private final class RealTimeTransport: RPCTransport {
    let tcp = TCPTransport(logger: quiet)

    func start(_ context: RPCContext) async throws {
        try await tcp.start(
            RPCContext(
                network: context.network, clock: SystemClock.shared, random: context.random,
                cluster: context.cluster, secret: context.secret, own: context.own, servers: context.servers,
                procedures: context.procedures))
    }

    func call(
        _ server: ServerID, _ procedure: Procedure, _ payload: Bytes, within deadline: Duration
    ) async throws(RPCError) -> Bytes {
        try await tcp.call(server, procedure, payload, within: deadline)
    }

    func ping(_ server: ServerInfo, within deadline: Duration) async -> Bool {
        await tcp.ping(server, within: deadline)
    }

    func proveSecret(to server: ServerInfo) async throws { try await tcp.proveSecret(to: server) }

    func stop(within deadline: Duration) async { await tcp.stop(within: deadline) }
}
