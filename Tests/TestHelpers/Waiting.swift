// SPDX-License-Identifier: MIT
//
// TestHelpers: what the tests of several targets share, and users have no need of.
import PomeloLoop
package import Testing

/// What did not come about.
package struct Unmet: Error, CustomStringConvertible {
    package let description: String

    package init(description: String) { self.description = description }
}

/// Returns when the condition holds, in real time; records a failure when it does not within 20 s.
@Loop package func until(
    _ what: String, at location: SourceLocation = #_sourceLocation, _ condition: @Loop () async throws -> Bool
) async rethrows {
    guard try await !comesTrue(within: .seconds(20), every: .milliseconds(1), condition) else { return }
    Issue.record("never became true: \(what)", sourceLocation: location)
}

/// Returns when the condition holds, in real time; throws `Unmet` when it does not in time.
@Loop package func eventually(
    _ what: String, within limit: Duration = .seconds(10), every pause: Duration = .milliseconds(10),
    _ condition: @Loop () async throws -> Bool
) async throws {
    guard try await !comesTrue(within: limit, every: pause, condition) else { return }
    throw Unmet(description: "not within \(limit): \(what)")
}

@Loop private func comesTrue(
    within limit: Duration, every pause: Duration, _ condition: @Loop () async throws -> Bool
) async rethrows -> Bool {
    let clock = SystemClock.shared
    let deadline = clock.deadline(after: limit)
    while try await !condition() {
        guard clock.now < deadline else { return false }
        await clock.sleep(for: pause)
    }
    return true
}
