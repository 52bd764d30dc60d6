// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloWire

/// The one timer of a connection: until its client is known, then what its protocol expects.
///
/// A later deadline only changes a number; the timer is set anew when it fires. So a client that says it
/// lives costs the timer heap nothing.
@Loop protocol TimedConnection: AnyObject {
    var clock: any LoopClock { get }
    var finished: Bool { get }
    var timer: TimerID? { get set }
    var firesAt: UInt64 { get set }
    var deadline: UInt64 { get set }
    /// The deadline has passed.
    func overdue()
}

extension TimedConnection {
    func expect(within delay: UInt64) {
        let (sum, overflow) = clock.now.addingReportingOverflow(delay)
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
        timer = clock.schedule(at: deadline) { self.fire() }
    }

    func cancelTimer() {
        if let timer { clock.cancel(timer) }
        timer = nil
    }

    private func fire() {
        timer = nil
        guard !finished else { return }
        if deadline > clock.now { arm() } else { overdue() }
    }
}

extension StreamConnection: TimedConnection {
    var clock: any LoopClock { port.clock }

    func overdue() {
        if let user { user.overdue() } else { fail(kind == .http ? .idleTimeout : .handshakeTimeout) }
    }

    // MARK: idleness

    /// Closes the connection when nothing is read or written for too long; a WebSocket is asked before.
    func expectTraffic() {
        expect(within: kind == .webSocket ? limits.idleTimeout / 2 : limits.idleTimeout)
    }

    /// The deadline of `expectTraffic` has passed.
    func idle() {
        let quiet = port.clock.now - lastActivity
        let limit = limits.idleTimeout
        if isHeldBack {
            // While this side does not read, silence proves nothing.
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
