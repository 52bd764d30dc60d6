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
            try HybridProtocol(options, clock: context.clock, logger: logger)
        }
    }

    /// The version of the message schemas that clients who come now are given; nil without any, and while it does not
    /// serve.
    public var protobufVersion: String? { (service as? HybridProtocol)?.edition.schemas?.version }

    /// Takes other message schemas, or reads those of its options again, for clients that come from now on.
    ///
    /// Clients who are there keep theirs: what they send, and are sent, goes by the schemas they were welcomed with.
    /// Files that change are read without this, see `HybridOptions.protobufCheck`.
    ///
    /// - Throws: `PomeloError` `.configuration` naming file, route and field, and then the schemas stay as they were;
    ///   `.notRunning` while it does not serve.
    public func reloadProtobuf(_ source: ProtobufSource? = nil) throws {
        guard let service = service as? HybridProtocol else {
            throw PomeloError(.notRunning, "the connector does not serve yet")
        }
        guard let source = source ?? options.protobuf else {
            throw PomeloError(.configuration, "the connector has no message schemas in its options")
        }
        try service.reload(source)
    }
}
