// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloWire

/// From bytes to what the state machine says about them.
extension HybridConnection {
    func readPackets(_ packets: PacketDecoder, _ bytes: borrowing Span<UInt8>) -> Int {
        var decoder = packets
        do throws(WireError) {
            let taken = try decoder.decode(bytes) { type, body, limit in
                receive(type, body, &limit)
            }
            put(back: .packets(decoder), holding: decoder.heldBytes)
            return taken
        } catch {
            fail(Self.fault(error))
            return bytes.count
        }
    }

    func readFrames(_ frames: WebSocketDecoder, _ bytes: borrowing Span<UInt8>) -> Int {
        var decoder = frames
        do throws(WebSocketError) {
            let taken = try decoder.decode(bytes) { event, limit in
                receive(event)
                if state.phase == .working {
                    limit = clients.options.maxMessageBytes + Packet.headerLength
                }
                return mayGoOn
            }
            put(back: .webSocket(decoder), holding: decoder.heldBytes)
            return taken
        } catch {
            fail(error.closeCode == 1009 ? .tooLarge : .badFrame, closeCode: error.closeCode, error.reason)
            return bytes.count
        }
    }

    private func receive(_ event: WebSocketEvent) {
        switch event {
        case .message(text: true, let message) where message.isEmpty:
            charge(1)
        case .message(_, let message):
            receiveMessage(message)
        case .ping(let payload):
            charge(1)
            _ = send(frame: WebSocketFrame.encode(.pong, payload))
        case .pong:
            charge(1)
        case .close(let code, _):
            finish(.disconnected("client closed the WebSocket"), closeCode: code)
        }
    }

    /// A WebSocket message, from a place in it on: one package or more.
    func receiveMessage(_ message: Bytes, from start: Int = 0) {
        let options = clients.options
        let limit = state.phase == .working ? options.maxMessageBytes : options.maxBytesBeforeAck
        do throws(WireError) {
            let rest = message.span.extracting(start..<message.count)
            let taken = try PacketDecoder.decodeFrame(rest, maxBodyBytes: limit) { type, body, limit in
                receive(type, body, &limit)
            }
            if start + taken < message.count { keep(message, from: start + taken) }
        } catch {
            fail(Self.fault(error))
        }
    }

    private static func fault(_ error: WireError) -> ConnectionFault {
        if case .tooLarge = error { return .tooLarge }
        return .badPackage
    }

    /// One package; false when the next one must wait, or the connection has ended.
    private func receive(_ type: PacketType, _ body: Span<UInt8>, _ limit: inout Int) -> Bool {
        charge(1)
        switch state.receive(type, limit: clients.options.maxIgnoredPackages) {
        case .judgeHandshake:
            judge(body)
        case .startWorking:
            // At once: a client may send its acknowledgement and a first request in one write.
            limit = clients.options.maxMessageBytes
            startWorking()
        case .heartbeat:
            heartbeat()
        case .dispatch:
            dispatch(body)
        case .ignore:
            clients.statistics.ignoredPackages += 1
        case .closeIgnored:
            fail(.outOfPlace)
        case .closeKick:
            fail(.badPackage)
        case .none:
            break
        }
        return mayGoOn
    }

    // MARK: handshake

    /// - Source: pomelo 2.2.7, lib/connectors/commands/handshake.js.
    private func judge(_ body: Span<UInt8>) {
        guard let request = HandshakeRequest.decode(body) else {
            return refuse(HandshakeReply.badRequest, .handshakeRefused)
        }
        if let check = clients.options.checkClient, !check(request.type, request.version) {
            return refuse(HandshakeReply.rejected, .clientRejected)
        }
        guard let hook = clients.options.handshake else { return welcome(request, user: nil) }
        Loop.spawn { [self] in
            do {
                welcome(request, user: try await hook(request.message))
            } catch {
                clients.failedHandshakes.write(["error": "\(error)"])
                refuse(HandshakeReply.badRequest, .handshakeRefused)
            }
        }
    }

    private func welcome(_ request: HandshakeRequest, user: JSON?) {
        guard state.phase == .handshaking else { return }
        do throws(WireError) {
            let reply = try clients.welcome(request, user: user)
            if state.answered(accepted: true) { _ = send(packet: reply) }
        } catch {
            clients.unsendable.write(["pomelo.message": "handshake answer", "error": "\(error)"])
            refuse(HandshakeReply.badRequest, .handshakeRefused)
        }
    }

    func refuse(_ reply: Bytes, _ fault: ConnectionFault) {
        guard state.answered(accepted: false) else { return }
        if send(packet: reply) { fail(fault) }
    }

    // MARK: messages

    private func dispatch(_ message: Span<UInt8>) {
        let head: MessageHead
        do throws(WireError) {
            head = try MessageHead.decode(message)
        } catch {
            if case .unsupported = error { return drop(id: 0) }
            return fail(.badMessage)
        }
        // A push from a client acts as a notify, as in the original.
        guard head.kind != .response else { return drop(id: 0) }
        guard !head.compressedBody, let route = route(head, message) else { return drop(id: head.id) }
        guard let session else { return }
        clients.host.received(
            ClientMessage(id: head.id, route: route, body: head.body(in: message), arrival: arrival), from: session)
    }

    private func route(_ head: MessageHead, _ message: Span<UInt8>) -> Route? {
        if let code = head.routeCode { return clients.codes?.route(for: code) }
        return clients.host.route(utf8: message.extracting(head.routeBytes))
    }

    /// A message nobody can be given; a request is answered, so that its sender does not wait for ever.
    private func drop(id: UInt32) {
        clients.statistics.droppedMessages += 1
        if id > 0 { respond(id: id, body: Self.failure) }
    }

    static let failure = Bytes("{\"code\":500}".utf8)
}
