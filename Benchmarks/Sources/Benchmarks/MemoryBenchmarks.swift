// SPDX-License-Identifier: MIT
import Foundation

/// What 10 000 clients cost that have shaken hands and do nothing, in the server's own memory (the kernel's is the
/// same for all).
struct MemoryBenchmarks {
    private let place: Workplace

    init(_ place: Workplace) { self.place = place }

    private struct Case {
        let name: String
        let transport: String
        let expected: Int
        /// In KiB.
        let limit: Double
        var isEncrypted = false
    }

    private static let cases = [
        Case(name: "TCP", transport: "tcp", expected: 900, limit: 1),
        Case(name: "WebSocket", transport: "websocket", expected: 900, limit: 1),
        Case(name: "WebSocket, permessage-deflate without context", transport: "deflate", expected: 950, limit: 2),
        Case(name: "TCP within TLS", transport: "tls", expected: 17_300, limit: 18, isEncrypted: true),
        Case(name: "wss", transport: "wss", expected: 17_300, limit: 18, isEncrypted: true),
    ]

    /// Expected at first: a stream with its libuv handle 450 B, a connection with its decoder 350 B, a session 200 B, a timer
    /// 80 B, entries in two tables 150 B: 1.2 KB; over WebSocket a longer decoder, 100 B more. In C a handle and 40 B.
    /// It was 0.9 KB. Compression is the port's, and a client's part of it is one object, 50 B. Within TLS OpenSSL
    /// keeps 16 KB for each, the stream over the stream and its engine are 0.4 KB.
    func run(into report: inout Report) throws {
        Benchmarks.say("memory")
        let identity = try Identity(place)
        for test in Self.cases {
            let options = ["connections": "10000", "transport": test.transport]
            let ours = try ours(options, test.isEncrypted ? identity : nil)
            let c = try c(options, test.isEncrypted ? identity : nil)
            var row = Row(name: "idle \(test.name) client, bytes", expected: "\(test.expected)", plain: ours.text(0))
            row.c = c.text(0)
            row.ratio = (ours / c).text(1)
            row.target = "≤ \(test.limit.text(0)) KB"
            row.verdict = ours <= test.limit * 1024 ? "yes" : "no"
            report.add(row)
        }
    }

    private func ours(_ options: [String: String], _ identity: Identity?) throws -> Double {
        let cluster = try Cluster(
            place, "idle-\(options["transport"] ?? "")", processExecutor: true, identity: identity)
        defer { cluster.stop() }
        return try bytes(cluster.ports[0], cluster.connectors[0], options)
    }

    private func c(_ options: [String: String], _ identity: Identity?) throws -> Double {
        let port = try place.freePorts(1)[0]
        let command = [place.program("Reference"), "frontend", "\(port)"] + (identity.map { [$0.option] } ?? [])
        let server = try place.start("c-idle", command)
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
