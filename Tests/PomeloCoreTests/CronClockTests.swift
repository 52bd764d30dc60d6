// SPDX-License-Identifier: MIT
import Foundation
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloCore
@testable import PomeloCron

/// Crons against the calendar, clocks that change, and clocks that are set.
@Suite struct CronClockTests {
    // MARK: the calendar

    /// Every 19 hours over 600 years, leap days and turns of centuries among them.
    @Test func civilTimeIsFoundationsCalendar() throws {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(identifier: "UTC"))
        for seconds in stride(from: -4_000_000_000, to: 15_000_000_000, by: 68_400 * 97) {
            let ours = CivilTime(localSeconds: seconds)
            let theirs = calendar.dateComponents(
                [.year, .month, .day, .weekday, .hour, .minute, .second],
                from: Date(timeIntervalSince1970: Double(seconds)))
            let day = [ours.day.year, ours.day.month + 1, ours.day.dayOfMonth, ours.day.dayOfWeek + 1]
            #expect(day == [theirs.year, theirs.month, theirs.day, theirs.weekday])
            #expect([ours.hour, ours.minute, ours.second] == [theirs.hour, theirs.minute, theirs.second])
        }
    }

    struct Dates: Sendable, CustomTestStringConvertible {
        let name: String
        let text: String
        let zone: String
        let begin: String
        let times: [String]
        var testDescription: String { name }
    }

    static let dates = [
        Dates(
            name: "hourly over a gap: no time is made up, the clocks did not show it", text: "0 30 * * * *",
            zone: "Europe/Berlin", begin: "2026-03-28T23:31:00Z",
            times: ["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z", "2026-03-29T02:30:00Z"]),
        Dates(
            name: "hourly over a fold: also in the hour that is shown again", text: "0 30 * * * *",
            zone: "Europe/Berlin", begin: "2026-10-24T23:31:00Z",
            times: ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"]),
        Dates(
            name: "many times in a gap are one run at its end", text: "0 */20 2 * * *", zone: "Europe/Berlin",
            begin: "2026-03-28T01:40:00Z",
            times: ["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z", "2026-03-30T00:20:00Z"]),
        Dates(
            name: "certain hours in a fold: the first showing only", text: "0 */30 2 * * *", zone: "Europe/Berlin",
            begin: "2026-10-25T00:00:00Z",
            times: ["2026-10-25T00:30:00Z", "2026-10-26T01:00:00Z", "2026-10-26T01:30:00Z"]),
        Dates(
            name: "a fold of half an hour", text: "0 */15 * * * *", zone: "Australia/Lord_Howe",
            begin: "2026-04-04T14:30:00Z",
            times: ["2026-04-04T14:45:00Z", "2026-04-04T15:00:00Z", "2026-04-04T15:15:00Z"]),
        Dates(
            name: "midnight in a gap is the end of the gap", text: "0 0 0 * * *", zone: "Africa/Cairo",
            begin: "2026-04-22T22:00:00Z", times: ["2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"]),
        Dates(
            name: "all hours of a day that begins with a gap, from far away", text: "0 10 * 24 3 *",
            zone: "Africa/Cairo", begin: "2026-01-01T00:00:00Z",
            times: ["2026-04-23T22:10:00Z", "2026-04-23T23:10:00Z"]),
        Dates(
            name: "a leap day that is a Sunday", text: "0 0 0 29 feb sun", zone: "UTC", begin: "2026-01-01T00:00:00Z",
            times: ["2032-02-29T00:00:00Z", "2060-02-29T00:00:00Z"]),
    ]

    @Test(arguments: dates) func clocksThatChange(_ row: Dates) throws {
        let schedule = try CronSchedule(row.text)
        let zone = try CronZone(row.zone)
        var time = try milliseconds(row.begin)
        for expected in row.times {
            time = schedule.next(after: time, in: zone)
            #expect(Date(timeIntervalSince1970: Double(time) / 1000).formatted(.iso8601) == expected)
        }
    }

    /// Against a plain look at every minute of 500 days.
    @Test(arguments: ["0 7 * * * *", "0 */13 3-5 * * *", "0 0 12 1,15 */2 *", "0 5 0 * * mon-wed"])
    func everyTimeIsFoundAndNoOther(_ text: String) throws {
        let schedule = try CronSchedule(text)
        let zone = try CronZone("UTC")
        var found = schedule.next(after: 1_766_000_000_000, in: zone)
        let fields = try text.split(separator: " ").enumerated().map { index, field in
            try CronField(
                field,
                [
                    CronField.second, CronField.minute, CronField.hour, CronField.dayOfMonth, CronField.month,
                    CronField.dayOfWeek,
                ][index])
        }
        for seconds in stride(from: 1_766_000_040, to: 1_766_000_000 + 500 * 86_400, by: 60) {
            let time = CivilTime(localSeconds: seconds)
            let values = [0, time.minute, time.hour, time.day.dayOfMonth, time.day.month, time.day.dayOfWeek]
            guard zip(fields, values).allSatisfy({ $0.contains($1) }) else { continue }
            guard found == Int64(seconds) * 1000 else {
                Issue.record("found \(found / 1000) in the place of \(seconds)")
                return
            }
            found = schedule.next(after: found, in: zone)
        }
    }

    @Test func anUnknownZoneIsAnError() {
        #expect(throws: PomeloError.self) { try CronZone("Europe/Atlantis") }
    }

    // MARK: clocks that are set

    @Test @Loop func aClockSetBackALittleRepeatsNothing() async throws {
        let (cluster, journal) = (cronCluster(), Journal<String>())
        _ = try await cronServer(cluster, journal, [try Cron(1, "0 14 22 * * *", "note.time")])
        await cluster.advance(by: .seconds(41), step: .seconds(1))
        #expect(journal.entries == ["40"])
        cluster.clock.stepWall(byMilliseconds: -30_000)
        await cluster.advance(by: .seconds(120), step: .seconds(1))
        #expect(journal.entries == ["40"])
    }

    @Test @Loop func aClockSetBackFarIsFollowed() async throws {
        let (cluster, journal) = (cronCluster(), Journal<String>())
        _ = try await cronServer(
            cluster, journal,
            [
                try Cron(1, "0 14 22 * * *", "note.time"),
                try Cron(2, .simple(start: nil, period: .seconds(50), count: nil), "note.time"),
            ])
        await cluster.advance(by: .seconds(41), step: .seconds(1))
        #expect(journal.entries == ["1", "40"])
        cluster.clock.stepWall(byMilliseconds: -7_200_000)
        await cluster.advance(by: .seconds(7300), step: .seconds(10))
        let times = journal.entries.dropFirst(2).compactMap { Int($0) }
        #expect((-7160 ... -7050).contains(times.first ?? 0), "the period goes on by the new time")
        #expect(times.count { $0 < 0 } >= 140)
        #expect(times.contains { (40..<50).contains($0) }, "22:14 comes a second time")
    }

    @Test @Loop func whatAClockSetForwardSkippedIsMadeUpForOnce() async throws {
        let (cluster, journal) = (cronCluster(), Journal<String>())
        _ = try await cronServer(cluster, journal, [try Cron(1, "0 */5 * * * *", "note.time")])
        await cluster.advance(by: .seconds(10), step: .seconds(1))
        cluster.clock.stepWall(byMilliseconds: 3_600_000)
        await cluster.advance(by: .seconds(60), step: .seconds(1))
        #expect(journal.entries.count == 1)
        await cluster.advance(by: .seconds(300), step: .seconds(1))
        #expect(journal.entries.count == 2)
    }

    // MARK: simple triggers

    /// pomelo-scheduler 0.4.1 ran what it had missed back to back; lib/simpleTrigger.js.
    @Test @Loop func simpleCronsKeepToTheirStart() async throws {
        let (cluster, journal) = (cronCluster(), Journal<String>())
        let begin: Int64 = 1_700_000_000_000
        _ = try await cronServer(
            cluster, journal,
            [
                try Cron("past", .simple(start: begin - 95_000, period: .seconds(10), count: 2), "note.time"),
                try Cron("over", .simple(start: begin - 1000, period: nil, count: nil), "note.time"),
                try Cron("once", .simple(start: begin + 7000, period: nil, count: nil), "note.time"),
            ])
        await cluster.advance(by: .seconds(60), step: .milliseconds(500))
        #expect(journal.entries == ["5", "7", "15"])
    }

    @Test(arguments: [Duration.zero, .seconds(-1), .microseconds(10)]) func aPeriodThatCannotBeIsAnError(
        _ period: Duration
    ) {
        #expect(throws: PomeloError.self) { try Cron(1, .simple(start: nil, period: period, count: nil), "a.b") }
        #expect(throws: PomeloError.self) { try Cron(1, .simple(start: nil, period: nil, count: 0), "a.b") }
    }

    // MARK: stopping

    @Test @Loop func stoppingWaitsForJobsUnderWay() async throws {
        let (cluster, journal, door) = (cronCluster(), Journal<String>(), Door())
        let app = try await cronServer(cluster, journal, door: door, [try Cron(1, "*/10 * * * * *", "note.time")])
        await cluster.advance(by: .seconds(11), step: .seconds(1))
        app.requestStop()
        await cluster.advance(by: .seconds(5), step: .seconds(1))
        #expect(app.state == .stopping)
        door.open()
        await cluster.settle()
        #expect(app.state == .stopped && cluster.clock.pendingTimers == 0)
        #expect(journal.entries.count == 1)
    }

    @Test @Loop func aJobThatNeverReturnsDoesNotKeepTheServer() async throws {
        let (cluster, journal, door) = (cronCluster(), Journal<String>(), Door())
        let app = try await cronServer(cluster, journal, door: door, [try Cron(1, "*/10 * * * * *", "note.time")])
        await cluster.advance(by: .seconds(11), step: .seconds(1))
        app.requestStop()
        await cluster.advance(by: .seconds(11), step: .seconds(1))
        #expect(app.state == .stopped)
        door.open()
        await cluster.settle()
    }

    private func milliseconds(_ text: String) throws -> Int64 {
        Int64(try Date(text, strategy: .iso8601).timeIntervalSince1970 * 1000)
    }
}
