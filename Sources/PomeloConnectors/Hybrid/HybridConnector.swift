// SPDX-License-Identifier: MIT
public import Logging
public import PomeloCore
public import PomeloLoop

/// Serves pomelo clients over TCP and WebSocket on one port, told apart by their first bytes.
///
/// - Isolation: the loop; a connection costs an object and a timer, no task.
/// - Source: pomelo 2.2.7, lib/connectors/hybridconnector.js.
@Loop public final class HybridConnector: Connector {
    /// How long `stop` waits for the last bytes to clients.
    static let stopDeadline = Duration.seconds(1)

    /// As given at creation.
    public let options: HybridOptions
    private let logger: Logger
    /// Holds the application, so only while it serves.
    private var port: ClientPort?
    private var finalStatistics = ConnectorStatistics()

    /// Listens only once the application starts it.
    public nonisolated init(
        _ options: HybridOptions = HybridOptions(), logger: Logger = Logger(label: "pomelo.connector")
    ) {
        self.options = options
        self.logger = logger.lineSafe
    }

    /// The address clients reach, once started.
    public var localAddress: SocketAddress? { port?.localAddress }

    /// What has happened since the start.
    public var statistics: ConnectorStatistics { port?.statistics ?? finalStatistics }

    /// Begins to listen; returns when the port is bound.
    ///
    /// - Throws: `PomeloError` `.network` naming the port; `.configuration` when the dictionary has more than
    ///   65535 routes.
    public func start(_ host: any ConnectorHost, _ context: ConnectorContext) async throws {
        let port = ClientPort(
            options.limits, [try makeProtocol(context)], host: host, clock: context.clock, logger: logger,
            maxConnections: context.maxConnections)
        try await port.start(on: context.network, context.address)
        self.port = port
    }

    private func makeProtocol(_ context: ConnectorContext) throws -> HybridProtocol {
        do {
            return try HybridProtocol(options, clock: context.clock, logger: logger)
        } catch {
            throw PomeloError(.configuration, "the route dictionary is too large: \(error)", cause: error)
        }
    }

    /// Stops listening, says goodbye to every client and waits until they are gone, a second at most.
    public func stop() async {
        guard let port else { return }
        await port.stop(within: Self.stopDeadline)
        finalStatistics = port.statistics
        self.port = nil
    }
}
