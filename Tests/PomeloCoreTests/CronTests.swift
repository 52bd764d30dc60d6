// SPDX-License-Identifier: MIT
import Foundation
import PomeloCore
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// When crons run, and what they do when it is time.
@Suite struct CronTests {
    // MARK: cron texts

    private static func milliseconds(_ text: String) throws -> Int64 {
        let date = try Date(text, strategy: .iso8601)
        return Int64(date.timeIntervalSince1970 * 1000)
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let text: String
        let after: String
        let next: String
        let zone: String
        var testDescription: String { "\(text) after \(after)" }

        init(_ text: String, after: String, is next: String, in zone: String = "UTC") {
            self.text = text
            self.after = after
            self.next = next
            self.zone = zone
        }
    }

    static let rows: [Row] = [
        Row("0 30 10 * * *", after: "2026-01-01T10:29:59Z", is: "2026-01-01T10:30:00Z"),
        Row("0 30 10 * * *", after: "2026-01-01T10:30:00Z", is: "2026-01-02T10:30:00Z"),
        Row("*/20 * * * * *", after: "2026-01-01T00:00:41Z", is: "2026-01-01T00:01:00Z"),
        Row("0 */5 9-17 * * mon-fri", after: "2026-01-02T17:55:00Z", is: "2026-01-05T09:00:00Z"),
        Row("0 50/5 * * * *", after: "2026-01-01T00:00:00Z", is: "2026-01-01T00:50:00Z"),
        Row("5,7 * * * * *", after: "2026-01-01T00:00:05Z", is: "2026-01-01T00:00:07Z"),
        // Months count from 0, as in the original; names do not.
        Row("0 0 0 1 0 *", after: "2026-03-01T00:00:00Z", is: "2027-01-01T00:00:00Z"),
        Row("0 0 0 31 11 *", after: "2026-03-01T00:00:00Z", is: "2026-12-31T00:00:00Z"),
        Row("0 0 0 1 FEB *", after: "2026-03-01T00:00:00Z", is: "2027-02-01T00:00:00Z"),
        Row("0 0 0 29 1 *", after: "2026-03-01T00:00:00Z", is: "2028-02-29T00:00:00Z"),
        // Day of month and day of week must both match.
        Row("0 0 0 13 * fri", after: "2026-03-14T00:00:00Z", is: "2026-11-13T00:00:00Z"),
        // The clocks skip 2:30 and show it twice.
        Row("0 30 2 * * *", after: "2026-03-28T12:00:00Z", is: "2026-03-29T01:00:00Z", in: "Europe/Berlin"),
        Row("0 30 2 * * *", after: "2026-10-24T12:00:00Z", is: "2026-10-25T00:30:00Z", in: "Europe/Berlin"),
        Row("0 30 2 * * *", after: "2026-10-25T00:30:00Z", is: "2026-10-26T01:30:00Z", in: "Europe/Berlin"),
        Row("0 0 * * * *", after: "2026-10-25T00:00:00Z", is: "2026-10-25T01:00:00Z", in: "Europe/Berlin"),
        Row("0 30 10 * * *", after: "2026-06-01T00:00:00Z", is: "2026-06-01T02:30:00Z", in: "Asia/Shanghai"),
    ]

    @Test(arguments: rows) func theNextTimeIsFound(_ row: Row) throws {
        let next = try CronSchedule(row.text).next(after: try Self.milliseconds(row.after), in: try CronZone(row.zone))
        #expect(next == (try Self.milliseconds(row.next)), "\(Date(timeIntervalSince1970: Double(next) / 1000))")
    }

    /// In the original an impossible date ran once, immediately, and a wrong text ended the process.
    static let wrong: [String: String] = [
        "0 0 0 30 1 *": "never comes", "0 0 0 31 3 *": "never comes", "0 0 0 1 12 *": "January is 0",
        "0 0 24 * * *": "midnight is 0", "0 0 0 * * 7": "Sunday is 0", "30 10 * * *": "put the second in front",
        "60 * * * * *": "second", "*/0 * * * * *": "step", "5-1 * * * * *": "backwards", "a * * * * *": "second",
        "-1 * * * * *": "second", "": "six", "1,,2 * * * * *": "second", "1/ * * * * *": "step",
    ]

