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

    /// - Source: pomelo 2.2.7, lib/connectors/commands/handshake.js.
    private func judge(_ body: Span<UInt8>) {
        guard let request = HandshakeRequest.decode(body) else {
            return refuse(HandshakeReply.badRequest, .handshakeRefused)
        }
        if let check = options.checkClient, !check(request.type, request.version) {
            return refuse(HandshakeReply.rejected, .clientRejected)
        }
        guard let hook = options.handshake else { return welcome(request, user: nil) }
        Loop.spawn { [self] in
            do {
                welcome(request, user: try await hook(request.message))
            } catch {
                shared.failedHandshakes.write(["error": "\(error)"])
                refuse(HandshakeReply.badRequest, .handshakeRefused)
            }
        }
    }

    private func welcome(_ request: HandshakeRequest, user: JSON?) {
        guard state.phase == .handshaking else { return }
        do throws(WireError) {
            let edition = shared.edition
            let reply = try edition.welcome(request, user: user)
            guard state.answered(accepted: true) else { return }
            self.edition = edition
            _ = connection.send(message: reply)
        } catch {
            port.unsendable.write(["pomelo.message": "handshake answer", "error": "\(error)"])
            refuse(HandshakeReply.badRequest, .handshakeRefused)
        }
    }

    func refuse(_ reply: Bytes, _ fault: ConnectionFault) {
        guard state.answered(accepted: false) else { return }
        if connection.send(message: reply) { connection.fail(fault) }
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
        let found = route(head, message)
        guard !head.compressedBody, let route = found else { return drop(id: head.id, route: found) }
        guard let session else { return }
        guard let body = body(head, of: route, in: message) else { return fail(id: head.id, route: route) }
        port.host.received(
            ClientMessage(id: head.id, route: route, body: body, arrival: connection.arrival), from: session)
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

    static let failure = Bytes("{\"code\":500}".utf8)
}
