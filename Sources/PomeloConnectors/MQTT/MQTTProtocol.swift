// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// What the clients of one MQTT connector share: its options, its routes, and how a push is written for them.
@Loop final class MQTTProtocol: PortProtocol {
    nonisolated static let type = "mqtt"
    /// What answers a request without `publishRoute`, with the message's id behind it.
    nonisolated static let answerTopic = "answer/"
    nonisolated static let kickTopic = "onKick"

    let options: MQTTOptions
    let publishRoute: Route?
    let subscribeRoute: Route?
    var statistics = MQTTStatistics()

    let limits: SharedLimits
    let servesBytes = false
    /// A CONNECT's; pomelo's packages begin with 1 to 5.
    let firstByte: UInt8? = 0x10
    let path = "/mqtt"
    /// Names of the protocol over WebSocket: of 3.1.1, and of 3.1, as brokers have it.
    private static let subprotocols = ["mqtt", "mqttv3.1"]
    private let origins: OriginRules
    private let frames = PushFramings()

    /// - Throws: `PomeloError` `.configuration` for a route that has not three parts, and an origin that is none.
    init(_ options: MQTTOptions) throws(PomeloError) {
        self.options = options
        origins = try OriginRules(options.origins, place: "origins of mqtt.json, or of the program's MQTTOptions")
        limits = SharedLimits(options.limits)
        publishRoute = try Self.route(options.publishRoute, "publishRoute")
        subscribeRoute = try Self.route(options.subscribeRoute, "subscribeRoute")
    }

    private static func route(_ text: String?, _ key: String) throws(PomeloError) -> Route? {
        guard let text else { return nil }
        let route = Route(text)
        guard route.isComplete, !route.serverType.rawValue.isEmpty else {
            throw PomeloError(
                .configuration,
                "\(key) of mqtt.json, or of the program's MQTTOptions: \(text.forLog) must have three parts: "
                    + "serverType.handler.method")
        }
        return route
    }

    /// The push as this connector's clients are sent it; made once.
    func form(of push: PushMessage, _ unsendable: LimitedLog) -> MQTTForm {
        push.form(for: ObjectIdentifier(self)) {
            let publish = MQTTJSON.publish(in: push.body) ?? MQTTPublish(push.route, push.body)
            return MQTTForm(publish) { error in
                unsendable.write([
                    "pomelo.message": "push", "pomelo.route": "\(push.route.forLog)", "error": "\(error)",
                ])
            }
        }
    }

    func stop() {}

    func serveBytes(of connection: StreamConnection) -> (any StreamUser)? { MQTTClient(self, connection) }

    // MARK: WebSocket

    /// `/mqtt`, and what is below it.
    func takes(_ target: String) -> Bool {
        let rest = target.utf8.dropFirst(path.utf8.count).first
        return target.utf8.starts(with: path.utf8) && (rest == nil || "/?".utf8.contains(rest ?? 0))
    }

    func refusal(of request: UpgradeRequest) -> HTTPResponse? {
        if !origins.allow(request) { return HTTPResponse(status: 403) }
        return subprotocol(of: request) == nil ? HTTPResponse(status: 400) : nil
    }

    /// Nil for a client that does not say that it speaks MQTT, which all must.
    func subprotocol(of request: UpgradeRequest) -> String? {
        request.subprotocols.first(where: Self.subprotocols.contains)
    }

    func serveWebSocket(of connection: StreamConnection, _ request: UpgradeRequest) -> (any StreamUser)? {
        MQTTClient(self, connection)
    }

    /// A push of QoS 0 as it is sent to all whose connection is the same.
    func frame(_ plain: Bytes, of push: PushMessage, for connection: StreamConnection) -> Bytes {
        guard connection.kind == .webSocket else { return plain }
        return push.encoded(for: ObjectIdentifier(frames[connection.agreed])) { connection.framed(plain) }
    }
}

/// A message in the forms in which it is sent; none when it has none.
@Loop final class MQTTForm {
    /// With QoS 0, the same bytes for all.
    private(set) var plain: Bytes?
    /// With QoS 1: each client has an id of its own.
    private var numbered: (bytes: Bytes, idOffset: Int)?

    init(_ publish: MQTTPublish, _ failed: (WireError) -> Void) {
        var publish = publish
        do throws(WireError) {
            if publish.qos > 0 {
                publish.qos = 1
                publish.id = 1
                numbered = try publish.form()
            }
            publish.qos = 0
            publish.id = 0
            plain = try publish.encoded()
        } catch {
            failed(error)
        }
    }

    var wantsAcknowledgement: Bool { numbered != nil }

    /// With QoS 1 and an id; nil when it is wanted with QoS 0.
    func bytes(id: UInt16) -> Bytes? {
        guard let numbered else { return nil }
        var bytes = numbered.bytes
        bytes[numbered.idOffset] = UInt8(id >> 8)
        bytes[numbered.idOffset + 1] = UInt8(truncatingIfNeeded: id)
        return bytes
    }
}
