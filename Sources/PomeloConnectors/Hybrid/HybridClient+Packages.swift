// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloWire

/// From a package to what the state machine says about it.
extension HybridClient {
    /// One package; false when the next one must wait, or the connection has ended.
    func receive(_ type: PacketType, _ body: Span<UInt8>, _ limit: inout Int) -> Bool {
        connection.charge(1)
        switch state.receive(type, limit: options.maxIgnoredPackages) {
        case .judgeHandshake:
            judge(body)
        case .startWorking:
            // At once: a client may send its acknowledgement and a first request in one write.
            limit = shared.limits.maxMessageBytes
            startWorking()
        case .heartbeat:
            heartbeat()
        case .dispatch:
            dispatch(body)
        case .ignore:
            port.statistics.ignoredPackages += 1
        case .closeIgnored:
            connection.fail(.outOfPlace)
        case .closeKick:
            connection.fail(.badPackage)
        case .none:
            break
        }
        return connection.mayGoOn
    }

    // MARK: handshake

    private func judge(_ body: Span<UInt8>) {
        shared.judge(body, port.unsendable) { [self] verdict in
            switch verdict {
            case .welcome(let reply, let key):
                guard state.answered(accepted: true) else { return }
                self.key = key
                _ = connection.send(message: reply, compressed: false)
            case .refusal(let reply, let fault): refuse(reply, fault)
            }
        }
    }

    func refuse(_ reply: Bytes, _ fault: ConnectionFault) {
        guard state.answered(accepted: false) else { return }
        if connection.send(message: reply, compressed: false) { connection.fail(fault) }
    }

    // MARK: messages

    private func dispatch(_ message: Span<UInt8>) {
        let head: MessageHead
        do throws(WireError) {
            head = try MessageHead.decode(message)
        } catch {
            if case .unsupported = error { return drop(id: 0) }
            return connection.fail(.badMessage)
        }
        // A push from a client acts as a notify, as in the original.
        guard head.kind != .response else { return drop(id: 0) }
        guard let route = route(head, message) else { return drop(id: head.id) }
        guard let session else { return }
        let arrival = connection.arrival
        // As it came: who says too much is not inflated first.
        guard mayPass(ClientMessage(id: head.id, route: route, body: head.body(in: message)), at: arrival),
            let plain = body(head, message)
        else { return }
        guard let body = options.useCrypto ? verified(plain) : plain else { return drop(id: head.id) }
        port.host.received(ClientMessage(id: head.id, route: route, body: body, arrival: arrival), from: session)
    }

    /// The body as the client meant it; nil when the message is dropped, or the client closed, for it.
    private func body(_ head: MessageHead, _ message: Span<UInt8>) -> Bytes? {
        guard head.compressedBody else { return head.body(in: message) }
        guard options.inflatesBodies else {
            drop(id: head.id)
            return nil
        }
        do throws(WireError) {
            let body = message.extracting(head.bodyStart..<message.count)
            let inflated = try port.compression.inflate(body: body, limit: shared.limits.maxMessageBytes)
            port.statistics.inflated += 1
            connection.charge(inflated.count / StreamConnection.bytesPerPackage)
            return inflated
        } catch {
            if case .tooLarge = error { connection.fail(.tooLarge, closeCode: 1009) } else { drop(id: head.id) }
            return nil
        }
    }

    private func route(_ head: MessageHead, _ message: Span<UInt8>) -> Route? {
        if let code = head.routeCode { return shared.codes?.route(for: code) }
        return port.host.route(utf8: message.extracting(head.routeBytes))
    }

    /// A message nobody can be given; a request is answered, so that its sender does not wait for ever.
    private func drop(id: UInt32) {
        port.statistics.droppedMessages += 1
        if id > 0 { respond(id: id, body: HybridProtocol.failure) }
    }
}
