// SPDX-License-Identifier: MIT
public import Logging
public import PomeloCore
public import PomeloLoop

/// A custom connector as an application has it: `app.connector = ConnectorAdapter(…)`.
///
/// - Isolation: the loop; a client costs an object, and a task only while a codec waits.
/// - Source: pomelo's "custom connector": the connector is given as what makes it of host, client port and options, or
///   ready made; encoding and decoding of the options stand above the connector's own.
@Loop public final class ConnectorAdapter<Custom: CustomConnector>: Connector {
    /// What the connector's sockets carry.
    public typealias Buffer = Custom.Socket.Buffer
    /// Makes the connector of the host and client port in `servers.json` and the options.
    public typealias Factory = @Loop (_ host: String, _ clientPort: Int, CustomOptions<Buffer>) throws -> Custom

    /// How long `stop` waits for a codec, then for the last bytes to clients, then for what it does with force.
    nonisolated static var stopDeadline: Duration { .seconds(1) }

    /// What `clients` of servers.json, errors and log lines call it.
    public nonisolated let type: String
    /// Whether it is made of a host and a client port of servers.json.
    public nonisolated let takesPort: Bool
    /// As given at creation.
    public let options: CustomOptions<Buffer>
    private let make: Factory
    private let logger: Logger
    /// Holds the application, so only while it serves.
    private var clients: CustomClients<Custom.Socket>?
    private var finalStatistics = CustomStatistics()
    /// From the start to the stop.
    public private(set) var connector: Custom?

    /// A connector that is made at the start; it is of the type that its Swift type is called, unless that is said.
    public nonisolated convenience init(
        _ options: CustomOptions<Buffer> = CustomOptions(), type: String? = nil,
        logger: Logger = Logger(label: "pomelo.connector"), _ make: @escaping Factory
    ) {
        self.init(options, type, takesPort: true, logger, make)
    }

    private nonisolated init(
        _ options: CustomOptions<Buffer>, _ type: String?, takesPort: Bool, _ logger: Logger, _ make: @escaping Factory
    ) {
        self.type = type ?? String(describing: Custom.self)
        self.takesPort = takesPort
        self.options = options
        self.logger = logger.lineSafe
        self.make = make
    }

    /// A connector that is there; its address is its own affair, and it takes no port of servers.json.
    public convenience init(
        _ connector: Custom, _ options: CustomOptions<Buffer> = CustomOptions(), type: String? = nil,
        logger: Logger = Logger(label: "pomelo.connector")
    ) {
        self.init(options, type, takesPort: false, logger) { _, _, _ in connector }
    }

    /// Where clients reach it, if the connector has a host and port.
    public var localAddress: SocketAddress? { connector?.localAddress }

    /// What has happened since the start.
    public var statistics: CustomStatistics { clients?.statistics ?? finalStatistics }

    /// Makes the connector if need be, and starts it; returns when clients can connect.
    ///
    /// - Throws: `PomeloError` `.configuration`, naming the connector, when neither options nor connector encode or
    ///   decode; `.network` when it cannot listen; what else making or starting it throws.
    public func start(_ host: any ConnectorHost, _ context: ConnectorContext) async throws {
        let connector = try make(context.address.host, context.address.port, options)
        guard let decode = options.codec.decode ?? connector.codec.decode else { throw missing("decodes") }
        guard let encode = options.codec.encode ?? connector.codec.encode else { throw missing("encodes") }
        let clients = CustomClients<Custom.Socket>(options, decode, encode, host, context, type, logger)
        clients.onRoom = { hasRoom in if hasRoom { connector.resumeAccepting() } else { connector.pauseAccepting() } }
        do {
            try await connector.start(context) { clients.accept($0) }
        } catch let error as NetworkError {
            throw PomeloError(.network, "clients cannot be served by \(type): \(error)", cause: error)
        }
        clients.begin()
        self.connector = connector
        self.clients = clients
    }

    private func missing(_ what: String) -> PomeloError {
        PomeloError(
            .configuration,
            "nobody \(what) for the connector \(type): neither its codec nor that of its options")
    }

    /// Ends every session, then stops the connector; what it does not do in a second is done with force.
    public func stop() async {
        guard let connector, let clients else { return }
        if await !ended(clients.clock, { await clients.stop() }) { clients.cutOff() }
        if await !ended(clients.clock, { await connector.stop(force: false) }) {
            logger.warning("a connector does not stop", metadata: ["pomelo.connector": "\(type)"])
            _ = await ended(clients.clock) { await connector.stop(force: true) }
        }
        finalStatistics = clients.statistics
        self.clients = nil
        self.connector = nil
    }

    private func ended(_ clock: any LoopClock, _ body: @escaping @Loop @Sendable () async -> Void) async -> Bool {
        let end = FirstOutcome<Bool>()
        let task = Loop.spawn {
            await body()
            end.end(with: true)
        }
        let timer = clock.schedule(after: Self.stopDeadline) {
            end.end(with: false)
            task.cancel()
        }
        defer { clock.cancel(timer) }
        return await end.wait()
    }
}
