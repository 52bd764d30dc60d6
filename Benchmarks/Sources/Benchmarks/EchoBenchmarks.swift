// SPDX-License-Identifier: MIT
import Foundation

/// A request and its answer, on 50 connections with one request in flight each.
struct EchoBenchmarks {
    /// 200 bytes with nine keys, an object, a list and an escape: a chat message as games send it.
    static let typedBody = """
        {"id":1234,"from":"alice","target":"*","text":"see you at the \\"old\\" bridge in 5 minutes, \
        bring others","at":1700000000000,"tags":["lobby","eu-1"],"place":{"x":12.5,"y":-3.25},"urgent":true,"rank":7}
        """

    private let contestants: Contestants
    private let rounds: Int

    init(_ contestants: Contestants, _ rounds: Int) {
        self.contestants = contestants
        self.rounds = rounds
    }

    /// The three values of each round, contestants in turn.
    private struct Series {
        var plain: [Double] = []
        var pooled: [Double] = []
        var c: [Double] = []
        var ratio: Double { zip(plain, c).map { $0 / $1 }.median }
        var pooledRatio: Double { zip(pooled, c).map { $0 / $1 }.median }
    }

    func run(into report: inout Report) throws {
        Benchmarks.say("echo")
        try raw(into: &report)
        try typed(into: &report)
        try forwarded(into: &report)
    }

    /// Expected: read and write cost a C program about 5 µs (two system calls that run the loopback's receive path, and
    /// its share of epoll). A deadline per request, codecs and session copy add 1 µs, and a task for a handler that may
    /// wait 0.5 µs: 6 and 6.5 µs.
    private func raw(into report: inout Report) throws {
        let cases = [
            (name: "handler that is not async", route: "echo", expected: "6.0", target: 1.3),
            (name: "async handler", route: "echoWaiting", expected: "6.5", target: 1.45),
        ]
        for test in cases {
            let series = try measure(route: "connector.entryHandler.\(test.route)", ["bytes": "128"])
            report.add(
                row("echo raw 128 B, \(test.name), µs CPU", test.expected, series, target: "≤ \(test.target) × C") {
                    ($0.ratio <= test.target, $0.pooledRatio <= test.target)
                })
        }
    }

    /// Expected: the raw echo, and 200 bytes of JSON read into a struct (1.8 µs) and written again (1 µs): 9.3 µs.
    private func typed(into report: inout Report) throws {
        let series = try measure(route: "connector.entryHandler.echoTyped", ["body": Self.typedBody])
        report.add(
            row("echo typed 200 B JSON, µs CPU", "9.3", series, target: "≤ 1.8 × C") {
                ($0.ratio <= 1.8, $0.pooledRatio <= 1.8)
            })
    }

    /// Expected: two sockets more, but their bytes of one turn travel together, say five requests at a time: 2 µs a
    /// request in C for both processes. Ours adds two tables, a session copy and the filling of frames: 5 + 2 + 3.
    private func forwarded(into report: inout Report) throws {
        let series = try measure(
            route: "chat.chatHandler.echo", forwarded: true, ["bytes": "128", "room": "echo"])
        report.add(
            row("echo forwarded 128 B, frontend + backend, µs CPU", "10", series, target: "≤ 2.5 × C") {
                ($0.ratio <= 2.5, $0.pooledRatio <= 2.5)
            })
    }

    private func measure(route: String, forwarded: Bool = false, _ body: [String: String]) throws -> Series {
        var options = ["connections": "50", "count": "100000", "idle": "0", "route": route]
        options.merge(body) { _, new in new }
        var series = Series()
        for _ in 0..<rounds {
            let c = contestants.c
            let (plain, pooled) = (contestants.plain, contestants.pooled)
            series.c.append(try run(c.ports[0], [c.frontends[0]] + (forwarded ? [c.backend] : []), options))
            series.plain.append(
                try run(plain.ports[0], [plain.connectors[0]] + (forwarded ? plain.chats : []), options))
            series.pooled.append(
                try run(
                    pooled.ports[0], [pooled.connectors[0]] + (forwarded ? pooled.chats : []), options))
        }
        return series
    }

    private func run(_ port: Int, _ processes: [Child], _ options: [String: String]) throws -> Double {
        try LoadRun(contestants.place, "echo", ports: [port], processes: processes, options).cpuEach(processes)
    }

    private func row(
        _ name: String, _ expected: String, _ series: Series, target: String, _ met: (Series) -> (Bool, Bool)?
    ) -> Row {
        var row = Row(name: name, expected: expected, plain: series.plain.median.text())
        row.pooled = series.pooled.median.text()
        row.c = series.c.median.text()
        row.ratio = "\(series.ratio.text()) (\(series.pooledRatio.text()))"
        row.target = target
        if let (plain, pooled) = met(series) { row.verdict = verdict(plain, pooled) }
        return row
    }
}
