// SPDX-License-Identifier: MIT
import PomeloLoop

/// Whether a process that has ended is started again, and how soon.
///
/// One that stays up for a minute has made up for all that was before.
package enum RestartRule: Sendable, Equatable {
    /// It is left down.
    case never
    /// So many times in a row.
    case atMost(Int)
    /// Always, after ever longer pauses.
    case always
}

/// How often one process has ended in a row.
struct Restarts {
    /// What is up for so long has come up for good.
    static let settled = Duration.seconds(60)

    private let rule: RestartRule
    private var backoff = Backoff(first: .milliseconds(250), limit: .seconds(30), settled: settled)

    init(_ rule: RestartRule) { self.rule = rule }

    /// The pause before it is started again; nil: it is left down.
    mutating func pause(afterRunning lasted: Duration) -> Duration? {
        backoff.ended(after: lasted)
        switch rule {
        case .never: return nil
        case .atMost(let most) where backoff.failures >= most: return nil
        case .atMost, .always: return backoff.failed()
        }
    }

    /// What was is forgotten: somebody has started it on purpose.
    mutating func forget() { backoff.succeeded() }
}
