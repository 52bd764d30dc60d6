// SPDX-License-Identifier: MIT
public import Logging
import PomeloCore
import PomeloLoop

/// Serves clients of MQTT 3.1 and 3.1.1 over TCP, and over WebSocket on the path `/mqtt` of the same port, with QoS 0,
/// 1 and 2 from them and 0 and 1 to them.
///
/// A push is a PUBLISH: with the topic, payload, QoS and retain flag that its body `{topic, payload, …}` names, else
/// on its route, with its body. The first byte tells a client from those of pomelo's packages, so the hybrid connector
/// can share the port; a codec of one's own whose messages may begin with the byte 16 cannot.
///
/// Sessions end with their connection: no CONNACK says that one is present, wills are not published, nothing is sent
/// again. A kick is the push `onKick`, then the connection is closed, for this protocol has no other farewell.
///
/// - Source: pomelo 2.2.7, lib/connectors/mqttconnector.js; OASIS MQTT 3.1.1.
public final class MQTTConnector: PortConnector {
    /// As given at creation.
    public let options: MQTTOptions

    /// Listens only once the application starts it, on the port of the type `mqtt`.
    public nonisolated init(
        _ options: MQTTOptions = MQTTOptions(), logger: Logger = Logger(label: "pomelo.connector")
    ) {
        let logger = logger.lineSafe
        self.options = options
        super.init(MQTTProtocol.type, options.limits, tls: options.tls, logger) { _, _ in try MQTTProtocol(options) }
    }

    /// What has happened to its clients since the start.
    @Loop public var clients: MQTTStatistics { (service as? MQTTProtocol)?.statistics ?? MQTTStatistics() }
}

/// What an MQTT connector has seen since it started.
public struct MQTTStatistics: Sendable, Equatable {
    /// Clients that were told that they are connected.
    public internal(set) var accepted = 0
    /// Clients that were told that they are not.
    public internal(set) var refused = 0
    /// Answers to messages that were no messages themselves, and so went nowhere.
    public internal(set) var swallowedAnswers = 0
    /// Messages sent with QoS 0 instead of 1, for too many were not acknowledged, or because they may be left out.
    public internal(set) var downgraded = 0
    /// Messages of QoS 2 that came again before they were released, and were not handed on again.
    public internal(set) var repeated = 0
    /// SUBSCRIBEs refused because too many were not answered.
    public internal(set) var refusedSubscribes = 0

    /// Nothing seen.
    public init() {}
}
