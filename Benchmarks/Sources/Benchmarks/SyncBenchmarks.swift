// SPDX-License-Identifier: MIT
import Foundation

/// What `PomeloSync` costs: 10 000 ids, values of at most seven bytes of JSON; on one core, Redis on the other.
///
/// Beside it the original's way, which merges in a dictionary by key and id in one text and has no journal, and direct
/// writes: a HSET for each value, and a transaction of SQLite.
struct SyncBenchmarks {
    /// Written before anything was measured.
    ///
    /// A merge: the id hashed and found 0.10 µs, a version 0.05, the rest 0.10; the dictionary hashes and finds a longer
    /// text that is made first. Awaited with a journal: a task that waits 0.8, the merge 0.25, its field and value
    /// encoded 0.5, sent and confirmed 0.4. A value that waits: id and value in a dictionary that is up to half empty
    /// 80 to 100 bytes, its place in the wheel twice 40; the journal's list 16 more. A flush takes 512 values a turn,
    /// 1 µs each with their encoding; 64 lists are made due in one turn, of 200 000 ids 1 ms.
    private static let expected: [(mode: String, count: Int, name: String, expected: String, target: String)] = [
        ("dictionary", 3_000_000, "merged in a plain dictionary, as the original", "0.20 µs", "–"),
        ("merged", 3_000_000, "exec, memoryOnly", "0.25 µs", "≥ 3 M/s"),
        ("awaited", 3_000_000, "the same, awaited", "0.35 µs", "–"),
        ("journaled", 1_000_000, "exec, everyBatch, 2000 callers await", "2.0 µs", "≥ 400 k/s"),
        ("direct", 1_000_000, "HSET for each, 2000 callers await", "1.6 µs", "–"),
        ("directSQLite", 20_000, "a transaction of SQLite for each", "30 µs", "–"),
        ("pending", 1_000_000, "resident bytes of a value that waits", "150 B", "≤ 200 B"),
        ("pendingJournaled", 1_000_000, "the same, with a journal", "170 B", "≤ 200 B"),
        ("flush", 200_000, "flush of 200 000 values to nowhere", "1.0 µs, longest turn 2 ms", "≤ 5 ms"),
        ("flushSQLite", 200_000, "the same to SQLite", "5 µs, longest turn 2 ms", "≤ 5 ms"),
        ("spread", 1, "peak to mean of values written, in 1/16 of the interval", "1.2", "< 1.5"),
        ("replay", 200_000, "replay of 200 000 values of a dead process", "5 µs", "–"),
    ]

    private let place: Workplace
    private let rounds: Int

    init(_ place: Workplace, _ rounds: Int) {
        self.place = place
        self.rounds = rounds
    }

    func run() throws {
        Benchmarks.say("sync\n")
        Benchmarks.say("| what | expected | each second | µs CPU, and of Redis | more | target |")
        Benchmarks.say("|---|---|---|---|---|---|")
        for test in Self.expected {
            var rates: [Double] = []
            var own: [Double] = []
            var redis: [Double] = []
            var more: [String: [Double]] = [:]
            for _ in 0..<(test.mode == "spread" ? 1 : rounds) {
                let servers = try RedisServers(place)
                if test.mode == "replay" { _ = try load("leave", test.count, servers) }
                let before = servers.cpu
                let values = try load(test.mode, test.count, servers)
                let operations = values["operations"] ?? 1
                redis.append((servers.cpu - before) / operations / 1000)
                servers.stop()
                if let wall = values["wall_ns"], let cpu = values["cpu_ns"] {
                    rates.append(operations / (wall / 1_000_000_000))
                    own.append(cpu / operations / 1000)
                }
                for (name, value) in values { more[name, default: []].append(value) }
            }
            let cells = [
                test.name, test.expected, rates.isEmpty ? "–" : "\(Int(rates.median / 1000)) k",
                own.isEmpty ? "–" : "\(own.median.text()), \(redis.median.text())", Self.more(more, test.count),
                test.target,
            ]
            Benchmarks.say("| " + cells.joined(separator: " | ") + " |")
        }
    }

    private static func more(_ values: [String: [Double]], _ count: Int) -> String {
        var words: [String] = []
        if let bytes = values["bytes"] { words.append("\((bytes.median / Double(count)).text(0)) B") }
        if let turn = values["turn_ns"] { words.append("longest turn \((turn.median / 1_000_000).text(1)) ms of CPU") }
        if let stall = values["stall_ns"] { words.append("\((stall.median / 1_000_000).text(1)) ms of time") }
        if values["stall_ns"] != nil, let wall = values["wall_ns"] {
            words.append("in \((wall.median / 1e9).text()) s")
        }
        if let span = values["replay_ns"] { words.append("first to last \((span.median / 1e9).text()) s") }
        if let ratio = values["peak_to_mean"] { words.append(ratio.median.text()) }
        if let ratio = values["merge_ratio"] { words.append("\(ratio.median.text(1)) calls a write") }
        return words.isEmpty ? "–" : words.joined(separator: ", ")
    }

    private func load(_ mode: String, _ count: Int, _ servers: RedisServers) throws -> [String: Double] {
        let folder = place.folder.appendingPathComponent("\(mode)-\(servers.ports[0])")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let end = mode.hasSuffix("SQLite") ? folder.path : "\(servers.ports[0])"
        let output = try Child.output(
            of: [place.program("SyncLoad"), mode, "\(count)", end], core: Workplace.serverCore)
        guard let line = output.split(separator: "\n").last(where: { $0.hasPrefix("operations=") }) else {
            throw Failure("SyncLoad \(mode): \(output)")
        }
        return LoadRun.pairs(String(line)).compactMapValues { Double($0) }
    }
}
