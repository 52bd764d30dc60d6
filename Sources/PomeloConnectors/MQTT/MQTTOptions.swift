// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloCore
import PomeloLoop
public import PomeloTLS

/// How the MQTT connector treats its clients; the defaults are safe on the open internet.
///
/// - Source: pomelo 2.2.7, lib/connectors/mqttconnector.js (`publishRoute`, `subscribeRoute`); its `timeout` is
///   `limits.idleTimeout` here, for clients without a keep-alive.
public struct MQTTOptions: Sendable {
    /// Who is told what clients publish, as `{topic, payload, qos, retain, dup, messageId}`; `payloadBase64` instead of
    /// `payload` for bytes that are no UTF-8, `messageId` only with QoS 1 and 2.
    ///
    /// QoS 0 is a notify, all else a request. An answer `{topic, payload, qos, retain}` is published to the client, any
    /// other is left out. Without this route each topic is the route of a handler, and its payload the body, as JSON;
    /// what answers QoS 1 and 2 is published on the topic `answer/<message id>`.
    public var publishRoute: String?
    /// Who is asked what clients may subscribe to, by `{subscriptions: [{topic, qos}]}`, and answers with an array of
    /// granted QoS, or with one in `granted`.
    ///
    /// What it answers no QoS for, or at all, is refused. Without this route everything is granted: it is not
    /// subscriptions but channels that decide who is sent what.
    public var subscribeRoute: String?
    /// Of one client: messages sent with QoS 1 that it has not acknowledged, messages of QoS 2 that it has not
    /// released, and SUBSCRIBEs that are not answered, each.
    ///
    /// Beyond it messages go out with QoS 0, a client of QoS 2 is closed, and a SUBSCRIBE is refused.
    public var maxInFlight = 256
    /// Topics that one SUBSCRIBE or UNSUBSCRIBE may name; a client that names more is closed.
    public var maxTopics = 256
    /// The origins of web pages that may connect over WebSocket, `https://game.example` for instance, or `*` for any.
    ///
    /// With others than `*` a page of the same host and port may always, and so may programs, which name no origin.
    public var origins = ["*"]
    /// Says who is served; others are told that they are not authorized.
    ///
    /// A client's name says nothing about whose it is: two clients may have the same.
    public var checkClient: (@Loop @Sendable (_ clientID: String, _ user: String?, _ password: Bytes?) -> Bool)?
    /// What is shown to clients, where an entry of servers.json says `tls`.
    public var tls: TLSServerOptions?
    /// What clients may cost.
    public var limits = ClientLimits()

    /// Everything at its default.
    public init() {}
}

extension MQTTOptions: FileOptions {
    /// `mqtt.json`.
    public static var fileName: String { "mqtt" }

    /// Reads the keys, all of them optional.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file and the key.
    public mutating func read(_ reader: inout OptionReader) throws {
        publishRoute = try reader.string("publishRoute") ?? publishRoute
        subscribeRoute = try reader.string("subscribeRoute") ?? subscribeRoute
        maxInFlight = try reader.int("maxInFlight", in: 1...1 << 14) ?? maxInFlight
        maxTopics = try reader.int("maxTopics", in: 1...1 << 16) ?? maxTopics
        let listed = try reader.strings("origins")
        origins = listed.isEmpty ? origins : listed
        tls = try TLSServerOptions.read(&reader) ?? tls
        try limits.read(&reader)
    }
}
