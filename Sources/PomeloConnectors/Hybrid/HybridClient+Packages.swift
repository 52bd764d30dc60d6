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
        switch advance({ $0.receive(type, limit: options.maxIgnoredPackages) }) {
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
            case .welcome(let reply, let edition, let key):
                guard advance({ $0.answered(accepted: true) }) else { return }
                self.edition = edition
                self.key = key
                _ = connection.send(message: reply, compressed: false)
            case .refusal(let reply, let fault): refuse(reply, fault)
            }
        }
    }

    func refuse(_ reply: Bytes, _ fault: ConnectionFault) {
        guard advance({ $0.answered(accepted: false) }) else { return }
        if connection.send(message: reply, compressed: false) { connection.fail(fault) }
    }

    // MARK: messages

    private func dispatch(_ message: Span<UInt8>) {
        let head: MessageHead
        do throws(WireError) {
            head = try MessageHead.decode(message)
        } catch {
            if case .unsupported = error { return drop(id: 0, route: nil) }
            return connection.fail(.badMessage)
        }
        // A push from a client acts as a notify, as in the original.
        guard head.kind != .response else { return drop(id: 0, route: nil) }
        guard let route = route(head, message) else { return drop(id: head.id, route: nil) }
        guard session != nil else { return }
        let arrival = connection.arrival
        // As it came: who says too much is not inflated first.
        guard mayPass(head.id, route, bodyBytes: message.count - head.bodyStart, at: arrival) else { return }
        guard head.compressedBody, options.inflatesBodies else { return handOn(head, route, message, arrival) }
        connection.inflate(message.copied()) { [self] in handOn(head, route, $0.span, arrival) }
    }

    private func handOn(_ head: MessageHead, _ route: Route, _ message: Span<UInt8>, _ arrival: UInt64) {
        guard let session, let plain = plainBody(head, of: route, message) else { return }
        guard let body = options.useCrypto ? verified(plain) : plain else {
            return drop(id: head.id, route: route)
        }
        port.host.received(ClientMessage(id: head.id, route: route, body: body, arrival: arrival), from: session)
    }

    /// The body as the client meant it, as JSON; nil when the message is dropped, or the client closed, for it.
    private func plainBody(_ head: MessageHead, of route: Route, _ message: Span<UInt8>) -> Bytes? {
        let rest = message.extracting(head.bodyStart..<message.count)
        guard head.compressedBody else { return decoded(rest, of: route, id: head.id) }
        guard options.inflatesBodies else {
            drop(id: head.id, route: route)
            return nil
        }
        let inflated: Bytes
        do throws(WireError) {
            inflated = try port.compression.inflate(body: rest, limit: shared.limits.maxMessageBytes)
        } catch {
            if case .tooLarge = error {
                connection.fail(.tooLarge, closeCode: 1009)
            } else {
                drop(id: head.id, route: route)
            }
            return nil
        }
        port.statistics.inflated += 1
        connection.charge(inflated.count / StreamConnection.bytesPerPackage)
        return decoded(inflated.span, of: route, id: head.id)
    }

    private func route(_ head: MessageHead, _ message: Span<UInt8>) -> Route? {
        if let code = head.routeCode { return shared.codes?.route(for: code) }
        return port.host.route(utf8: message.extracting(head.routeBytes))
    }

    /// A message nobody can be given; a request is answered, so that its sender does not wait for ever.
    private func drop(id: UInt32, route: Route?) {
        port.statistics.droppedMessages += 1
        fail(id: id, route: route)
    }
}
