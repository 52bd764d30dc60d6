// SPDX-License-Identifier: MIT
public import Logging
public import PomeloLoop

/// One kind of log line that outsiders can cause as often as they like: so many in a while, then only their number.
///
/// Writing a line takes longer than most requests, so an unlimited one is a way to hold up everybody else.
///
/// - Guarantee: no line is lost silently: what was left out is counted, and told when the while is over.
@Loop public final class LimitedLog {
    private let log: Logger
    private let clock: any LoopClock
    private let level: Logger.Level
    private let text: String
    private let lines: Int
    private let period: Duration
    private var begun: UInt64?
    private var written = 0
    private var leftOut = 0

    /// At most `lines` lines of this text in each `period`, which begins with the first of them.
    public init(
        _ log: Logger, _ clock: any LoopClock, _ text: String, level: Logger.Level = .warning, lines: Int = 10,
        per period: Duration = .seconds(1)
    ) {
        self.log = log
        self.clock = clock
        self.level = level
        self.text = text
        self.lines = lines
        self.period = period
    }

    /// Writes the line, or counts it.
    public func write(_ metadata: @autoclosure () -> Logger.Metadata) {
        guard log.logLevel <= level else { return }
        let now = clock.now
        if let begun, now < begun &+ period.clampedNanoseconds {
            guard written < lines else { return leaveOut(until: begun &+ period.clampedNanoseconds) }
        } else {
            begun = now
            written = 0
        }
        written += 1
        log.log(level: level, "\(text)", metadata: metadata())
    }

    private func leaveOut(until end: UInt64) {
        leftOut += 1
        guard leftOut == 1 else { return }
        _ = clock.schedule(at: end) {
            self.log.log(level: self.level, "\(self.text)", metadata: ["pomelo.leftOut": "\(self.leftOut)"])
            self.leftOut = 0
        }
    }
}
