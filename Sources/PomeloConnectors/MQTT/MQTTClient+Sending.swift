// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloWire

/// What the core may ask of a client's connection.
extension MQTTClient: RatedClient {
    func noteOverRate() { port.statistics.overRate += 1 }
    func endOverRate() { connection.fail(.overRate) }

    var connectorType: String? { MQTTProtocol.type }
    var remoteAddress: SocketAddress { connection.stream.remoteAddress }
    var queuedBytes: Int { connection.stream.queuedBytes }
    var hasHungUp: Bool { connection.stream.peerHasHungUp }

    func respond(id: UInt32, body: Bytes) {
        guard phase == .working else { return }
        if id & Self.subscribeBit != 0 {
            let id = UInt16(truncatingIfNeeded: id)
            guard let asked = ledger.answer(id) else { return }
            return send(.subscribeAck(id, MQTTJSON.granted(in: body, of: asked)))
        }
        let publish: MQTTPublish
        if shared.publishRoute == nil {
            publish = MQTTPublish("\(MQTTProtocol.answerTopic)\(id)", body)
        } else if let named = MQTTJSON.publish(in: body) {
            publish = named
        } else {
            shared.statistics.swallowedAnswers += 1
            return
        }
        let form = MQTTForm(publish) { port.unsendable.write(["pomelo.message": "response", "error": "\($0)"]) }
        guard let bytes = numbered(form, mayBeLeftOut: false) ?? form.plain else { return }
        _ = connection.send(message: bytes)
    }

    @discardableResult
    func push(_ message: PushMessage) -> Bool {
        guard phase == .working else { return false }
        let form = shared.form(of: message, port.unsendable)
        let mayBeLeftOut = shared.limits.slowReaders != .disconnect
        let bytes: Bytes
        if let numbered = numbered(form, mayBeLeftOut: mayBeLeftOut) {
            bytes = connection.framed(numbered)
        } else if let plain = form.plain {
            bytes = shared.frame(plain, of: message, for: connection)
        } else {
            return false
        }
        return connection.send(push: bytes, route: message.route)
    }

    /// With QoS 1 if that is wanted and can be promised.
    private func numbered(_ form: MQTTForm, mayBeLeftOut: Bool) -> Bytes? {
        guard form.wantsAcknowledgement else { return nil }
        if !mayBeLeftOut, let id = ledger.send(limit: options.maxInFlight) { return form.bytes(id: id) }
        shared.statistics.downgraded += 1
        return nil
    }

    /// Sends a packet of the protocol's own.
    func send(_ packet: MQTTPacket) {
        guard !connection.finished else { return }
        do throws(WireError) {
            // Who is not known yet is sent nothing compressed.
            _ = connection.send(message: try packet.encoded(), compressed: phase == .working)
        } catch {
            port.unsendable.write(["pomelo.message": "packet", "error": "\(error)"])
        }
    }

    func close(kick reason: String?) {
        guard phase != .closed else { return }
        guard let reason else { return connection.finish(.disconnected("closed by the server")) }
        if phase == .working {
            let body = JSON.object(["reason": .string(reason)]).encoded()
            send(.publish(MQTTPublish(MQTTProtocol.kickTopic, body)))
        }
        connection.finish(.kicked(reason))
    }

    func pauseReading() { connection.pauseReading() }

    func resumeReading() {
        guard connection.paused else { return }
        extendSilence()
        connection.resumeReading()
    }
}
