// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloWire

/// The one timer of a connection: handshake, then heartbeats or idleness.
///
/// A later deadline only changes a number; the timer is set anew when it fires. So a client that says it
/// lives costs the timer heap nothing.
extension HybridConnection {
    func expect(within delay: UInt64) {
        let (sum, overflow) = clients.clock.now.addingReportingOverflow(delay)
        deadline = overflow ? .max : sum
        if timer != nil {
            if firesAt <= deadline { return }
            cancelTimer()
        }
        arm()
    }

    private func arm() {
        firesAt = deadline
        // A strong reference, cheaper than a weak one: the timer is cancelled when the connection ends.
        timer = clients.clock.schedule(at: deadline) { self.fire() }
    }

    func cancelTimer() {
        if let timer { clients.clock.cancel(timer) }
        timer = nil
    }

    private func fire() {
        timer = nil
        if deadline > clients.clock.now { arm() } else { overdue() }
    }

    private func overdue() {
        switch state.phase {
        case .closed: break
        case .awaitingHandshake, .awaitingAck: fail(.handshakeTimeout)
        case .handshaking: refuse(HandshakeReply.badRequest, .handshakeTimeout)
        case .working:
            if let limit = clients.heartbeatTimeout {
                heartbeatOverdue(limit)
            } else {
                idle()
            }
        }
    }

    // MARK: heartbeats

    /// - Source: pomelo 2.2.7, lib/connectors/commands/heartbeat.js: the first heartbeat comes from the
    ///   server.
    func startWorking() {
        lastActivity = clients.clock.now
        clients.noLongerPending(self)
        if clients.heartbeatTimeout == nil { expectTraffic() } else { heartbeat() }
    }

    func heartbeat() {
        guard let limit = clients.heartbeatTimeout, send(packet: Packet.heartbeat) else { return }
        expect(within: limit)
    }

    private func heartbeatOverdue(_ limit: UInt64) {
        // While this side does not read, silence proves nothing.
        if isHeldBack { return expect(within: limit) }
        let quiet = clients.clock.now - lastActivity
        if clients.options.resetOnData, quiet < limit { return expect(within: limit - quiet) }
        fail(.heartbeatTimeout)
    }

    /// Reading begins again: the heartbeats of the meantime are still to be read.
    func extendHeartbeat() {
        guard state.phase == .working, let limit = clients.heartbeatTimeout else { return }
        expect(within: limit)
    }

    // MARK: idleness

    private func expectTraffic() {
        expect(within: kind == .webSocket ? clients.idleTimeout / 2 : clients.idleTimeout)
    }

    private func idle() {
        let quiet = clients.clock.now - lastActivity
        let limit = clients.idleTimeout
        if isHeldBack {
            expect(within: limit)
        } else if quiet >= limit {
            fail(.idleTimeout)
        } else if kind == .webSocket, quiet >= limit / 2 {
            if send(frame: WebSocketFrame.encode(.ping, [])) { expect(within: limit - quiet) }
        } else {
            expect(within: (kind == .webSocket ? limit / 2 : limit) - quiet)
        }
    }
}
