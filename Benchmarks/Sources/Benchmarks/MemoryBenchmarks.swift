// SPDX-License-Identifier: MIT
import Foundation

/// What 10 000 clients cost that have shaken hands and do nothing, in the server's own memory (the kernel's is the
/// same for all).
struct MemoryBenchmarks {
    private let place: Workplace

    init(_ place: Workplace) { self.place = place }

    /// Expected: a stream with its libuv handle 450 B, a connection with its decoder 350 B, a session 200 B, a timer
    /// 80 B, entries in two tables 150 B: 1.2 KB; over WebSocket a longer decoder, 100 B more. In C a handle and 40 B.
    func run(into report: inout Report) throws {
        Benchmarks.say("memory")
        for (name, transport, limit) in [("TCP", "tcp", 1.5), ("WebSocket", "websocket", 2.0)] {
            let options = ["connections": "10000", "transport": transport]
            let ours = try ours(options)
            let c = try c(options)
            var row = Row(
                name: "idle \(name) client, bytes", expected: transport == "tcp" ? "1200" : "1300",
                plain: ours.text(0))
            row.c = c.text(0)
            row.ratio = (ours / c).text(1)
            row.target = "≤ \(limit.text(1)) KB"
            row.verdict = ours <= limit * 1024 ? "yes" : "no"
            report.add(row)
        }
    }

    private func ours(_ options: [String: String]) throws -> Double {
        let cluster = try Cluster(place, "idle-\(options["transport"] ?? "")", processExecutor: true)
        defer { cluster.stop() }
        return try bytes(cluster.ports[0], cluster.connectors[0], options)
    }

    private func c(_ options: [String: String]) throws -> Double {
        let port = try place.freePorts(1)[0]
        let server = try place.start("c-idle", [place.program("Reference"), "frontend", "\(port)"])
        defer { server.stop() }
        try server.awaitOutput("up")
        return try bytes(port, server, options)
    }

    private func bytes(_ port: Int, _ server: Child, _ options: [String: String]) throws -> Double {
        let values = try LoadRun.ask(place, "idle", ports: [port], processes: [server], options)
        guard let bytes = values["bytes_each"].flatMap({ Double($0) }) else { throw Failure("no measurement") }
        return bytes
    }
}
