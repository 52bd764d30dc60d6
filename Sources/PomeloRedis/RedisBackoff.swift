// SPDX-License-Identifier: MIT
import PomeloLoop

/// The pause before the next connection: its limit doubles with every attempt, and begins anew after a connection that
/// lasted.
struct RedisBackoff {
    private static let first = Duration.milliseconds(50)
    private static let longest = Duration.seconds(2)
    /// A connection that lasted this long makes the next pause short again; one that is lost at once does not.
    private static let settled = Duration.seconds(2)

    private var attempts = 0

    /// The longest pause after an attempt whose connection was up for `lasted`, nil when it never was.
    mutating func limit(after lasted: Duration?) -> Duration {
        if let lasted, lasted >= Self.settled { attempts = 0 }
        defer { attempts += 1 }
        return min(Self.first * (1 << min(attempts, 10)), Self.longest)
    }
}
