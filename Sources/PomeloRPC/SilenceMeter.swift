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
    private let longest: UInt64
    /// A sign of life on this connection.
    private var lastReceived: UInt64
    /// Or on another one.
    private var lastHeard: UInt64
    private var pinged: UInt64?
    private var misses = 0
    /// Whether the last ping was sent because the one before it was not answered.
    private(set) var pingsAgain = false

    /// Nanoseconds throughout.
    init(interval: UInt64, timeout: UInt64, limit: Int, longest: UInt64 = 0, now: UInt64) {
        self.interval = interval
        self.timeout = timeout
        self.limit = limit
        self.longest = longest
        lastReceived = now
        lastHeard = now
    }

    mutating func heard(at now: UInt64) {
        lastReceived = now
        lastHeard = now
        pinged = nil
        misses = 0
    }

    /// The peer has given a sign of life on another connection; returns whether it counts.
    ///
    /// It does until this one was silent for `longest`, or is doubted already.
    mutating func heardElsewhere(at now: UInt64) -> Bool {
        guard pinged == nil, now < lastReceived &+ longest else { return false }
        lastHeard = now
        return true
    }

    /// The peer lacks an answer that it was sent on another connection; returns whether that is news.
    ///
    /// It counts as much as a ping that was not answered.
    mutating func wasMissed() -> Bool {
        guard pinged == nil else { return false }
        misses = 1
        lastHeard = 0
        return true
    }

    mutating func check(at now: UInt64) -> Verdict {
        pingsAgain = pinged != nil
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
