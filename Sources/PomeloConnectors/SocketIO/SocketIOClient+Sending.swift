// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// What the core may ask of a client of socket.io.
extension SocketIOClient: RatedClient {
    var connectorType: String? { SocketIOProtocol.type }
    var queuedBytes: Int { webSocket?.stream.queuedBytes ?? state.queuedBytes }
    var hasHungUp: Bool { webSocket?.stream.peerHasHungUp ?? false }

    func respond(id: UInt32, body: Bytes) {
        guard session != nil else { return }
        send(SocketIOMessage.response(id: id, body: body).packet(state.revision))
    }

    @discardableResult
    func push(_ message: PushMessage) -> Bool {
        guard session != nil else { return false }
        guard let webSocket else { return wait(packet(message), route: Text(message.route)) }
        let frame = message.encoded(for: shared.encodings.frame(state.revision, webSocket.compression)) {
            webSocket.frame(.text, packet(message))
        }
        return webSocket.send(push: frame, route: message.route)
    }

    /// The push as polls fetch it, and as it stands in frames.
    private func packet(_ message: PushMessage) -> Bytes {
        let revision = state.revision
        return message.encoded(for: shared.encodings.packet(revision)) {
            SocketIOMessage.push(route: message.route, body: message.body).packet(revision)
        }
    }

    func close(kick reason: String?) {
        guard !state.isClosed, !state.isClosing else { return }
        if let reason {
            if session != nil { send(SocketIOMessage.kick(reason: reason).packet(state.revision)) }
            send(SocketIOPacket.disconnected(state.revision))
            end(.kicked(reason))
        } else {
            send(SocketIOPacket.disconnected(state.revision))
            end(.disconnected("closed by the server"))
        }
    }

    func noteOverRate() { port.statistics.overRate += 1 }

    func endOverRate() {
        port.statistics.faults[.overRate, default: 0] += 1
        drop(.disconnected(ConnectionFault.overRate.rawValue))
    }

    /// Sends a packet that must not be left out.
    func send(_ packet: Bytes) {
        if let webSocket {
            _ = webSocket.send(message: packet, .text)
        } else {
            _ = wait(packet, route: nil)
        }
    }

    // MARK: polling

    /// Sends by the next poll; false when the client is too slow for it.
    private func wait(_ packet: Bytes, route: Text?) -> Bool {
        guard !state.isClosed, !state.isClosing, makeRoom(for: packet.count, route) else { return false }
        run(state.send(packet, topic: route, now: now))
        watchTime()
        return true
    }

    private func makeRoom(for count: Int, _ route: Text?) -> Bool {
        let limits = shared.limits
        if limits.slowReaders == .latestOnly, let route {
            port.statistics.droppedPushes += state.drop(topic: route)
        }
        let fits = { self.state.queuedBytes == 0 || self.state.queuedBytes + count <= limits.maxOutboundBytes }
        if fits() { return true }
        if limits.slowReaders != .disconnect {
            port.statistics.droppedPushes += state.dropOldest(downTo: limits.maxOutboundBytes / 8 * 7 - count)
            if fits() { return true }
        }
        port.statistics.faults[.slowConsumer, default: 0] += 1
        drop(.disconnected(ConnectionFault.slowConsumer.rawValue))
        return false
    }

    /// What waits for polls and to be heard, in bytes.
    var waitingBytes: Int { state.queuedBytes + inboxBytes }

    /// Tells the connector how much waits; the end of this client may come of it.
    func tellWaiting() {
        let change = waitingBytes - told
        guard change != 0 else { return }
        told = waitingBytes
        shared.waits(change)
    }
}
