// SPDX-License-Identifier: MIT
import PomeloContract

/// A time as a wall clock shows it, without a zone.
///
/// Local seconds count as Unix seconds do, but from 1970 as the clock on the wall showed it.
struct CivilTime: Equatable {
    var day: CivilDay
    var hour: Int
    var minute: Int
    var second: Int

    init(localSeconds: Int) {
        let (days, rest) = localSeconds.flooredQuotient(by: 86_400)
        day = CivilDay(number: days)
        hour = rest / 3600
        minute = rest / 60 % 60
        second = rest % 60
    }
}

/// A day of the Gregorian calendar.
///
/// - Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", 2013: the calendar repeats every 400 years.
struct CivilDay: Equatable {
    /// The calendar, weekdays included, is the same after so many days.
    static let daysOfCycle = 146_097

    /// Days since 1970-01-01.
    let number: Int
    let year: Int
    /// 0 is January.
    let month: Int
    /// From 1.
    let dayOfMonth: Int

    /// 0 is Sunday.
    var dayOfWeek: Int { (number + 4).flooredQuotient(by: 7).rest }

    init(number: Int) {
        self.number = number
        // Years begin in March here, so that the leap day is the last of its year.
        let (cycle, dayOfCycle) = (number + 719_468).flooredQuotient(by: Self.daysOfCycle)
        let yearOfCycle = (dayOfCycle - dayOfCycle / 1460 + dayOfCycle / 36_524 - dayOfCycle / 146_096) / 365
        let dayOfYear = dayOfCycle - (365 * yearOfCycle + yearOfCycle / 4 - yearOfCycle / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        dayOfMonth = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = (monthFromMarch + 2) % 12
        year = cycle * 400 + yearOfCycle + (month < 2 ? 1 : 0)
    }
}

extension Int {
    /// Quotient rounded down, and the rest, which is never negative.
    fileprivate func flooredQuotient(by divisor: Int) -> (quotient: Int, rest: Int) {
        let (quotient, rest) = quotientAndRemainder(dividingBy: divisor)
        return rest < 0 ? (quotient - 1, rest + divisor) : (quotient, rest)
    }
}
