// SPDX-License-Identifier: MIT
import PomeloLoop

/// The pause before the next connection attempt: it doubles, up to a limit, and is never quite the same.
struct Backoff {
    private let first: Duration
    private let limit: Duration
    /// Attempts in a row that failed.
    private(set) var failures = 0

    init(first: Duration, limit: Duration) {
        self.first = first
        self.limit = limit
    }

    mutating func succeeded() { failures = 0 }

    @Loop mutating func failed(_ random: RandomSource) -> Duration {
        failures += 1
        let doublings = min(failures - 1, 20)
        return random.jittered(min(first * (1 << doublings), limit), by: 0.2)
    }
}
