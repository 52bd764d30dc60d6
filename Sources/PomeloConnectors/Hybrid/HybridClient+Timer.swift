// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloWire

/// What a client is expected to say in time: its handshake, then heartbeats or anything at all.
extension HybridClient {
    func overdue() {
        switch state.phase {
        case .closed: break
        case .awaitingHandshake, .awaitingAck: connection.fail(.handshakeTimeout)
        case .handshaking: refuse(HandshakeReply.badRequest, .handshakeTimeout)
        case .working:
            if let limit = shared.heartbeatTimeout {
                heartbeatOverdue(limit)
            } else {
                connection.idle()
            }
        }
    }

    // MARK: heartbeats

    /// - Source: pomelo 2.2.7, lib/connectors/commands/heartbeat.js: the first heartbeat comes from the
    ///   server.
    func startWorking() {
        connection.lastActivity = port.clock.now
        connection.noLongerPending()
        if shared.heartbeatTimeout == nil { connection.expectTraffic() } else { heartbeat() }
    }

    func heartbeat() {
        guard let limit = shared.heartbeatTimeout, connection.send(message: Packet.heartbeat) else { return }
        connection.expect(within: limit)
    }

    private func heartbeatOverdue(_ limit: UInt64) {
        // While this side does not read, silence proves nothing.
        if connection.isHeldBack { return connection.expect(within: limit) }
        let quiet = port.clock.now - connection.lastActivity
        if options.resetOnData, quiet < limit { return connection.expect(within: limit - quiet) }
        connection.fail(.heartbeatTimeout)
    }

    /// Reading begins again: the heartbeats of the meantime are still to be read.
    func extendHeartbeat() {
        guard state.phase == .working, let limit = shared.heartbeatTimeout else { return }
        connection.expect(within: limit)
    }

    func drained() {
        if shared.tracksActivity, connection.carrier == .stream { connection.lastActivity = port.clock.now }
    }
}
