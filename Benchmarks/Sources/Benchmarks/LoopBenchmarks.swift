// SPDX-License-Identifier: MIT
import Foundation

/// How long a server's loop is away from its sockets at most, while a room of 5000 is pushed to.
struct LoopBenchmarks {
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
            let pooled = try measure(contestants.pooled, route)
            var row = Row(
                name: "longest turn of a \(server) in pushes to 5000, ms CPU (ms late; with 1 member)",
                expected: server == "connector" ? "2.5" : "1.2", plain: plain)
            row.pooled = pooled
            report.add(row)
        }
    }

    private func measure(_ cluster: Cluster, _ route: String) throws -> String {
        let idle = try stats(cluster, route, members: 1, pushes: 2000)
        let busy = try stats(cluster, route, members: 5000, pushes: 100)
        return "\(busy.cpu.text(1)) (\(busy.late.text(1)); \(idle.late.text(1)))"
    }

    /// The longest lateness and CPU time while a room is pushed to, in milliseconds.
    private func stats(
        _ cluster: Cluster, _ route: String, members: Int, pushes: Int
    ) throws -> (late: Double, cpu: Double) {
        let values = try LoadRun.ask(
            contestants.place, "push", ports: cluster.ports, processes: [],
            [
                "connections": "\(members)", "count": "\(pushes)", "room": "loop", "stats": route, "idle": "0",
                "route": "chat.chatHandler.send", "body": PushBenchmarks.body,
            ])
        func value(_ key: String) throws -> Double {
            let parts = (values["stats"] ?? "").split { "{,}".contains($0) }
            guard let part = parts.first(where: { $0.hasPrefix("\"\(key)\":") }),
                let microseconds = part.split(separator: ":").last.flatMap({ Double($0) })
            else { throw Failure("no measurement in \(values)") }
            return microseconds / 1000
        }
        return (try value("longestMicroseconds"), try value("longestCPUMicroseconds"))
    }
}
