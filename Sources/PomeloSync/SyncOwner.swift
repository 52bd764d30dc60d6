// SPDX-License-Identifier: MIT
import PomeloLoop

/// What the tables of one server share.
@Loop final class SyncOwner {
    /// What was counted since the start.
    struct Tally: Sendable {
        /// Values that wait or are on their way.
        var pending = 0
        var executed = 0
        var written = 0
        var retries = 0
    }

    private static let backoff = Backoff(first: .seconds(1), limit: .seconds(60))

    let options: SyncOptions
    let clock: any LoopClock
    let versions: VersionClock
    let letters: DeadLetters
    /// How far apart the ticks are at which values become due.
    let tick: Duration
    var tally = Tally()
    private let random: RandomSource

    init(
        _ options: SyncOptions, _ clock: any LoopClock, _ random: RandomSource, _ versions: VersionClock,
        _ letters: DeadLetters
    ) {
        self.options = options
        self.clock = clock
        self.random = random
        self.versions = versions
        self.letters = letters
        tick = max(options.interval / DueWheel.ticks, .milliseconds(1))
    }

    var hasRoom: Bool { tally.pending < options.maxPending }
    var overloaded: SyncError { .overloaded(limit: options.maxPending) }

    /// Evenly over the interval, so that what comes together leaves one after the other.
    func drawTicks() -> Int { 1 + Int(random.next() % UInt64(DueWheel.ticks)) }

    func ticks(afterAttempts attempts: Int) -> Int {
        let pause = random.jittered(Self.backoff.pause(after: attempts))
        return max(1, min(DueWheel.ticks, Int((pause / tick).rounded(.up))))
    }
}
