// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// From a packet to what comes of it.
extension MQTTClient {
    /// One packet; false when the next one must wait, or the connection has ended.
    func receive(_ first: UInt8, _ body: Span<UInt8>, _ limit: inout Int) -> Bool {
        connection.charge(1)
        let packet: MQTTPacket
        do throws(WireError) {
            packet = try MQTTPacket.decode(first, body, rules)
        } catch {
            if case .unsupported = error, phase == .awaitingConnect {
                refuse(.badVersion, .clientRejected)
            } else {
                connection.fail(Self.fault(error))
            }
            return false
        }
        switch phase {
        case .closed: return false
        case .awaitingConnect:
            guard case .connect(let connect) = packet else {
                connection.fail(.outOfPlace)
                return false
            }
            self.connect(connect)
            limit = shared.limits.maxMessageBytes
        case .working: work(packet)
        }
        return connection.mayGoOn
    }

    private func work(_ packet: MQTTPacket) {
        switch packet {
        case .publish(let publish): receive(publish)
        case .subscribe(let id, let subscriptions): subscribe(id, subscriptions)
        // Who is sent what, channels decide: there is nothing to take back.
        case .unsubscribe(let id, _): send(.unsubscribeAck(id))
        case .publishRelease(let id):
            if !ledger.release(id) { port.statistics.ignoredPackages += 1 }
            send(.publishComplete(id))
        case .publishAck(let id):
            if !ledger.acknowledge(id) { port.statistics.ignoredPackages += 1 }
        // Nothing is sent with QoS 2.
        case .publishReceived, .publishComplete: port.statistics.ignoredPackages += 1
        case .ping: send(.pong)
        case .disconnect: connection.finish(.disconnected("client disconnected"))
        case .connect: connection.fail(.outOfPlace)
        case .connectAck, .subscribeAck, .unsubscribeAck, .pong: connection.fail(.badPackage)
        }
    }

    // MARK: CONNECT

    private func connect(_ connect: MQTTConnect) {
        rules.level = connect.level
        if let refusal = connect.refusal { return refuse(refusal, .handshakeRefused) }
        if let check = options.checkClient, !check(connect.clientID, connect.user, connect.password) {
            return refuse(.notAuthorized, .handshakeRefused)
        }
        guard open() else {
            port.statistics.refused += 1
            shared.statistics.refused += 1
            send(.connectAck(sessionPresent: false, .unavailable))
            return connection.finish(.disconnected("refused"))
        }
        // The core may have ended it at once.
        guard phase == .awaitingConnect else { return }
        phase = .working
        shared.statistics.accepted += 1
        startWorking(keepAlive: connect.keepAlive)
        send(.connectAck(sessionPresent: false, .accepted))
    }

    private func refuse(_ code: MQTTConnectCode, _ fault: ConnectionFault) {
        shared.statistics.refused += 1
        send(.connectAck(sessionPresent: false, code))
        connection.fail(fault)
    }

    // MARK: PUBLISH

    /// Hands a message on, then confirms it: who is not told so sends it again.
    ///
    /// One over the rate that nothing can be answered to is not confirmed: MQTT has no word for it but the end.
    private func receive(_ publish: MQTTPublish) {
        guard publish.qos == 2 else {
            let isHeard = handOn(publish)
            guard publish.qos == 1 else { return }
            return isHeard ? send(.publishAck(publish.id)) : connection.fail(.overRate)
        }
        switch ledger.receive(publish.id, limit: options.maxInFlight) {
        case .new: guard handOn(publish) else { return connection.fail(.overRate) }
        case .repeated: shared.statistics.repeated += 1
        case .full: return connection.fail(.outOfPlace)
        }
        send(.publishReceived(publish.id))
    }

    /// False when the core was not given it and its sender is not told.
    private func handOn(_ publish: MQTTPublish) -> Bool {
        let id = UInt32(publish.id)
        if let route = shared.publishRoute {
            return request(id, route, MQTTJSON.body(of: publish))
        } else if let route = port.host.route(utf8: publish.topic.utf8Span.span) {
            request(id, route, publish.payload)
        }
        return true
    }

    /// False when it is over the rate.
    @discardableResult
    private func request(_ id: UInt32, _ route: Route, _ body: Bytes) -> Bool {
        guard let session else { return false }
        let message = ClientMessage(id: id, route: route, body: body, arrival: connection.arrival)
        guard mayPass(message, at: connection.arrival) else { return false }
        port.host.received(message, from: session)
        return true
    }

    // MARK: SUBSCRIBE

    private func subscribe(_ id: UInt16, _ subscriptions: [MQTTSubscription]) {
        connection.charge(subscriptions.count)
        let asked = subscriptions.map(\.qos)
        guard let route = shared.subscribeRoute else {
            return send(.subscribeAck(id, asked.map(MQTTJSON.best)))
        }
        switch ledger.subscribe(id, asked, limit: options.maxInFlight) {
        case .new: request(UInt32(id) | Self.subscribeBit, route, MQTTJSON.body(of: subscriptions))
        case .repeated: port.statistics.ignoredPackages += 1
        case .full:
            shared.statistics.refusedSubscribes += 1
            send(.subscribeAck(id, asked.map { _ in MQTTSubscription.refused }))
        }
    }

    /// Tells a request of a SUBSCRIBE from a message with the same id: ids of packets have 16 bits.
    static let subscribeBit: UInt32 = 1 << 16
}