    @Test(arguments: wrong.keys.sorted()) func aWrongTextIsAnErrorThatSaysWhy(_ text: String) throws {
        let error = try #require(throws: PomeloError.self) { try CronSchedule(text) }
        #expect(error.code == .configuration && error.message.contains(Self.wrong[text] ?? "?"), "\(error.message)")
    }

    // MARK: crons.json

    /// What a chat server says about a `crons.json` when it starts, and the crons it has.
    @Loop private func start(_ crons: String?) async throws -> (error: String?, crons: [Cron]) {
        let servers = #"{"development":{"chat":[{"id":"chat-1","port":1},{"id":"chat-2","port":2}]}}"#
        var files = ["servers.json": servers, "master.json": ConfigurationTests.master]
        files["crons.json"] = crons
        let folder = try TemporaryFolder(files)
        defer { folder.remove() }
        let clock = ManualClock()
        let random = RandomSource(seed: 1)
        let app = try Application(
            Configuration(folder: folder.path, env: "development"), id: "chat-1",
            world: World(
                clock: clock, random: random, network: MemoryNetwork(clock: clock, random: random).endpoint("chat-1"),
                transport: LoopbackNetwork(clock: clock, random: random).transport(of: "chat-1")))
        try app.handle(Routes { on in on.on(cron: "chatCron.pay") {} })
        do {
            try await app.start()
        } catch let error as PomeloError {
            return (error.message, [])
        }
        await app.stop()
        return (nil, app.crons.all)
    }

