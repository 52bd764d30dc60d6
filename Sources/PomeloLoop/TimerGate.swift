// SPDX-License-Identifier: MIT

/// Lets due timers fire only once the sockets were looked at: after a poll that began when they were due already.
///
/// A process that was stopped, or a machine that slept, wakes with every deadline missed and with the bytes that met
/// it in its sockets. A stop may also come between a poll and the timers; such a gap is seen by its length, and makes
/// them wait for one more poll, not for a second one: a loop that is merely slow must not starve them.
struct TimerGate {
    /// The time between the begin of a poll and its timers from which the sockets are looked at once more.
    static let stale: UInt64 = 100_000_000

    private var due = false
    /// When the poll began that due timers wait for.
    private var polledSince: UInt64?
    private var postponed = false

    /// Timers are due.
    mutating func note() { due = true }

    /// The loop is about to poll; true when it must not wait, because timers are due.
    mutating func pollBegins(at now: () -> UInt64) -> Bool {
        if due { polledSince = now() }
        return due
    }

    /// The loop has polled and dealt with what it read: the instant up to which timers may fire, if they may.
    mutating func pollEnded(at now: () -> UInt64) -> UInt64? {
        guard let instant = polledSince else { return nil }
        polledSince = nil
        if !postponed, now() &- instant > Self.stale {
            postponed = true
            return nil
        }
        postponed = false
        due = false
        return instant
    }
}
