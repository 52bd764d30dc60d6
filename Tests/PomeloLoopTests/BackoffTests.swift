// SPDX-License-Identifier: MIT
import PomeloLoop
import Testing

@Suite struct BackoffTests {
    @Test func pausesDoubleUpToTheLimit() {
        var backoff = Backoff(first: .milliseconds(50), limit: .seconds(2))
        for expected in [50, 100, 200, 400, 800, 1600, 2000, 2000] {
            #expect(backoff.failed() == .milliseconds(expected))
        }
        #expect(backoff.failures == 8 && backoff.pause(after: .max) == .seconds(2))
        backoff.succeeded()
        #expect(backoff.failed() == .milliseconds(50))
    }

    /// The first pauses are short, later ones are not, and only what lasted makes them short again.
    @Test func whatLastedMakesUpForFailures() {
        var backoff = Backoff(first: .milliseconds(50), limit: .seconds(2), settled: .seconds(2))
        for _ in 0..<8 { _ = backoff.failed() }
        backoff.ended(after: .milliseconds(1999))
        #expect(backoff.failed() == .seconds(2))
        backoff.ended(after: .seconds(2))
        #expect(backoff.failed() == .milliseconds(50))
        #expect(backoff.failed() == .milliseconds(100))
    }
}

@Suite struct FirstOutcomeTests {
    @Test @Loop func theFirstCountsAlsoForWhoComesLater() async {
        let outcome = FirstOutcome<Int>()
        #expect(outcome.isOpen)
        #expect(outcome.end(with: 1) && !outcome.end(with: 2))
        #expect(await outcome.wait() == 1 && outcome.value == 1)
    }

    @Test @Loop func whoWaitsIsToldOnce() async {
        let outcome = FirstOutcome<String?>()
        Loop.spawn {
            outcome.end(with: nil)
            outcome.end(with: "late")
        }
        #expect(await outcome.wait() == nil && !outcome.isOpen)
    }
}
