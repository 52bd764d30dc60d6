// SPDX-License-Identifier: MIT
import Foundation

/// The same echo and the same push over every transport, in one run; then a longer message over a WebSocket, as it is
/// and compressed.
struct TransportBenchmarks {
    /// Expected, in µs: over WebSocket a request has six bytes more to read and unmask, and its message is an array of
    /// its own: 0.3 over TCP's echo. Over socket.io the text is read as JSON, then as UTF-8, and copied twice, 1.5; the
    /// answer is looked at once more before it is written, 0.3; the state of the session 0.5. A push is encoded once,
    /// so its delivery is TCP's over all of them: one `send`.
    ///
    /// Within TLS each message is a record: to open or to seal one takes OpenSSL 1.2, of which AES is a tenth; what is
    /// around it in ours, four arrays and a second stream, 0.7. A push is sealed for each member: 1.2 and 0.5.
    private static let transports = [
        (name: "TCP", key: "tcp", echo: "6.0", delivery: "5.5", target: 1.25 as Double?),
        (name: "WebSocket", key: "websocket", echo: "6.3", delivery: "5.5", target: 1.25),
        (name: "socket.io", key: "socketio", echo: "8.3", delivery: "5.5", target: 1.3),
        (name: "wss", key: "wss", echo: "9.4", delivery: "7.2", target: nil),
    ]
    /// 590 bytes: what is shorter than 512 is not compressed.
    private static let longBody =
        #"{"ts":1700000000000,"content":"Of what was said that evening at the old bridge little is known for certain. "#
        + "The ferryman, who had been asked to wait, tells everybody who buys him a drink that there were seven of "
        + "them, and that two left before midnight; the miller's daughter remembers nine lanterns and a quarrel over "
        + "a map. Whoever wants to see for themselves may join us tomorrow at noon, in front of the northern gate: "
        + "bring rope, bread for three days, dry socks, and nothing that shines in the dark. Latecomers find our "
        + #"signs on every third tree, on the left."}"#

    private let contestants: Contestants
    private let rounds: Int

    init(_ contestants: Contestants, _ rounds: Int) {
        self.contestants = contestants
        self.rounds = rounds
    }

    func run(into report: inout Report) throws {
        Benchmarks.say("transports")
        let identity = try Identity(contestants.place)
        let cluster = try Cluster(contestants.place, "encrypted", processExecutor: true, identity: identity)
        defer { cluster.stop() }
        let c = try CPrograms(contestants.place, "c-encrypted", [identity.option])
        defer { c.stop() }
        for transport in Self.transports {
            let echo = try measure(transport.key, cluster, c) { try self.echo(transport.key, ["bytes": "128"], $0) }
            report.add(row("echo raw 128 B over \(transport.name), µs CPU", transport.echo, echo, target: nil))
        }
        for members in [100, 1000] {
            for transport in Self.transports {
                let push = try measure(transport.key, cluster, c) {
                    try self.push(transport.key, members, PushBenchmarks.body, $0)
                }
                let name = "push to \(members) over \(transport.name), delivery, µs CPU a member"
                report.add(row(name, transport.delivery, push, target: transport.target))
            }
        }
        try compressed(into: &report)
    }

    // MARK: compressed

    /// Expected, in µs: zlib takes 4 to inflate 590 bytes and 10 to deflate them, on either side of the comparison:
    /// an echo goes from 6.5 to 20.5. A push is deflated once at each connector, 10 for all of its members there: 5.7
    /// for 50 of them and 5.5 for 500, as plain. A server that deflates for each member takes 15.
    private func compressed(into report: inout Report) throws {
        Benchmarks.say("590 bytes over WebSocket, plain and compressed")
        let each = try CPrograms(contestants.place, "c-each", ["deflate=each"])
        defer { each.stop() }
        let body = ["body": Self.longBody]
        add("echo raw 590 B", ("6.5", "20.5"), nil, try compare(nil) { try echo($0, body, $1) }, into: &report)
        for members in [100, 1000] {
            let pairs = try compare(each) { try push($0, members, Self.longBody, $1) }
            let name = "push of 590 B to \(members), delivery"
            add(name, ("5.5", members == 100 ? "5.7" : "5.5"), 1.2, pairs, into: &report)
            var row = Row(name: "\(name), C that deflates for each, µs CPU a member", expected: "15", plain: "–")
            row.c = pairs.compactMap(\.each).median.text()
            report.add(row)
        }
    }

