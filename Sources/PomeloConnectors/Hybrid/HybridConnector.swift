// SPDX-License-Identifier: MIT
public import Logging
import PomeloBytes
import PomeloCore

/// Serves pomelo clients over TCP and WebSocket on one port, told apart by their first bytes.
///
/// - Isolation: the loop; a connection costs two objects and a timer, no task.
/// - Source: pomelo 2.2.7, lib/connectors/hybridconnector.js.
public final class HybridConnector: PortConnector {
    /// As given at creation.
    public let options: HybridOptions

    /// Listens only once the application starts it, on the port of the type `hybrid`.
    public nonisolated init(
        _ options: HybridOptions = HybridOptions(), logger: Logger = Logger(label: "pomelo.connector")
    ) {
        let logger = logger.lineSafe
        self.options = options
        super.init(HybridProtocol.type, options.limits, tls: options.tls, logger) { _, context in
            do {
                return try HybridProtocol(options, clock: context.clock, logger: logger)
            } catch let error as WireError {
                throw PomeloError(.configuration, "the route dictionary is too large: \(error)", cause: error)
            }
        }
    }
}
