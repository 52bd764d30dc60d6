// SPDX-License-Identifier: MIT
package import PomeloBytes

extension MQTTPacket {
    /// Returns the whole packet.
    ///
    /// - Throws: ``WireError/malformed(_:)`` for what no packet may hold: an id of 0, a topic that is none, a QoS over
    ///   2; ``WireError/tooLarge(limit:)`` for a text or a packet that no length can state.
    package func encoded() throws(WireError) -> Bytes {
        switch self {
        case .connect(let connect): try connect.encoded()
        case .connectAck(let isPresent, let code): [0x20, 2, isPresent ? 1 : 0, code.rawValue]
        case .publish(let publish): try publish.encoded()
        case .publishAck(let id): try Self.confirmation(.publishAck, id)
        case .publishReceived(let id): try Self.confirmation(.publishReceived, id)
        case .publishRelease(let id): try Self.confirmation(.publishRelease, id)
        case .publishComplete(let id): try Self.confirmation(.publishComplete, id)
        case .subscribe(let id, let subscriptions):
            try Self.request(.subscribe, id, subscriptions) { one, body throws(WireError) in
                guard MQTTTopic.isFilter(one.filter), one.qos < 3 else { throw .malformed("subscription") }
                try body.put(mqtt: one.filter.utf8Span.span)
                body.append(one.qos)
            }
        case .subscribeAck(let id, let granted):
            try Self.request(.subscribeAck, id, granted) { one, body in body.append(one) }
        case .unsubscribe(let id, let filters):
            try Self.request(.unsubscribe, id, filters) { one, body throws(WireError) in
                guard MQTTTopic.isFilter(one) else { throw .malformed("topic of a subscription") }
                try body.put(mqtt: one.utf8Span.span)
            }
        case .unsubscribeAck(let id): try Self.confirmation(.unsubscribeAck, id)
        case .ping: [0xC0, 0]
        case .pong: [0xD0, 0]
        case .disconnect: [0xE0, 0]
        }
    }

    private static func confirmation(_ type: MQTTPacketType, _ id: UInt16) throws(WireError) -> Bytes {
        guard id > 0 else { throw .malformed("packet id 0") }
        return [type.rawValue << 4 | type.flags, 2, UInt8(id >> 8), UInt8(truncatingIfNeeded: id)]
    }

    private static func request<Element>(
        _ type: MQTTPacketType, _ id: UInt16, _ elements: [Element],
        _ put: (Element, inout Bytes) throws(WireError) -> Void
    ) throws(WireError) -> Bytes {
        guard id > 0, !elements.isEmpty else { throw .malformed("packet id 0, or no topic") }
        var body: Bytes = [UInt8(id >> 8), UInt8(truncatingIfNeeded: id)]
        for element in elements { try put(element, &body) }
        return try head(type.rawValue << 4 | type.flags, length: body.count) + body
    }

    fileprivate static func head(_ first: UInt8, length: Int) throws(WireError) -> Bytes {
        guard length <= maxRemainingLength else { throw .tooLarge(limit: maxRemainingLength) }
        var head: Bytes = [first]
        var rest = length
        repeat {
            head.append(UInt8(rest & 0x7F) | (rest > 0x7F ? 0x80 : 0))
            rest >>= 7
        } while rest > 0
        return head
    }
}

extension MQTTConnect {
    fileprivate func encoded() throws(WireError) -> Bytes {
        var body: Bytes = []
        try body.put(mqtt: level.name.utf8Span.span)
        var flags: UInt8 = cleanSession ? 2 : 0
        if let will { flags |= 4 | will.qos << 3 | (will.retain ? 32 : 0) }
        if user != nil { flags |= 128 }
        if password != nil { flags |= 64 }
        guard will.map({ MQTTTopic.isName($0.topic) && $0.qos < 3 }) ?? true, password == nil || user != nil else {
            throw .malformed("will, or password without user")
        }
        body += [level.rawValue, flags, UInt8(keepAlive >> 8), UInt8(truncatingIfNeeded: keepAlive)]
        try body.put(mqtt: clientID.utf8Span.span)
        if let will {
            try body.put(mqtt: will.topic.utf8Span.span)
            try body.put(mqtt: will.payload.span)
        }
        if let user { try body.put(mqtt: user.utf8Span.span) }
        if let password { try body.put(mqtt: password.span) }
        return try MQTTPacket.head(0x10, length: body.count) + body
    }
}

extension MQTTPublish {
    /// Returns the whole packet; see `MQTTPacket.encoded`.
    package func encoded() throws(WireError) -> Bytes { try form().bytes }

    /// The whole packet, and where its id stands, to change it for each who is sent it.
    package func form() throws(WireError) -> (bytes: Bytes, idOffset: Int) {
        guard MQTTTopic.isName(topic) else { throw .malformed("topic of PUBLISH") }
        guard qos < 3, (qos > 0) == (id > 0), qos > 0 || !isRepeated else { throw .malformed("QoS and packet id") }
        let first = 0x30 | qos << 1 | (retain ? 1 : 0) | (isRepeated ? 8 : 0)
        let length = 2 &+ topic.utf8.count &+ (qos > 0 ? 2 : 0) &+ payload.count
        var bytes = try MQTTPacket.head(first, length: length)
        bytes.reserveCapacity(bytes.count &+ length)
        try bytes.put(mqtt: topic.utf8Span.span)
        let idOffset = bytes.count
        if qos > 0 { bytes += [UInt8(id >> 8), UInt8(truncatingIfNeeded: id)] }
        bytes.put(payload.span)
        return (bytes, idOffset)
    }
}

extension Bytes {
    /// Appends a length of two bytes and what has it.
    fileprivate mutating func put(mqtt bytes: Span<UInt8>) throws(WireError) {
        guard bytes.count <= Int(UInt16.max) else { throw .tooLarge(limit: Int(UInt16.max)) }
        self += [UInt8(bytes.count >> 8), UInt8(truncatingIfNeeded: bytes.count)]
        put(bytes)
    }
}
