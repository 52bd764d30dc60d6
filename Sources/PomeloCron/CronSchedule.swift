// SPDX-License-Identifier: MIT
public import PomeloContract
import PomeloLoop

/// When a cron runs: six fields, `second minute hour day-of-month month day-of-week`.
///
/// ```
/// 0 30 10 * * *          every day at 10:30:00
/// 0 */5 9-17 * * mon-fri every five minutes of working hours
/// 0 0 0 1 0 *            at the turn of the year: months count from 0, or have names
/// ```
///
/// A field is `*`, a value, a range `a-b`, either with a step `/n`, `a/n` for all from a on, or a list of these. Months
/// are 0–11 or `jan`–`dec`, days of the week 0–6 or `sun`–`sat`. Day of month and day of week must both match.
///
/// When clocks change, a cron of certain hours runs once for each time it names: at the end of the gap when the clocks
/// skip it, the first time when they show it twice. A cron of all hours follows the time that passes instead.
///
/// - Source: pomelo-scheduler 0.4.1, lib/cronTrigger.js, whose months also count from 0; `*/n` and names are ours.
public struct CronSchedule: Sendable, Equatable, CustomStringConvertible {
    /// The text it was made from.
    public let description: String
    private let second: CronField
    private let minute: CronField
    private let hour: CronField
    private let dayOfMonth: CronField
    private let month: CronField
    private let dayOfWeek: CronField

    /// Reads a cron text.
    ///
    /// - Throws: `PomeloError` `.configuration` saying which field is wrong and why, also when no date ever matches.
    public init(_ text: String) throws(PomeloError) {
        let fields = text.split { $0 == " " || $0 == "\t" }
        guard fields.count == 6 else {
            let hint = fields.count == 5 ? ": put the second in front, as in \"0 \(text)\"" : ""
            throw PomeloError(
                .configuration,
                "\"\(text)\" has \(fields.count) fields and not the six of"
                    + " `second minute hour day-of-month month day-of-week`\(hint)")
        }
        description = text
        second = try CronField(fields[0], CronField.second)
        minute = try CronField(fields[1], CronField.minute)
        hour = try CronField(fields[2], CronField.hour)
        dayOfMonth = try CronField(fields[3], CronField.dayOfMonth)
        month = try CronField(fields[4], CronField.month)
        dayOfWeek = try CronField(fields[5], CronField.dayOfWeek)
        guard firstDay(from: 0) != nil else {
            throw PomeloError(.configuration, "\"\(text)\" names a date that never comes")
        }
    }

    /// The first time after an instant, both in Unix milliseconds.
    public func next(after milliseconds: Int64, in zone: CronZone) -> Int64 {
        let instant = Int((Double(milliseconds) / 1000).rounded(.down))
        return Int64(isOfAllHours ? nextPassing(after: instant, zone) : nextNamed(after: instant, zone)) * 1000
    }

    private var isOfAllHours: Bool { (0...23).allSatisfy(hour.contains) }

    private func nextNamed(after instant: Int, _ zone: CronZone) -> Int {
        var local = zone.local(instant)
        while true {
            local = nextLocal(from: local + 1)
            let next = zone.instant(ofLocal: local)
            // Shown twice, and the first time has passed; or skipped, and run at the end of the gap.
            if next > instant { return next }
        }
    }

    private func nextPassing(after instant: Int, _ zone: CronZone) -> Int {
        let next = nextLocal(from: zone.local(instant) + 1) - zone.offset(at: instant)
        // Far away: the clocks may have changed by then, so look again from the day before.
        guard next - instant <= 2 * 86_400 else { return nextPassing(after: next - 86_400, zone) }
        guard let change = zone.change(after: instant, notAfter: next) else { return next }
        return nextLocal(from: zone.local(change)) - zone.offset(at: change)
    }

    // MARK: the wall clock

    /// The first time from one on that matches, both in local seconds.
    private func nextLocal(from local: Int) -> Int {
        let time = CivilTime(localSeconds: local)
        if matches(time.day), let seconds = firstSecond(from: time) { return time.day.number * 86_400 + seconds }
        // Every schedule has a day, as `init` made sure, and the first of its seconds is there.
        let day = firstDay(from: time.day.number + 1) ?? time.day.number
        return day * 86_400 + (firstSecond(from: CivilTime(localSeconds: 0)) ?? 0)
    }

    private func matches(_ day: CivilDay) -> Bool {
        month.contains(day.month) && dayOfMonth.contains(day.dayOfMonth) && dayOfWeek.contains(day.dayOfWeek)
    }

    private func firstDay(from number: Int) -> Int? {
        (number..<(number + CivilDay.daysOfCycle)).first { matches(CivilDay(number: $0)) }
    }

    /// The first second of the day from a time on, or nil when the day has none left.
    private func firstSecond(from time: CivilTime) -> Int? {
        if hour.contains(time.hour), minute.contains(time.minute), let next = second.next(from: time.second) {
            return time.hour * 3600 + time.minute * 60 + next
        }
        let first = second.next(from: 0) ?? 0
        if hour.contains(time.hour), let next = minute.next(from: time.minute + 1) {
            return time.hour * 3600 + next * 60 + first
        }
        guard let next = hour.next(from: time.hour + 1) else { return nil }
        return next * 3600 + (minute.next(from: 0) ?? 0) * 60 + first
    }
}