    /// Ours and C's of one message, both ways.
    private struct Pair {
        var plain: (ours: Double, c: Double)
        var deflated: (ours: Double, c: Double)
        /// Of the C program that deflates for each member.
        var each: Double?
    }

    private func compare(
        _ each: CPrograms?, _ run: (_ transport: String, Side) throws -> Double
    ) rethrows -> [Pair] {
        try (0..<rounds).map { _ in
            let (ours, c) = (self.ours(contestants.plain), self.c(contestants.c))
            let plainC = try run("websocket", c)
            let plain = try run("websocket", ours)
            let deflatedC = try run("deflate", c)
            let deflated = try run("deflate", ours)
            let each = try each.map { try run("deflate", self.c($0)) }
            return Pair(plain: (plain, plainC), deflated: (deflated, deflatedC), each: each)
        }
    }

    private func add(
        _ name: String, _ expected: (plain: String, deflated: String), _ target: Double?, _ pairs: [Pair],
        into report: inout Report
    ) {
        let unit = name.hasPrefix("push") ? "µs CPU a member" : "µs CPU"
        report.add(row("\(name), plain, \(unit)", expected.plain, pairs.map(\.plain), target: target.map { _ in 1.25 }))
        report.add(row("\(name), compressed, \(unit)", expected.deflated, pairs.map(\.deflated), target: nil))
        let ratio = pairs.map { $0.deflated.ours / $0.plain.ours }.median
        var row = Row(name: "\(name), compressed / plain", expected: "", plain: ratio.text())
        row.c = pairs.map { $0.deflated.c / $0.plain.c }.median.text()
        if let target {
            row.target = "≤ \(target)"
            row.verdict = ratio <= target ? "yes" : "no"
        }
        report.add(row)
    }

    // MARK: runs

    private typealias Side = (ports: [Int], processes: [Child])
    private func ours(_ cluster: Cluster) -> Side { (cluster.ports, cluster.connectors) }
    private func c(_ programs: CPrograms) -> Side { (programs.ports, programs.frontends) }

    /// Ours and C's in turn.
    private func measure(
        _ transport: String, _ encrypted: Cluster, _ encryptedC: CPrograms, _ run: (Side) throws -> Double
    ) rethrows -> [(ours: Double, c: Double)] {
        let isEncrypted = transport == "wss"
        return try (0..<rounds).map { _ in
            let c = try run(c(isEncrypted ? encryptedC : contestants.c))
            return (try run(ours(isEncrypted ? encrypted : contestants.plain)), c)
        }
    }

    private func echo(_ transport: String, _ body: [String: String], _ side: Side) throws -> Double {
        let first = [side.processes[0]]
        var options = [
            "transport": transport, "connections": "50", "count": "100000", "idle": "0",
            "route": "connector.entryHandler.echo",
        ]
        options.merge(body) { _, new in new }
        return try LoadRun(contestants.place, "echo", ports: [side.ports[0]], processes: first, options)
            .cpuEach(first)
    }

    private func push(_ transport: String, _ members: Int, _ body: String, _ side: Side) throws -> Double {
        try LoadRun(
            contestants.place, "push", ports: side.ports, processes: side.processes,
            [
                "transport": transport, "connections": "\(members)", "count": "\(max(200, 40000 / members))",
                "room": "room-\(UUID())", "route": "chat.chatHandler.send", "body": body,
            ]
        ).cpuEach(side.processes) / Double(members)
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
