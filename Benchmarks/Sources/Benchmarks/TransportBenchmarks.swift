// SPDX-License-Identifier: MIT
import Foundation

/// The same echo and the same push over every transport, in one run.
struct TransportBenchmarks {
    /// Expected, in µs: over WebSocket a request has six bytes more to read and unmask, and its message is an array of
    /// its own: 0.3 over TCP's echo. Over socket.io the text is read as JSON, then as UTF-8, and copied twice, 1.5; the
    /// answer is looked at once more before it is written, 0.3; the state of the session 0.5. A push is encoded once,
    /// so its delivery is TCP's over all of them: one `send`.
    private static let transports = [
        (name: "TCP", key: "tcp", echo: "6.0", delivery: "5.5", target: 1.25),
        (name: "WebSocket", key: "websocket", echo: "6.3", delivery: "5.5", target: 1.25),
        (name: "socket.io", key: "socketio", echo: "8.3", delivery: "5.5", target: 1.3),
    ]

    private let contestants: Contestants
    private let rounds: Int

    init(_ contestants: Contestants, _ rounds: Int) {
        self.contestants = contestants
        self.rounds = rounds
    }

    func run(into report: inout Report) throws {
        Benchmarks.say("transports")
        for transport in Self.transports {
            let echo = try measure { try self.echo(transport.key, $0, $1) }
            report.add(row("echo raw 128 B over \(transport.name), µs CPU", transport.echo, echo, target: nil))
        }
        for members in [100, 1000] {
            for transport in Self.transports {
                var round = 0
                let push = try measure {
                    round += 1
                    return try self.push(transport.key, "\(transport.key)-\(members)-\(round)", members, $0, $1)
                }
                let name = "push to \(members) over \(transport.name), delivery, µs CPU a member"
                report.add(row(name, transport.delivery, push, target: transport.target))
            }
        }
    }

    /// Ours and C's in turn.
    private func measure(
        _ run: (_ ports: [Int], _ processes: [Child]) throws -> Double
    ) rethrows -> [(ours: Double, c: Double)] {
        try (0..<rounds).map { _ in
            let c = try run(contestants.c.ports, contestants.c.frontends)
            return (try run(contestants.plain.ports, contestants.plain.connectors), c)
        }
    }

    private func echo(_ transport: String, _ ports: [Int], _ processes: [Child]) throws -> Double {
        let first = [processes[0]]
        return try LoadRun(
            contestants.place, "echo", ports: [ports[0]], processes: first,
            [
                "transport": transport, "connections": "50", "count": "100000", "idle": "0", "bytes": "128",
                "route": "connector.entryHandler.echo",
            ]
        ).cpuEach(first)
    }

    private func push(
        _ transport: String, _ room: String, _ members: Int, _ ports: [Int], _ processes: [Child]
    ) throws -> Double {
        try LoadRun(
            contestants.place, "push", ports: ports, processes: processes,
            [
                "transport": transport, "connections": "\(members)", "count": "\(max(200, 40000 / members))",
                "room": room, "route": "chat.chatHandler.send", "body": PushBenchmarks.body,
            ]
        ).cpuEach(processes) / Double(members)
    }

    private func row(
        _ name: String, _ expected: String, _ values: [(ours: Double, c: Double)], target: Double?
    ) -> Row {
        let ratio = values.map { $0.ours / $0.c }.median
        var row = Row(name: name, expected: expected, plain: values.map(\.ours).median.text())
        row.c = values.map(\.c).median.text()
        row.ratio = ratio.text()
        guard let target else { return row }
        row.target = "≤ \(target) × C"
        row.verdict = ratio <= target ? "yes" : "no"
        return row
    }
}
