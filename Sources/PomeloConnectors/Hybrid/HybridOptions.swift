// SPDX-License-Identifier: MIT
public import PomeloCore
public import PomeloJSON
import PomeloLoop
public import PomeloTLS

/// How the hybrid connector treats its clients; the defaults are safe on the open internet.
///
/// - Source: pomelo 2.2.7, lib/connectors/hybridconnector.js (`heartbeat`, `timeout`, `checkClient`,
///   `handshake`, `useDict`, `useProtobuf`); the limits are ours, the original has none.
public struct HybridOptions: Sendable {
    /// How often clients say that they live; nil turns heartbeats off.
    ///
    /// Clients are told whole seconds, rounded up.
    public var heartbeat: Duration?
    /// How long a client may keep silent; nil means twice the heartbeat.
    public var timeout: Duration?
    /// Whether any package counts as a sign of life; pomelo counts heartbeats only.
    public var resetOnData = false
    /// The origins of web pages that may open a WebSocket, `https://game.example` for instance, or `*` for any.
    ///
    /// With others than `*` a page of the same host and port may always, and so may programs, which name no origin.
    public var origins = ["*"]
    /// What clients may cost.
    public var limits = ClientLimits()
    /// What is shown to clients, where an entry of servers.json says `tls`: over TCP and WebSocket.
    public var tls: TLSServerOptions?
    /// Packages out of place (data before the acknowledgement, a second handshake) before the client is
    /// closed.
    public var maxIgnoredPackages = 16
    /// Whether bodies that clients have compressed, as zlib or gzip, are inflated: to `ClientLimits.maxMessageBytes`.
    ///
    /// Otherwise they are dropped, and requests answered 500. Pushes and answers never have compressed bodies, which
    /// most clients cannot read.
    ///
    /// - Source: pitaya; pomelo's messages have the bit for it, and pomelo itself hands such bodies on as they are.
    public var inflatesBodies = true
    /// Turns route compression on: the handler routes of the cluster and the extra ones, pushes for instance.
    public var dictionary: (handlers: [String], extra: [String])?
    /// Whether every message must be signed with the key that its client has shown in the handshake, as clients of
    /// pomelo do with `encrypt`; only for bodies of JSON.
    ///
    /// It shows that a message was not changed on its way by who had not changed the handshake too: it is no substitute
    /// for TLS.
    public var useCrypto = false
    /// Where the schemas of messages come from; nil means that all messages are JSON.
    ///
    /// Handlers and pushes have JSON in any case: it is translated for routes that have a schema.
    public var protobuf: ProtobufSource?
    /// How often the files of the schemas are looked at; nil means never.
    ///
    /// A change counts once it has stood still for one look, and for clients that come from then on. Those who are
    /// there keep the schemas that they were welcomed with.
    public var protobufCheck: Duration? = .seconds(5)
    /// The longest file of schemas, in bytes.
    public var maxProtobufFileBytes = 1024 * 1024
    /// Says which clients are served, by the type and version they name; others are answered 501.
    public var checkClient: (@Loop @Sendable (_ type: String?, _ version: String?) -> Bool)?
    /// Has the last word on a handshake: gets the client's whole message and returns the `user` part of the
    /// answer.
    ///
    /// A throw is answered 500, and so is a hook that takes longer than `ClientLimits.handshakeTimeout`.
    public var handshake: (@Loop @Sendable (JSON) async throws -> JSON?)?

    /// Everything at its default but the heartbeat; no dictionary, no schemas.
    public init(heartbeat: Duration?) { self.heartbeat = heartbeat }

    /// What the handshake answer says; nil without heartbeats.
    var heartbeatSeconds: Int? {
        guard let heartbeat, heartbeat > .zero else { return nil }
        let (seconds, rest) = heartbeat.components
        return Int(seconds) + (rest > 0 ? 1 : 0)
    }

    /// The silence after which a client counts as dead; nil without heartbeats.
    var heartbeatTimeout: Duration? {
        heartbeatSeconds.map { timeout ?? .seconds(2 * $0) }
    }
}

/// Where the schemas of messages come from, which pomelo-protobuf writes and reads by.
public enum ProtobufSource: Sendable {
    /// `serverProtos.json`, for what the server sends, and `clientProtos.json` of a configuration folder; one of them
    /// may be missing.
    case files(Configuration)
    /// What would stand in these files.
    case schemas(server: JSON, client: JSON)
}
