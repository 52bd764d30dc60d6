// SPDX-License-Identifier: MIT
public import Logging
import PomeloCore
import PomeloLoop
public import PomeloWire

/// Serves clients of socket.io, over WebSocket and polling: Engine.IO 4 and 3, and socket.io 0.9.
///
/// Its paths begin with `/socket.io/`, so it can share a port with the hybrid connector.
///
/// - Source: pomelo 2.2.7, lib/connectors/sioconnector.js; the protocols of Engine.IO 3 and 4 and of socket.io 0.9.
public final class SocketIOConnector: PortConnector {
    /// As given at creation.
    public let options: SocketIOOptions

    /// Listens only once the application starts it, on the port of the type `socketio`.
    public nonisolated init(
        _ options: SocketIOOptions = SocketIOOptions(), logger: Logger = Logger(label: "pomelo.connector")
    ) {
        let logger = logger.lineSafe
        self.options = options
        super.init(SocketIOProtocol.type, options.limits, tls: options.tls, logger) { host, context in
            try SocketIOProtocol(options, host: host, context, logger)
        }
    }

    /// What has happened to sessions of socket.io since the start.
    @Loop public var sessions: SocketIOStatistics { (service as? SocketIOProtocol)?.statistics ?? SocketIOStatistics() }
}

/// What a socket.io connector has seen since it started.
public struct SocketIOStatistics: Sendable, Equatable {
    /// Sessions that are open.
    public internal(set) var open = 0
    /// Sessions among them without a WebSocket.
    public internal(set) var polling = 0
    /// What waits for polls, in bytes.
    public internal(set) var pollingBytes = 0
    /// Sessions begun.
    public internal(set) var begun = 0
    /// Requests refused, by reason.
    public internal(set) var refused: [EngineIOError: Int] = [:]
    /// Packets that were well formed and nothing for pomelo.
    public internal(set) var foreignPackets = 0
    /// Sessions ended, by reason.
    public internal(set) var ended: [EngineIOSession.EndReason: Int] = [:]

    /// Nothing seen.
    public init() {}
}