    @Test @Loop func theFileIsReadForTheServersTypeAndId() async throws {
        let (error, crons) = try await start(
            """
            {"development":{"chat":[
               {"id":1,"time":"0 30 10 * * *","action":"chatCron.pay"},
               {"id":"b","time":{"start":5,"period":1000,"count":3},"action":"chatCron.pay","serverId":"chat-1"},
               {"id":3,"time":"0 0 0 * * *","action":"chatCron.pay","serverId":"chat-2"}],
             "area":[{"id":1,"time":"0 0 0 * * *","action":"other.job"}]}}
            """)
        #expect(error == nil && crons.map(\.id) == [1, "b"])
        #expect(crons.last?.time == .simple(start: 5, period: .seconds(1), count: 3))
        #expect(try await start(nil).crons == [])
        let flat = try await start(#"{"chat":[{"id":1,"time":"0 0 0 * * *","action":"chatCron.pay"}]}"#)
        #expect(flat.error == nil && flat.crons.count == 1)
    }

    static let badFiles: [String: String] = [
        #"{"id":1,"time":"0 0 0 * * *","action":"none.such"}"#:
            "crons.json: the cron 1 has the action none.such, which nothing serves",
        #"{"id":1,"time":"0 0 0 30 1 *","action":"chatCron.pay"}"#: "crons.json: chat[0] (id 1): time: ",
        #"{"id":1,"time":7,"action":"chatCron.pay"}"#: "time must be",
        #"{"time":"0 0 0 * * *","action":"chatCron.pay"}"#: "crons.json: chat[0]: id must be",
        #"{"id":1,"time":"0 0 0 * * *"}"#: "action is missing",
        #"{"id":1,"action":"chatCron.pay"}"#: "time is missing",
        #"{"id":1,"time":"0 0 0 * * *","action":"chatCron.pay","server":"x"}"#: "unknown key server",
        #"{"id":1,"time":"0 0 0 * * *","action":"chatCron.pay","serverId":"x"}"#: "x is no server of type chat",
        #"{"id":1,"time":{"period":0},"action":"chatCron.pay"}"#: "period",
        #"{"id":1,"time":{"every":1},"action":"chatCron.pay"}"#: "unknown key every",
        #"{"id":1,"time":"0 0 0 * * *","action":"chatCron.pay"},{"id":"1","time":{},"action":"chatCron.pay"}"#:
            "chat[1]: the id 1 is used twice",
    ]

    /// pomelo 2.2.7 crashed on crons without jobs; lib/server/server.js.
    @Test(arguments: badFiles.keys.sorted()) @Loop func aWrongFileStopsTheStart(_ record: String) async throws {
        let error = try await start(#"{"development":{"chat":[\#(record)]}}"#).error
        #expect(error?.contains(Self.badFiles[record] ?? "?") == true, "\(error ?? "no error")")
    }

    // MARK: jobs

    @Test @Loop func jobsRunAtTheirTimesUntilTheyAreRemovedOrTheServerStops() async throws {
        let (cluster, journal) = (cronCluster(), Journal<String>())
        let app = try await cronServer(cluster, journal, [try Cron("a", "*/20 * * * * *", "note.time")])
        await cluster.advance(by: .seconds(65), step: .milliseconds(500))
        // It is 22:13:20 at the start.
        #expect(journal.entries == ["20", "40", "60"])
        app.removeCrons(["a", "nobody"])
        try app.addCrons([try Cron("b", .simple(start: nil, period: .seconds(2), count: 2), "note.time")])
        await cluster.advance(by: .seconds(60), step: .milliseconds(500))
        #expect(journal.entries.count == 5)
        try app.addCrons([try Cron("c", "* * * * * *", "note.failure")])
        await cluster.advance(by: .seconds(3), step: .milliseconds(500))
        #expect(journal.entries.filter { $0 == "failed" }.count >= 2)
        await app.stop()
        let count = journal.entries.count
        await cluster.advance(by: .seconds(30), step: .milliseconds(500))
        #expect(journal.entries.count == count)
    }

    @Test @Loop func aJobThatIsStillRunningIsNotOvertaken() async throws {
        let (cluster, journal, door) = (cronCluster(), Journal<String>(), Door())
        _ = try await cronServer(cluster, journal, door: door, [try Cron("a", "*/10 * * * * *", "note.time")])
        await cluster.advance(by: .seconds(45), step: .milliseconds(500))
        #expect(journal.entries.count == 1)
        door.open()
        await cluster.settle()
        await cluster.advance(by: .seconds(10), step: .milliseconds(500))
        #expect(journal.entries.count == 2)
    }

    /// In the original a time further away than its timer reaches made a busy loop.
    @Test @Loop func aTimeFarAwayIsReachedInItsTime() async throws {
        let (cluster, journal) = (cronCluster(), Journal<String>())
        _ = try await cronServer(cluster, journal, [try Cron("a", "20 13 22 14 11 *", "note.time")])
        await cluster.advance(by: .seconds(86_400 * 29), step: .seconds(3600))
        #expect(journal.entries == [])
        await cluster.advance(by: .seconds(86_400), step: .seconds(600))
        await cluster.advance(by: .seconds(120), step: .seconds(1))
        #expect(journal.entries.count == 1)
    }

    /// pomelo 2.2.7 ran a cron twice whose id was there already; lib/server/server.js.
    @Test @Loop func anIdIsUniqueAndAnActionServed() async throws {
        let (cluster, journal) = (cronCluster(), Journal<String>())
        let app = try await cronServer(cluster, journal, [try Cron(1, "0 0 0 * * *", "note.time")])
        #expect(await failureCode { try app.addCrons([try Cron("1", "0 0 0 * * *", "note.time")]) } == "configuration")
        #expect(await failureCode { try app.addCrons([try Cron(2, "0 0 0 * * *", "none.such")]) } == "configuration")
        #expect(app.crons.all.map(\.id) == [1])
        // Removed and added again under the same id, which the original refused.
        app.removeCrons([1])
        try app.addCrons([try Cron(1, "0 0 0 * * *", "note.time")])
        #expect(app.crons.all.map(\.id) == [1])
    }
}

@Loop func cronCluster() -> TestCluster { TestCluster(TestCluster.records(connectors: 0, chats: 1)) }

/// A chat server at 2023-11-14T22:13:20Z whose crons note when they run.
@Loop func cronServer(
    _ cluster: TestCluster, _ journal: Journal<String>, door: Door? = nil, _ crons: [Cron]
) async throws -> Application {
    try await cluster.start("chat-1") { app in
        app.crons.zone = try CronZone("UTC")
        try app.addCrons(crons)
        try app.handle(
            Routes { on in
                on.on(cron: "note.time") { [unowned app] in
                    journal.note("\((app.clock.wallMilliseconds - 1_700_000_000_000) / 1000)")
                    await door?.pass()
                }
                on.on(cron: "note.failure") {
                    journal.note("failed")
                    throw Fault(1)
                }
            })
    }
}
