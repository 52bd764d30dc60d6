// SPDX-License-Identifier: MIT

/// Decides when to ping a peer and when to call it silent: instants in, verdict out.
///
/// Anything received counts as an answer. Silence alone is no miss, only a ping that was not answered is, so
/// a process that itself stood still does not blame its peers at once.
struct SilenceMeter {
    enum Verdict: Equatable {
        /// Look again then.
        case wait(until: UInt64)
        /// Send a ping, look again then.
        case ping(until: UInt64)
        /// As many pings as allowed were not answered.
        case silent
    }

    private let interval: UInt64
    private let timeout: UInt64
    private let limit: Int
    private var lastHeard: UInt64
    private var pinged: UInt64?
    private var misses = 0

    /// Nanoseconds throughout.
    init(interval: UInt64, timeout: UInt64, limit: Int, now: UInt64) {
        self.interval = interval
        self.timeout = timeout
        self.limit = limit
        lastHeard = now
    }

    mutating func heard(at now: UInt64) {
        lastHeard = now
        pinged = nil
        misses = 0
    }

    mutating func check(at now: UInt64) -> Verdict {
        if let pinged {
            if now < pinged &+ timeout { return .wait(until: pinged &+ timeout) }
            misses += 1
            if misses >= limit { return .silent }
        } else if now < lastHeard &+ interval {
            return .wait(until: lastHeard &+ interval)
        }
        pinged = now
        return .ping(until: now &+ timeout)
    }
}
