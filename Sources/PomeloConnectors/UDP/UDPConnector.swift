// SPDX-License-Identifier: MIT
public import Logging
import PomeloBytes
public import PomeloCore
public import PomeloLoop

/// Serves pomelo clients that send datagrams: the same packages, handshake and messages as `HybridConnector`.
///
/// A datagram holds one or several whole packages; a client is an address and a port. Nothing is repeated or put in
/// order: a request that the network brings twice is handled twice, an answer that it loses is lost. A client whose
/// port changes is another client. It listens on no port of TCP, as the original does beside.
///
/// Who has not acknowledged the answer to its handshake is no client: it has no session, is forgotten after
/// `UDPOptions.handshakeTimeout`, and is never sent more bytes than it has sent. What an acknowledgement is worth is
/// said at `UDPOptions.requiresProof`.
///
/// - Isolation: the loop; a client costs two objects and a timer, no task.
/// - Source: pomelo 2.2.7, lib/connectors/udpconnector.js and lib/connectors/udpsocket.js.
@Loop public final class UDPConnector: Connector {
    /// How long `stop` waits until the kernel has taken what clients are told.
    private static let stopDeadline = Duration.seconds(1)

    /// `udp`.
    public nonisolated var type: String { UDPConnection.type }
    /// True: the number of its port says nothing about the ports of others.
    public nonisolated var takesDatagrams: Bool { true }
    /// As given at creation.
    public let options: UDPOptions
    private let logger: Logger
    /// Holds the application, so only while it serves.
    private var port: UDPPort?
    private var final = (ConnectorStatistics(), UDPStatistics())

    /// Listens only once the application starts it, on the port of the type `udp`.
    public nonisolated init(
        _ options: UDPOptions = UDPOptions(), logger: Logger = Logger(label: "pomelo.connector")
    ) {
        self.options = options
        self.logger = logger.lineSafe
    }

    /// The address clients reach, once started.
    public var localAddress: SocketAddress? { port?.localAddress }
    /// What has happened to its clients since the start.
    public var statistics: ConnectorStatistics { port?.statistics ?? final.0 }
    /// What has become of its datagrams since the start.
    public var datagrams: UDPStatistics { port?.datagramStatistics ?? final.1 }

    /// Begins to receive; returns when the port is bound.
    ///
    /// - Throws: `PomeloError` `.network` naming the port; `.configuration` for options that cannot be.
    public func start(_ host: any ConnectorHost, _ context: ConnectorContext) async throws {
        let port = try UDPPort(options, host, context, logger)
        try await port.start(on: context.network, context.address)
        self.port = port
    }

    /// Tells every client, waits until that has left, a second at most, and frees the port.
    public func stop() async {
        guard let port else { return }
        await port.stop(within: Self.stopDeadline)
        final = (port.statistics, port.datagramStatistics)
        self.port = nil
    }
}
