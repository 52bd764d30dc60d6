// SPDX-License-Identifier: MIT
package import PomeloBytes

/// How strictly packets are read.
package struct MQTTRules: Sendable {
    /// In 3.1 a SUBSCRIBE, UNSUBSCRIBE or PUBREL may say that it is repeated.
    package var level = MQTTLevel.v311
    /// The topics that one SUBSCRIBE or UNSUBSCRIBE may name.
    package var maxTopics: Int

    package init(maxTopics: Int) { self.maxTopics = maxTopics }
}

extension MQTTPacket {
    /// Reads a packet from what the decoder gives out.
    ///
    /// - Throws: ``WireError/unsupported(_:)`` for the name or number of another protocol in a CONNECT;
    ///   ``WireError/tooLarge(limit:)`` for too many topics; ``WireError/malformed(_:)`` for everything else that the
    ///   specification does not allow.
    package static func decode(
        _ first: UInt8, _ body: Span<UInt8>, _ rules: MQTTRules
    ) throws(WireError) -> MQTTPacket {
        guard let type = MQTTPacketType(rawValue: first >> 4) else { throw .malformed("packet type") }
        var reader = MQTTReader()
        if type == .publish { return .publish(try reader.publish(body, flags: first & 0xF)) }
        // In 3.1 who sends these again says so; elsewhere the bit is reserved.
        let repeats: UInt8 = rules.level == .v31 && type.flags != 0 ? 8 : 0
        guard first & 0xF & ~repeats == type.flags else { throw .malformed("flags of a packet") }
        let packet = try reader.packet(type, body, rules)
        try reader.end(body)
        return packet
    }
}

/// Reads what follows the length of a packet, byte by byte.
///
/// It is given the bytes each time, for no property may hold a span.
private struct MQTTReader {
    private var offset = 0

    private func left(_ bytes: Span<UInt8>) -> Int { bytes.count &- offset }

    func end(_ bytes: Span<UInt8>) throws(WireError) {
        if left(bytes) > 0 { throw .malformed("bytes behind a packet") }
    }

    mutating func packet(
        _ type: MQTTPacketType, _ bytes: Span<UInt8>, _ rules: MQTTRules
    ) throws(WireError) -> MQTTPacket {
        switch type {
        case .connect: return .connect(try connect(bytes))
        case .connectAck: return try connectAck(bytes)
        case .publish: return .publish(try publish(bytes, flags: 0))
        case .publishAck: return .publishAck(try packetID(bytes))
        case .publishReceived: return .publishReceived(try packetID(bytes))
        case .publishRelease: return .publishRelease(try packetID(bytes))
        case .publishComplete: return .publishComplete(try packetID(bytes))
        case .subscribe: return .subscribe(try packetID(bytes), try subscriptions(bytes, rules.maxTopics))
        case .subscribeAck: return .subscribeAck(try packetID(bytes), try granted(bytes))
        case .unsubscribe: return .unsubscribe(try packetID(bytes), try filters(bytes, rules.maxTopics))
        case .unsubscribeAck: return .unsubscribeAck(try packetID(bytes))
        case .ping: return .ping
        case .pong: return .pong
        case .disconnect: return .disconnect
        }
    }

    // MARK: of each type

    private mutating func connect(_ bytes: Span<UInt8>) throws(WireError) -> MQTTConnect {
        let level = try self.level(bytes)
        let flags = try byte(bytes)
        if level == .v311, flags & 1 != 0 { throw .malformed("reserved flag of CONNECT") }
        let keepAlive = try word(bytes)
        var connect = MQTTConnect(
            try text(bytes), level: level, cleanSession: flags & 2 != 0, keepAlive: keepAlive)
        let qos = flags >> 3 & 3
        if flags & 4 != 0 {
            guard qos < 3 else { throw .malformed("QoS of a will") }
            let topic = try text(bytes)
            guard MQTTTopic.isName(topic) else { throw .malformed("topic of a will") }
            connect.will = MQTTConnect.Will(topic: topic, payload: try blob(bytes), qos: qos, retain: flags & 32 != 0)
        } else if flags & 0b11_1000 != 0 {
            throw .malformed("flags of a will that is not there")
        }
        guard flags & 128 != 0 || flags & 64 == 0 else { throw .malformed("password without user") }
        // In 3.1 the length counts for more than these flags.
        if flags & 128 != 0, level == .v311 || left(bytes) > 0 { connect.user = try text(bytes) }
        if flags & 64 != 0, level == .v311 || left(bytes) > 0 { connect.password = try blob(bytes) }
        return connect
    }

