// SPDX-License-Identifier: MIT
import Foundation

/// How long a server's loop is away from its sockets at most, while a room of 5000 is pushed to.
struct LoopBenchmarks {
    private static let room = "loop"
    private let contestants: Contestants

    init(_ contestants: Contestants) { self.contestants = contestants }

    /// Expected: a connector writes to 256 of its clients and looks at its sockets again: 256 × 5.5 µs = 1.4 ms, or
    /// enqueues for 2500 in one go: 0.5 ms; a chat never works longer than 0.2 ms. To this the measuring timer adds
    /// its 1 ms, in which the next turn may begin.
    func run(into report: inout Report) throws {
        Benchmarks.say("longest loop turn")
        let routes = [("connector", "connector.entryHandler.stats"), ("chat", "chat.chatHandler.stats")]
        for (server, route) in routes {
            let plain = try measure(contestants.plain, route)
            let processWide = try measure(contestants.processWide, route)
            var row = Row(
                name: "longest turn of a \(server) in pushes to 5000, ms CPU (ms late; idle)",
                expected: server == "connector" ? "2.5" : "1.2", plain: plain)
            row.processWide = processWide
            report.add(row)
        }
    }

    private func measure(_ cluster: Cluster, _ route: String) throws -> String {
        try watch(cluster, route, true)
        Thread.sleep(forTimeInterval: 2)
        let idle = try watch(cluster, route, false)
        try watch(cluster, route, true)
        _ = try LoadRun(
            contestants.place, "push", ports: cluster.ports, processes: [],
            [
                "connections": "5000", "count": "100", "room": Self.room, "route": "chat.chatHandler.send",
                "body": PushBenchmarks.body, "idle": "0",
            ])
        let busy = try watch(cluster, route, false)
        return "\(busy.cpu.text(1)) (\(busy.late.text(1)); \(idle.late.text(1)))"
    }

    /// Starts or ends the measurement; returns the longest lateness and CPU time since the last call, in milliseconds.
    @discardableResult
    private func watch(_ cluster: Cluster, _ route: String, _ on: Bool) throws -> (late: Double, cpu: Double) {
        let answer = try Child.output(of: [
            contestants.place.program("Load"), "ask", "ports=\(cluster.ports[0])", "room=\(Self.room)",
            "route=\(route)", #"body={"watch":\#(on)}"#,
        ])
        func value(_ key: String) throws -> Double {
            guard let part = answer.split(separator: ",").first(where: { $0.contains("\"\(key)\":") }),
                let microseconds = part.split(separator: ":").last.flatMap({ Double($0) })
            else { throw Failure("no measurement in \(answer)") }
            return microseconds / 1000
        }
        return (try value("longestMicroseconds"), try value("longestCPUMicroseconds"))
    }
}
