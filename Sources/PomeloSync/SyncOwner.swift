// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop

/// What the lines of one server share.
@Loop final class SyncOwner {
    /// What was counted since the start.
    struct Tally: Sendable {
        /// Values that wait or are on their way.
        var pending = 0
        /// What they take in the journal.
        var bytes = 0
        var executed = 0
        var written = 0
        var retries = 0
    }

    /// What becomes of a value that came back.
    enum Next {
        case done
        case again(Replay)
    }

    struct TooLong: Error, CustomStringConvertible {
        let count: Int
        var description: String { "\(count) bytes are more than \(SyncOwner.maxValueBytes)" }
    }

    private static let backoff = Backoff(first: .seconds(1), limit: .seconds(60))
    /// Of one value in the journal: half of what a client of Redis takes at once.
    nonisolated static let maxValueBytes = 8 << 20

    let options: SyncOptions
    let clock: any LoopClock
    let versions: VersionClock
    let letters: DeadLetters
    let meter = SyncMeter()
    /// How far apart the ticks are at which values become due.
    let tick: Duration
    /// Nil when what waits is in memory alone.
    var journal: Journal?
    var tally = Tally()
    /// Nothing is taken any more.
    var isClosed = false {
        didSet { tellRoom() }
    }
    private let random: RandomSource
    private var waiters: [CheckedContinuation<Void, Never>] = []

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

    // MARK: room

    var hasBytes: Bool { tally.bytes < options.maxPendingBytes }
    var hasRoom: Bool { tally.pending < options.maxPending && hasBytes }
    var overloaded: SyncError {
        .overloaded(limit: hasBytes ? options.maxPending : options.maxPendingBytes)
    }

    /// Whether callers wait for room, as the options say.
    var mustWait: Bool { options.whenFull == .wait && !hasRoom && !isClosed }

    /// Suspends until there may be room; who is called then looks again, for others may have been before.
    func room() async {
        await withCheckedContinuation { waiter in
            if mustWait { waiters.append(waiter) } else { waiter.resume() }
        }
    }

    /// Some have left.
    func tellRoom() {
        if waiters.isEmpty || !hasRoom && !isClosed { return }
        let ready = waiters
        waiters = []
        for waiter in ready { waiter.resume() }
    }

    /// - Throws: for a value that no journal takes.
    func checkLength(_ count: Int) throws(TooLong) {
        if count > Self.maxValueBytes { throw TooLong(count: count) }
    }

    /// Whether it is no journal's: one that cannot be encoded, or is too long.
    func isUnjournalable(_ value: Bytes?) -> Bool { value.map { $0.count > Self.maxValueBytes } ?? true }

    // MARK: attempts

    /// Evenly over the interval, so that what comes together leaves one after the other.
    func drawTicks() -> Int { 1 + Int(random.next() % UInt64(DueWheel.ticks)) }

    func ticks(afterAttempts attempts: Int) -> Int {
        let pause = random.jittered(Self.backoff.pause(after: attempts))
        return max(1, min(DueWheel.ticks, Int((pause / tick).rounded(.up))))
    }

    /// Makes a dead letter; `then` is called when that is where it survives this process.
    func giveUp(_ letter: DeadLetter, then: @escaping @Loop () -> Void) {
        letters.add(letter)
        if let journal { journal.keep(letter, then: then) } else { then() }
    }

    /// Counts what an attempt has made of a value that came back.
    func next(_ replay: Replay, _ attempt: Attempt) -> Next {
        var again = replay
        let reason: String
        switch attempt {
        case .written:
            tally.pending -= 1
            tally.written += 1
            replay.written()
            return .done
        case .failed(let why, let counts):
            again.attempts += counts ? 1 : 0
            reason = why
        case .refused(let why):
            again.attempts = options.attempts
            reason = why
        }
        guard again.attempts >= options.attempts, letters.hasRoom else {
            tally.retries += 1
            return .again(again)
        }
        tally.pending -= 1
        let entry = replay.entry
        giveUp(DeadLetter(key: entry.key, id: entry.id, value: entry.value, version: entry.version, reason)) {
            replay.written()
        }
        return .done
    }
}