    private mutating func level(_ bytes: Span<UInt8>) throws(WireError) -> MQTTLevel {
        let name = try text(bytes)
        guard let level = MQTTLevel(rawValue: try byte(bytes)), Text(name) == Text(level.name) else {
            throw .unsupported("another protocol, or another version of it")
        }
        return level
    }

    private mutating func connectAck(_ bytes: Span<UInt8>) throws(WireError) -> MQTTPacket {
        let flags = try byte(bytes)
        guard flags < 2, let code = MQTTConnectCode(rawValue: try byte(bytes)) else { throw .malformed("CONNACK") }
        return .connectAck(sessionPresent: flags == 1, code)
    }

    mutating func publish(_ bytes: Span<UInt8>, flags: UInt8) throws(WireError) -> MQTTPublish {
        let qos = flags >> 1 & 3
        guard qos < 3 else { throw .malformed("QoS 3") }
        guard qos > 0 || flags & 8 == 0 else { throw .malformed("repeated with QoS 0") }
        let topic = try text(bytes)
        guard MQTTTopic.isName(topic) else { throw .malformed("topic of PUBLISH") }
        let id = qos > 0 ? try packetID(bytes) : 0
        let payload = bytes.extracting(offset..<bytes.count).copied()
        offset = bytes.count
        return MQTTPublish(topic, payload, qos: qos, retain: flags & 1 != 0, isRepeated: flags & 8 != 0, id: id)
    }

    private mutating func subscriptions(_ bytes: Span<UInt8>, _ limit: Int) throws(WireError) -> [MQTTSubscription] {
        var all: [MQTTSubscription] = []
        repeat {
            guard all.count < limit else { throw .tooLarge(limit: limit) }
            let filter = try self.filter(bytes)
            let qos = try byte(bytes)
            guard qos < 3 else { throw .malformed("QoS of a subscription") }
            all.append(MQTTSubscription(filter, qos: qos))
        } while left(bytes) > 0
        return all
    }

    private mutating func filters(_ bytes: Span<UInt8>, _ limit: Int) throws(WireError) -> [String] {
        var all: [String] = []
        repeat {
            guard all.count < limit else { throw .tooLarge(limit: limit) }
            all.append(try filter(bytes))
        } while left(bytes) > 0
        return all
    }

    private mutating func granted(_ bytes: Span<UInt8>) throws(WireError) -> [UInt8] {
        var all: [UInt8] = []
        repeat {
            let qos = try byte(bytes)
            guard qos < 3 || qos == MQTTSubscription.refused else { throw .malformed("QoS that is granted") }
            all.append(qos)
        } while left(bytes) > 0
        return all
    }

    private mutating func filter(_ bytes: Span<UInt8>) throws(WireError) -> String {
        let filter = try text(bytes)
        guard MQTTTopic.isFilter(filter) else { throw .malformed("topic of a subscription") }
        return filter
    }

    // MARK: of all

    private mutating func byte(_ bytes: Span<UInt8>) throws(WireError) -> UInt8 {
        guard left(bytes) > 0 else { throw .malformed("packet cut short") }
        offset &+= 1
        return bytes[offset &- 1]
    }

    private mutating func word(_ bytes: Span<UInt8>) throws(WireError) -> UInt16 {
        guard left(bytes) >= 2 else { throw .malformed("packet cut short") }
        offset &+= 2
        return bytes.bigEndian(UInt16.self, at: offset &- 2)
    }

    private mutating func packetID(_ bytes: Span<UInt8>) throws(WireError) -> UInt16 {
        let id = try word(bytes)
        guard id > 0 else { throw .malformed("packet id 0") }
        return id
    }

    /// UTF-8 without surrogates and U+0000.
    private mutating func text(_ bytes: Span<UInt8>) throws(WireError) -> String {
        let length = Int(try word(bytes))
        guard left(bytes) >= length else { throw .malformed("text cut short") }
        let span = bytes.extracting(offset..<(offset &+ length))
        offset &+= length
        for index in span.indices where span[index] == 0 { throw .malformed("U+0000") }
        guard let text = span.text() else { throw .malformed("text that is no UTF-8") }
        return text
    }

    private mutating func blob(_ bytes: Span<UInt8>) throws(WireError) -> Bytes {
        let length = Int(try word(bytes))
        guard left(bytes) >= length else { throw .malformed("packet cut short") }
        offset &+= length
        return bytes.extracting((offset &- length)..<offset).copied()
    }
}
