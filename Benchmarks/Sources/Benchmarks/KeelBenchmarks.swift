// SPDX-License-Identifier: MIT
import Foundation

/// What plugins in other processes cost: a request that is routed to one, beside nginx as a bare proxy before the same
/// plugin; and a request of a client that a plugin judges, beside one that nobody does.
///
/// The load is that of wrk, one thread with 50 connections, on the core of the plugin; the routers have the other one.
struct KeelBenchmarks {
    private let place: Workplace
    private let rounds: Int

    init(_ place: Workplace, _ rounds: Int) {
        self.place = place
        self.rounds = rounds
    }

    private struct Series {
        var rate: [Double] = []
        var cpu: [Double] = []
    }

    /// Expected: nginx reads and writes on either side, four system calls and two heads, 25 µs. Ours does the same in
    /// NIO and AsyncHTTPClient, which make an object of each part of a message and a task of each request: 70 µs; two
    /// hops between threads, 10; the decision with a look at the registry, headers and a token that is remembered, 10.
    /// A question that nobody answers is a look-up, 0.2 µs; one of the own process a task and a timer, 3 µs; of a
    /// plugin a call as above without a caller's half, 60 µs, and its JSON twice, 5.
    func run() throws {
        let keel = try KeelPlace(place)
        defer { keel.stop() }
        let cluster = try Cluster(place, "keel", processExecutor: true, keelSecret: KeelPlace.secret)
        defer { cluster.stop() }
        try keel.register(at: cluster.keelPorts[0])
        let routed = "http://127.0.0.1:\(cluster.keelPorts[0])/v1.0/invoke/keel/method/\(KeelPlace.plugin)/x"
        try KeelPlace.awaitAnswer(routed)
        Benchmarks.say("keel\n\n| what | expected | each second | µs CPU | × |\n|---|---|---|---|---|")
        try routing(keel, cluster, routed)
        try asking(cluster)
    }

    private func routing(_ keel: KeelPlace, _ cluster: Cluster, _ routed: String) throws {
        var (nginx, ours) = (Series(), Series())
        let worker = try keel.proxyWorker
        for _ in 0..<rounds {
            try measure("http://127.0.0.1:\(keel.proxyPort)/x", [worker], into: &nginx)
            try measure(routed, [cluster.chats[0].pid], into: &ours)
        }
        say("a request through nginx to a plugin", "25 µs", nginx, beside: nginx)
        say("the same through a host of plugins", "90 µs", ours, beside: nginx)
    }

    private func asking(_ cluster: Cluster) throws {
        let cases = [("nobody", "12 µs"), ("body", "15 µs"), ("plugin", "75 µs")]
        var series = [String: Series]()
        for _ in 0..<rounds {
            for (whom, _) in cases {
                let options = [
                    "connections": "50", "count": "20000", "idle": "0", "route": "chat.chatHandler.asked",
                    "body": #"{"whom":"\#(whom)","text":"see you at the old bridge in five minutes"}"#,
                ]
                let processes = [cluster.connectors[0]] + cluster.chats
                let begun = Date()
                let run = try LoadRun(place, "echo", ports: [cluster.ports[0]], processes: processes, options)
                series[whom, default: Series()].cpu.append(run.cpuEach(processes))
                // A tenth more are sent before, to warm up.
                series[whom, default: Series()].rate.append(run.operations * 1.1 / -begun.timeIntervalSinceNow)
            }
        }
        let first = series["nobody"] ?? Series()
        for (whom, expected) in cases {
            say("a client's request that asks: \(whom)", expected, series[whom] ?? Series(), beside: first)
        }
    }

    private func say(_ name: String, _ expected: String, _ series: Series, beside other: Series) {
        let ratio = zip(series.cpu, other.cpu).map { $0 / $1 }.median
        let cells = [
            name, expected, "\((series.rate.median / 1000).text(1)) k", series.cpu.median.text(1), ratio.text(),
        ]
        Benchmarks.say("| " + cells.joined(separator: " | ") + " |")
    }

    /// Three seconds of requests.
    private func measure(_ url: String, _ processes: [Int32], into series: inout Series) throws {
        let before = Self.cpu(processes)
        let text = try Child.output(of: ["wrk", "-t1", "-c50", "-d3s", url], core: Workplace.loadCore)
        let used = Self.cpu(processes) - before
        guard !text.contains("Non-2xx"), !text.contains("Socket errors"),
            let line = text.split(separator: "\n").first(where: { $0.contains("requests in") }),
            let count = line.split(separator: " ").first.flatMap({ Double($0) }), count > 0
        else { throw Failure("wrk \(url): \(text)") }
        series.rate.append(count / 3)
        series.cpu.append(used / count)
    }

    /// Microseconds of CPU time, of all threads, in steps of the clock's ticks.
    private static func cpu(_ processes: [Int32]) -> Double {
        processes.reduce(0) { sum, pid in
            let text = FileManager.default.contents(atPath: "/proc/\(pid)/stat") ?? Data()
            // Behind the name, which may have anything in it: utime and stime are fields 14 and 15 of proc(5).
            let fields = String(decoding: text, as: UTF8.self).split(separator: ")").last?.split(separator: " ") ?? []
            guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return sum }
            return sum + (user + system) * 1_000_000 / Double(sysconf(Int32(_SC_CLK_TCK)))
        }
    }
}
