// SPDX-License-Identifier: MIT

/// The pause after failures in a row: it doubles with each of them, up to a limit.
///
/// Callers add their own jitter, so that many who failed together do not return together.
package struct Backoff: Sendable {
    private let first: Duration
    private let limit: Duration
    private let settled: Duration
    /// Failures in a row.
    package private(set) var failures = 0

    /// What was up for less than `settled` makes up for no failure.
    package init(first: Duration, limit: Duration, settled: Duration = .zero) {
        self.first = first
        self.limit = limit
        self.settled = settled
    }

    /// Makes the next pause the first one again.
    package mutating func succeeded() { failures = 0 }

    /// Notes that what came up has ended; what is lost at once, again and again, is a failure too.
    package mutating func ended(after lasted: Duration) {
        if lasted >= settled { failures = 0 }
    }

    /// Notes a failure; returns the pause that follows it.
    package mutating func failed() -> Duration {
        failures += 1
        return pause(after: failures)
    }

    /// The pause that follows the last of so many failures.
    package func pause(after failures: Int) -> Duration {
        let doublings = min(failures - 1, 20)
        return min(first * (1 << doublings), limit)
    }
}
