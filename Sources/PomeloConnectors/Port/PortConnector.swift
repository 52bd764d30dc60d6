// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
public import PomeloCore
public import PomeloLoop
import PomeloTLS

/// A connector that listens on a port, alone or together with others of its kind.
///
/// Those of one port are told apart by the first bytes of a connection and the path of its request: the longest that
/// it begins with counts, and what is no HTTP is for the shortest, a hybrid connector's, which is empty, unless its
/// first byte is that of an MQTT client. Each keeps its limits, but for `maxHeldBytes` and what concerns connections
/// whose client is not known yet: there those of the first in `Application.connectors` count.
@Loop public class PortConnector: Connector {
    typealias MakeProtocol = @Loop @Sendable (any ConnectorHost, ConnectorContext) throws -> any PortProtocol

    /// How long `stop` waits for the last bytes to clients.
    private static let stopDeadline = Duration.seconds(1)

    /// What `clients` of servers.json calls it.
    public nonisolated let type: String
    private let limits: ClientLimits
    private let tls: TLSServerOptions?
    private let logger: Logger
    private let makeProtocol: MakeProtocol
    /// Holds the application, so only while it serves.
    private var port: ClientPort?
    /// What it serves clients by, while it does.
    private(set) var service: (any PortProtocol)?
    private var isListener = false
    private var finalStatistics = ConnectorStatistics()

    nonisolated init(
        _ type: String, _ limits: ClientLimits, tls: TLSServerOptions? = nil, _ logger: Logger,
        _ makeProtocol: @escaping MakeProtocol
    ) {
        self.type = type
        self.limits = limits
        self.tls = tls
        self.logger = logger
        self.makeProtocol = makeProtocol
    }

    /// The address clients reach, once started.
    public var localAddress: SocketAddress? { port?.localAddress }

    /// True.
    public var speaksTLS: Bool { true }

    /// What has happened on its port since the start.
    public var statistics: ConnectorStatistics { port?.statistics ?? finalStatistics }

    /// Begins to listen; returns when the port is bound.
    ///
    /// - Throws: `PomeloError` `.network` naming the port; `.configuration` for options that cannot be.
    public func start(_ host: any ConnectorHost, _ context: ConnectorContext) async throws {
        try await start(host, context, with: [])
    }

    /// Begins to listen for itself and others.
    ///
    /// - Throws: as `start`; `PomeloError` `.configuration` for a connector of another kind, and for two of one path.
    public func start(_ host: any ConnectorHost, _ context: ConnectorContext, with others: [any Connector]) async throws
    {
        let all = [self] + others.compactMap { $0 as? PortConnector }
        guard all.count == others.count + 1 else {
            let names = ([self] + others).map(\.type).joined(separator: ", ")
            throw PomeloError(.configuration, "\(names) cannot share the port \(context.address.port)")
        }
        let services = try all.map { try $0.makeProtocol(host, context) }
        for (place, service) in services.enumerated() {
            let path = Text(service.path)
            guard let twin = services[..<place].firstIndex(where: { Text($0.path) == path }) else { continue }
            throw PomeloError(
                .configuration,
                "\(all[twin].type) and \(all[place].type) both take the path \"\(service.path)\" of port "
                    + "\(context.address.port)")
        }
        if let other = all.dropFirst().first(where: { !limits.access.cover($0.limits.access) }) {
            throw PomeloError(
                .configuration,
                "blacklist, trustedProxies and proxyProtocol are those of the whole port \(context.address.port): "
                    + "\(other.type) is given others than \(type), which counts")
        }
        let tls = try Self.tls(of: all, context)
        // A path is asked for before what it begins with, which the empty one is of all.
        let door = try Doorkeeper(limits.access, context.blacklist)
        let port = ClientPort(
            limits, services.sorted { $0.path.utf8.count > $1.path.utf8.count }, host: host, clock: context.clock,
            logger: logger, room: context.room, tls: tls, door: door)
        try await port.start(on: context.network, context.address)
        isListener = true
        for (one, service) in zip(all, services) {
            one.port = port
            one.service = service
        }
    }

    /// What one port shows to all its clients; nil for one that is not encrypted.
    ///
    /// - Throws: `PomeloError` `.configuration` when what is said of it does not fit together, or a file is of no use.
    private static func tls(of connectors: [PortConnector], _ context: ConnectorContext) throws -> TLSServer? {
        let given = connectors.compactMap(\.tls)
        let port = "the port \(context.address.port) of \(connectors.map(\.type).joined(separator: ", "))"
        guard let options = given.first else {
            guard context.tls != true else {
                throw PomeloError(.configuration, "\(port) is to speak TLS, and has no certificate: give it \"tls\"")
            }
            return nil
        }
        guard let isWanted = context.tls else {
            throw PomeloError(
                .configuration,
                "\(port) has a certificate: say in its entry of clients whether \"tls\" is true or false")
        }
        guard isWanted else { return nil }
        guard given.allSatisfy({ $0 == options }) else {
            throw PomeloError(
                .configuration, "\(port) has one certificate for all, and its connectors are given \"tls\" that differs"
            )
        }
        do throws(TLSError) {
            return try TLSServer(options, clock: context.clock)
        } catch {
            throw PomeloError(.configuration, "\(port): TLS: \(error)", cause: error)
        }
    }

    /// Stops listening, says goodbye to every client and waits until they are gone, a second at most, and before it
    /// another for a codec that still has messages.
    ///
    /// Clients of a port that another listens on are closed when that one stops.
    public func stop() async {
        guard let port else { return }
        if isListener { await port.stop(within: Self.stopDeadline) }
        finalStatistics = port.statistics
        isListener = false
        self.port = nil
        service = nil
    }
}
