// SPDX-License-Identifier: MIT
import PomeloContract
import PomeloLoop

/// A cron and its next time.
struct CronEntry {
    let cron: Cron
    /// Unix milliseconds; nil before it is planned, and when it has no time left.
    private(set) var next: Int64?
    /// Where the times of a simple cron begin.
    private var start: Int64 = 0
    private var runsLeft: Int?

    init(_ cron: Cron) {
        self.cron = cron
        if case .simple(_, _, let count) = cron.time { runsLeft = count }
    }

    /// Finds the first time, from now on.
    mutating func plan(_ wall: Int64, _ zone: CronZone) {
        switch cron.time {
        case .schedule(let schedule):
            next = schedule.next(after: wall, in: zone)
        case .simple(let start, let period, _):
            self.start = start ?? wall
            next = Self.time(notBefore: wall, from: self.start, period)
        }
    }

    /// Finds the next time after one that has come; those between it and now are left out.
    mutating func advance(_ wall: Int64, _ zone: CronZone) {
        switch cron.time {
        case .schedule(let schedule): next = schedule.next(after: wall, in: zone)
        case .simple(_, let period, _): next = period == nil ? nil : Self.time(notBefore: wall + 1, from: start, period)
        }
    }

    /// Counts a run; after the last one there is no next time.
    mutating func ran() {
        guard let left = runsLeft else { return }
        runsLeft = left - 1
        if left <= 1 { next = nil }
    }

    /// Finds all times anew, after the wall clock was set back.
    mutating func replan(_ wall: Int64, _ zone: CronZone) {
        guard next != nil else { return }
        plan(wall, zone)
        // Begun by itself, and so not a second time at once.
        if case .simple(nil, .some, _) = cron.time { advance(wall, zone) }
    }

    private static func time(notBefore wall: Int64, from start: Int64, _ period: Duration?) -> Int64? {
        if start >= wall { return start }
        guard let period else { return nil }
        let milliseconds = max(1, period.clampedMilliseconds)
        return start + (wall - start + milliseconds - 1) / milliseconds * milliseconds
    }
}
