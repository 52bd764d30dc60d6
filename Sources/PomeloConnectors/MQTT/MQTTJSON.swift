// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloJSON
import PomeloWire

/// Messages of MQTT as handlers see them, and what handlers say of them.
///
/// - Source: pomelo 2.2.7, lib/connectors/mqttconnector.js and lib/connectors/mqtt/generate.js.
enum MQTTJSON {
    /// `{topic, payload, qos, retain, dup, messageId}`; `payloadBase64` for bytes that are no UTF-8.
    static func body(of publish: MQTTPublish) -> Bytes {
        var body = JSONObject()
        body["topic"] = .string(publish.topic)
        if let text = publish.payload.span.text() {
            body["payload"] = .string(text)
        } else {
            body["payloadBase64"] = .string(Base64.encode(publish.payload))
        }
        body["qos"] = JSON(publish.qos)
        body["retain"] = .bool(publish.retain)
        body["dup"] = .bool(publish.isRepeated)
        if publish.id > 0 { body["messageId"] = JSON(publish.id) }
        return JSON.object(body).encoded()
    }

    /// `{subscriptions: [{topic, qos}]}`.
    static func body(of subscriptions: [MQTTSubscription]) -> Bytes {
        let list = subscriptions.map { JSON.object(["topic": .string($0.filter), "qos": JSON($0.qos)]) }
        return JSON.object(["subscriptions": .array(list)]).encoded()
    }

    /// The message that a body `{topic, payload, qos?, retain?}` stands for; nil for any other body.
    ///
    /// Its id is the connector's to choose, and QoS 2 becomes 1.
    static func publish(in body: Bytes) -> MQTTPublish? {
        guard body.first == UInt8(ascii: "{") else { return nil }
        let object: JSON
        do throws(WireError) {
            object = try JSON.parse(body)
        } catch {
            return nil
        }
        guard let topic = object["topic"]?.string, !topic.isEmpty, let payload = payload(of: object) else { return nil }
        let qos: UInt8 = (object["qos"]?.int ?? 0) > 0 ? 1 : 0
        return MQTTPublish(topic, payload, qos: qos, retain: object["retain"]?.bool ?? false)
    }

    private static func payload(of object: JSON) -> Bytes? {
        if let text = object["payload"]?.string { return Bytes(text.utf8) }
        return object["payloadBase64"]?.string.flatMap { Base64.decode($0.utf8Span.span) }
    }

    /// What a handler's answer grants, of what was asked for: an array, or an object with one in `granted`.
    ///
    /// Never more than was asked for, nor than QoS 1; what is no QoS, or is missing, is refused.
    static func granted(in answer: Bytes, of asked: Bytes) -> Bytes {
        var list: [JSON] = []
        do throws(WireError) {
            let answer = try JSON.parse(answer)
            list = answer.array ?? answer["granted"]?.array ?? []
        } catch {}
        return asked.enumerated().map { place, wanted in
            guard place < list.count, let qos = list[place].int, (0...2).contains(qos) else {
                return MQTTSubscription.refused
            }
            return min(UInt8(truncatingIfNeeded: qos), best(for: wanted))
        }
    }

    /// The QoS that a subscription can have at most.
    static func best(for wanted: UInt8) -> UInt8 { min(wanted, 1) }
}
