// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// What the core may ask of a client's connection.
extension HybridConnection: ClientSocket {
    var remoteAddress: SocketAddress { stream.remoteAddress }
    var queuedBytes: Int { stream.queuedBytes }
    var hasHungUp: Bool { stream.peerHasHungUp }

    func respond(id: UInt32, body: Bytes) {
        guard state.phase == .working else { return }
        do throws(WireError) {
            _ = send(packet: try Message.responsePacket(id: id, body: body))
        } catch {
            clients.unsendable.write(["pomelo.message": "response", "error": "\(error)"])
            if body.count > Self.failure.count { respond(id: id, body: Self.failure) }
        }
    }

    @discardableResult
    func push(_ message: PushMessage) -> Bool {
        guard state.phase == .working else { return false }
        let framing = kind == .webSocket ? clients.frames : clients.packets
        let bytes = message.encoded(for: ObjectIdentifier(framing)) { encode(message) }
        return !bytes.isEmpty && sendBounded(bytes)
    }

    /// The push as every connection of this kind sends it; empty, and logged once, when there is no such
    /// form.
    private func encode(_ message: PushMessage) -> Bytes {
        do throws(WireError) {
            let code = clients.codes?.dictionary.code(for: message.route)
            let packet = try Message.pushPacket(route: message.route, code: code, body: message.body)
            return kind == .webSocket ? WebSocketFrame.encode(.binary, packet) : packet
        } catch {
            clients.unsendable.write([
                "pomelo.message": "push", "pomelo.route": "\(message.route.forLog)", "error": "\(error)",
            ])
            return []
        }
    }

    func close(kick reason: String?) {
        guard state.phase != .closed else { return }
        guard let reason else { return finish(.disconnected("closed by the server")) }
        if state.phase == .working {
            do throws(WireError) {
                guard send(packet: try Packet.kick(reason: reason)) else { return }
            } catch {
                clients.unsendable.write(["pomelo.message": "kick", "error": "\(error)"])
            }
        }
        finish(.kicked(reason))
    }

    // MARK: bytes

    /// Sends one package, in a frame of its own over WebSocket; false when the client is too slow for it.
    func send(packet: Bytes) -> Bool {
        guard kind == .webSocket else { return sendBounded(packet) }
        guard hasRoom(for: packet.count) else { return false }
        stream.write(WebSocketFrame.header(.binary, length: packet.count))
        stream.write(packet)
        return true
    }

    func send(frame: Bytes) -> Bool { sendBounded(frame) }

    private func sendBounded(_ bytes: Bytes) -> Bool {
        guard hasRoom(for: bytes.count) else { return false }
        stream.write(bytes)
        return true
    }

    private func hasRoom(for count: Int) -> Bool {
        if fits(count) { return true }
        // Many long pushes in one turn say nothing about a client that was not offered any of them yet.
        stream.flushEarly()
        if fits(count) { return true }
        cut(.slowConsumer)
        return false
    }

    private func fits(_ count: Int) -> Bool {
        let waiting = stream.queuedBytes
        return waiting == 0 || waiting + count <= clients.options.maxOutboundBytes
    }
}
