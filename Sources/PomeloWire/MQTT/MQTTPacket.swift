// SPDX-License-Identifier: MIT
package import PomeloBytes

/// One packet of MQTT 3.1 or 3.1.1, from either side.
///
/// ```
///  0        1                 2…5
///  +--------+-----------------+----------------- - -
///  |type|flg| remaining length|  head of its type, payload
///  +--------+-----------------+----------------- - -
/// ```
///
/// - Source: OASIS MQTT 3.1.1, sections 2 and 3; IBM's MQTT V3.1 Protocol Specification.
package enum MQTTPacket: Equatable, Sendable {
    case connect(MQTTConnect)
    case connectAck(sessionPresent: Bool, MQTTConnectCode)
    case publish(MQTTPublish)
    /// PUBACK, the end of QoS 1.
    case publishAck(UInt16)
    /// PUBREC, PUBREL and PUBCOMP, the three further steps of QoS 2.
    case publishReceived(UInt16)
    case publishRelease(UInt16)
    case publishComplete(UInt16)
    case subscribe(UInt16, [MQTTSubscription])
    /// A granted QoS for each subscription, or `MQTTSubscription.refused`.
    case subscribeAck(UInt16, [UInt8])
    case unsubscribe(UInt16, [String])
    case unsubscribeAck(UInt16)
    case ping
    case pong
    case disconnect

    /// The longest remaining length that four bytes can state, in bytes.
    package static let maxRemainingLength = 268_435_455
    /// The first byte, and up to four that say how many follow.
    package static let maxHeaderLength = 5
}

/// The type of a packet, in the upper half of its first byte.
enum MQTTPacketType: UInt8, CaseIterable {
    case connect = 1
    case connectAck, publish, publishAck, publishReceived, publishRelease, publishComplete
    case subscribe, subscribeAck, unsubscribe, unsubscribeAck, ping, pong, disconnect

    /// What the lower half must be; a PUBLISH has its own flags there.
    var flags: UInt8 {
        switch self {
        case .publishRelease, .subscribe, .unsubscribe: 2
        default: 0
        }
    }
}

/// What a client wants to be known as.
package struct MQTTConnect: Equatable, Sendable {
    /// What it leaves to be published when it is lost.
    package struct Will: Equatable, Sendable {
        package var topic: String
        package var payload: Bytes
        package var qos: UInt8
        package var retain: Bool

        package init(topic: String, payload: Bytes, qos: UInt8 = 0, retain: Bool = false) {
            self.topic = topic
            self.payload = payload
            self.qos = qos
            self.retain = retain
        }
    }

    package var level: MQTTLevel
    package var clientID: String
    package var cleanSession: Bool
    /// In seconds; 0 turns it off.
    package var keepAlive: UInt16
    package var will: Will?
    package var user: String?
    package var password: Bytes?

    package init(
        _ clientID: String, level: MQTTLevel = .v311, cleanSession: Bool = true, keepAlive: UInt16 = 60,
        will: Will? = nil, user: String? = nil, password: Bytes? = nil
    ) {
        self.level = level
        self.clientID = clientID
        self.cleanSession = cleanSession
        self.keepAlive = keepAlive
        self.will = will
        self.user = user
        self.password = password
    }

    /// Why a server must not take the client id, if it must not: only a clean session may do without one, and in 3.1
    /// nobody may.
    package var refusal: MQTTConnectCode? {
        clientID.isEmpty && (!cleanSession || level == .v31) ? .badClientID : nil
    }
}

/// A version of the protocol, by the number that a CONNECT names.
package enum MQTTLevel: UInt8, Sendable {
    case v31 = 3
    case v311 = 4

    /// As it stands in front of the number.
    var name: String { self == .v31 ? "MQIsdp" : "MQTT" }
}

/// What a server says to a CONNECT.
package enum MQTTConnectCode: UInt8, Sendable, CaseIterable {
    case accepted, badVersion, badClientID, unavailable, badCredentials, notAuthorized
}

/// A message on a topic.
package struct MQTTPublish: Equatable, Sendable {
    package var topic: String
    package var payload: Bytes
    package var qos: UInt8
    package var retain: Bool
    /// Whether it may have been sent before.
    package var isRepeated: Bool
    /// 0 with QoS 0, which has none, and never else.
    package var id: UInt16

    package init(
        _ topic: String, _ payload: Bytes, qos: UInt8 = 0, retain: Bool = false, isRepeated: Bool = false,
        id: UInt16 = 0
    ) {
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.isRepeated = isRepeated
        self.id = id
    }
}

/// The topics that a client wants to hear of, and how.
package struct MQTTSubscription: Equatable, Sendable {
    /// What stands in a SUBACK for a subscription that is not granted.
    package static let refused: UInt8 = 0x80

    package var filter: String
    package var qos: UInt8

    package init(_ filter: String, qos: UInt8) {
        self.filter = filter
        self.qos = qos
    }
}

/// What a topic may be.
///
/// - Source: OASIS MQTT 3.1.1, section 4.7.
package enum MQTTTopic {
    /// Whether something may be published on it: not empty, without wildcards and U+0000, at most 65535 bytes.
    package static func isName(_ topic: String) -> Bool {
        let bytes = topic.utf8Span.span
        guard (1...Int(UInt16.max)).contains(bytes.count) else { return false }
        for index in bytes.indices where [0, hash, plus].contains(bytes[index]) { return false }
        return true
    }

    /// Whether it may be subscribed to: `+` is a whole level, `#` the last one.
    package static func isFilter(_ filter: String) -> Bool {
        let bytes = filter.utf8Span.span
        guard (1...Int(UInt16.max)).contains(bytes.count) else { return false }
        let last = bytes.count &- 1
        for index in bytes.indices {
            let begins = index == 0 || bytes[index &- 1] == slash
            switch bytes[index] {
            case 0: return false
            case hash where !begins || index != last: return false
            case plus where !begins || (index != last && bytes[index &+ 1] != slash): return false
            default: break
            }
        }
        return true
    }

    private static let hash = UInt8(ascii: "#")
    private static let plus = UInt8(ascii: "+")
    private static let slash = UInt8(ascii: "/")
}
