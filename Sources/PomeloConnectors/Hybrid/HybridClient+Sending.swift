// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// What the core may ask of a client's connection.
extension HybridClient: RatedClient {
    var connectorType: String? { connection.connectorType }
    var remoteAddress: SocketAddress { connection.remoteAddress }
    var queuedBytes: Int { connection.queuedBytes }
    var hasHungUp: Bool { connection.peerHasHungUp }

    func respond(id: UInt32, body: Bytes) { respond(id: id, body: body) { HybridProtocol.failure } }

    /// Sends `otherwise` when the body does not fit a package.
    func respond(id: UInt32, body: Bytes, _ otherwise: () -> Bytes) {
        guard state.phase == .working else { return }
        do throws(WireError) {
            let packet = try Message.responsePacket(id: id, body: body)
            if connection.takes(packet.count) { return _ = connection.send(message: packet) }
        } catch {
            port.unsendable.write(["pomelo.message": "response", "error": "\(error)"])
        }
        let shorter = otherwise()
        if body.count > shorter.count { respond(id: id, body: shorter) { shorter } }
    }

    @discardableResult
    @specialized(where Connection == StreamConnection)
    func push(_ message: PushMessage) -> Bool {
        guard state.phase == .working else { return false }
        let framing = connection.carrier == .webSocket ? edition.frames(connection.agreed) : edition.packets
        let bytes = message.encoded(for: ObjectIdentifier(framing)) { encode(message) }
        return !bytes.isEmpty && connection.send(push: bytes, route: message.route)
    }

    /// The push as every connection of this kind and edition sends it; empty, and logged once, when there is no such
    /// form.
    private func encode(_ message: PushMessage) -> Bytes {
        do throws(WireError) {
            let code = shared.codes?.dictionary.code(for: message.route)
            let packet = try Message.pushPacket(route: message.route, code: code, body: body(of: message))
            return connection.framed(packet)
        } catch {
            port.unsendable.write([
                "pomelo.message": "push", "pomelo.route": "\(message.route.forLog)", "error": "\(error)",
            ])
            return []
        }
    }

    func close(kick reason: String?) {
        guard state.phase != .closed else { return }
        guard let reason else { return connection.finish(.disconnected("closed by the server")) }
        if state.phase == .working {
            do throws(WireError) {
                guard connection.send(message: try Packet.kick(reason: reason)) else { return }
            } catch {
                port.unsendable.write(["pomelo.message": "kick", "error": "\(error)"])
            }
        }
        connection.finish(.kicked(reason))
    }

    func noteOverRate() { port.statistics.overRate += 1 }
    func endOverRate() { connection.fail(.overRate, closeCode: 1008) }

    func pauseReading() { connection.pauseReading() }

    func resumeReading() {
        guard connection.paused else { return }
        extendHeartbeat()
        connection.resumeReading()
    }
}
