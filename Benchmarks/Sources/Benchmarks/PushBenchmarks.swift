// SPDX-License-Identifier: MIT
import Foundation

/// One message to a room whose members are spread over two connectors, one push after the other.
struct PushBenchmarks {
    static let body = #"{"ts":1700000000000,"content":"see you at the bridge in five minutes"}"#
    private static let sizes = [10, 100, 1000, 5000]
    /// Longer than a push to the most members takes, so that the sender rests equally long for all sizes.
    private static let pace = 60

    private let contestants: Contestants
    private let rounds: Int

    init(_ contestants: Contestants, _ rounds: Int) {
        self.contestants = contestants
        self.rounds = rounds
    }

    private struct Series {
        var sender: [Double] = []
        var delivery: [Double] = []
        var commands: [Double] = []
        var idleCommands: [Double] = []

        static func ratio(_ values: [Double], _ c: [Double]) -> Double { zip(values, c).map { $0 / $1 }.median }
    }

    func run(into report: inout Report) throws {
        Benchmarks.say("push")
        for members in Self.sizes {
            var plain = Series()
            var pooled = Series()
            var c = Series()
            let count = max(200, 20000 / members)
            for round in 0..<rounds {
                let room = "push-\(members)-\(round)"
                try runC(members, count, room, into: &c)
                try runOurs(contestants.plain, members, count, room, into: &plain)
                try runOurs(contestants.pooled, members, count, room, into: &pooled)
            }
            report.add(sender(members, plain, pooled, c))
            report.add(delivery(members, plain, pooled, c))
            report.add(commands(members, count, plain, pooled))
        }
        for members in [Self.sizes[0], Self.sizes[3]] { report.add(try paced(members)) }
    }

    /// The sender at one pace for all sizes. Expected: the same for all of them, above the rows without a pace by what
    /// caches gone cold and a processor that slept cost; C shows how much that is.
    private func paced(_ members: Int) throws -> Row {
        var ours = Series()
        var c = Series()
        for round in 0..<rounds {
            let room = "paced-\(members)-\(round)"
            try runC(members, 100, room, every: Self.pace, into: &c)
            try runOurs(contestants.plain, members, 100, room, every: Self.pace, into: &ours)
        }
        var row = Row(
            name: "push to \(members) each \(Self.pace) ms, sender, µs CPU", expected: "3 × C",
            plain: ours.sender.median.text(1))
        row.c = c.sender.median.text(1)
        row.ratio = Series.ratio(ours.sender, c.sender).text()
        row.target = "flat"
        return row
    }

    /// Expected: the request comes in and its answer leaves, two calls leave and two confirmations come in, each in a
    /// turn of its own: seven system calls of 2 µs, four wake-ups of 1.5 µs and 5 µs of code; nothing grows with
    /// members but the time since its last turn, in which its caches go cold. C shows how much that is.
    private func sender(_ members: Int, _ plain: Series, _ pooled: Series, _ c: Series) -> Row {
        var row = Row(
            name: "push to \(members), sender, µs CPU", expected: "25", plain: plain.sender.median.text(1))
        row.pooled = pooled.sender.median.text(1)
        row.c = c.sender.median.text(1)
        let ratios = [plain, pooled].map { Series.ratio($0.sender, c.sender).text() }
        row.ratio = "\(ratios[0]) (\(ratios[1]))"
        row.target = "≤ 30, flat"
        row.verdict = verdict(plain.sender.median <= 30, pooled.sender.median <= 30)
        return row
    }

    /// Expected: one `send` on loopback, which also runs the receiver's half of TCP: 5 µs; our own code under 0.3 µs.
    /// For 10 members the call and its confirmation, 20 µs at each connector, are not yet spread thin: 9 µs.
    private func delivery(_ members: Int, _ plain: Series, _ pooled: Series, _ c: Series) -> Row {
        var row = Row(
            name: "push to \(members), delivery, µs CPU a member", expected: members == 10 ? "9" : "5.5",
            plain: plain.delivery.median.text())
        let ratios = [plain, pooled].map { Series.ratio($0.delivery, c.delivery) }
        row.pooled = pooled.delivery.median.text()
        row.c = c.delivery.median.text()
        row.ratio = "\(ratios[0].text()) (\(ratios[1].text()))"
        row.target = "≤ 1.25 × C"
        row.verdict = verdict(ratios[0] <= 1.25, ratios[1] <= 1.25)
        return row
    }

    /// Expected: 0, for members are known where their sockets are. Leases go on meanwhile, so what the idle cluster
    /// sends in the same time is taken off, and the rest must vanish in the number of pushes.
    private func commands(_ members: Int, _ pushes: Int, _ plain: Series, _ pooled: Series) -> Row {
        func more(_ series: Series) -> Double {
            zip(series.commands, series.idleCommands).map { ($0 - $1) / Double(pushes) }.median
        }
        let commands = Int(plain.commands.median)
        let idle = Int(plain.idleCommands.median)
        var row = Row(
            name: "push to \(members), Redis commands a push (all \(commands), idle \(idle))", expected: "0",
            plain: max(0, more(plain)).text())
        row.pooled = max(0, more(pooled)).text()
        row.target = "0"
        row.verdict = verdict(more(plain) < 0.5, more(pooled) < 0.5)
        return row
    }

    private func options(_ members: Int, _ count: Int, _ room: String, _ every: Int) -> [String: String] {
        [
            "connections": "\(members)", "count": "\(count)", "room": room, "route": "chat.chatHandler.send",
            "body": Self.body, "every": "\(every)",
        ]
    }

    private func runOurs(
        _ cluster: Cluster, _ members: Int, _ count: Int, _ room: String, every: Int = 0,
        into series: inout Series
    ) throws {
        var options = options(members, count, room, every)
        options["redis"] = "\(cluster.redis)"
        let run = try LoadRun(
            contestants.place, "push", ports: cluster.ports, processes: cluster.all, options)
        // The room lives on one of the chats; the other one idles.
        series.sender.append(cluster.chats.map { run.cpuEach([$0]) }.max() ?? 0)
        series.delivery.append(run.cpuEach(cluster.connectors) / Double(members))
        series.commands.append(Double(run.redisCommands))
        series.idleCommands.append(Double(run.redisIdle))
    }

    private func runC(
        _ members: Int, _ count: Int, _ room: String, every: Int = 0, into series: inout Series
    ) throws {
        let c = contestants.c
        let run = try LoadRun(
            contestants.place, "push", ports: c.ports, processes: c.all, options(members, count, room, every))
        series.sender.append(run.cpuEach([c.backend]))
        series.delivery.append(run.cpuEach(c.frontends) / Double(members))
    }
}
