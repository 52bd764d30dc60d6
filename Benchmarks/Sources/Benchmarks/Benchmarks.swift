// SPDX-License-Identifier: MIT
//
// Benchmarks: what the framework costs, beside bare C doing the same work on its sockets, in the same run.
// Reading order: Benchmarks, DispatchBenchmarks, EchoBenchmarks, PushBenchmarks, TransportBenchmarks,
// LoopBenchmarks, MemoryBenchmarks, RedisBenchmarks, SyncBenchmarks, RedisServers, KeelBenchmarks, KeelPlace;
// Contestant, Identity, LoadRun, Child, Workplace, Report; ServeCommand.
//
// CPU time is the processes' own (user and kernel), less what they use when idle. Contestants take turns, so that a
// busy machine is busy for all of them; the table shows medians over the rounds.
import Foundation

@main struct Benchmarks {
    static let usage = """
        usage: Benchmarks [--rounds N] [--only PART[,PART…]]
                   of dispatch, echo, push, transports, loop, memory, redis, sync, keel
               Benchmarks serve [--no-process-executor]
        """

    private static let parts = ["dispatch", "echo", "push", "transports", "loop", "memory", "redis", "sync", "keel"]

    static func main() {
        do {
            try run(Array(CommandLine.arguments.dropFirst()))
        } catch {
            FileHandle.standardError.write(Data("error: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func run(_ arguments: [String]) throws {
        var words = arguments
        if words.first == "serve" { return try ServeCommand(Array(words.dropFirst())).run() }
        var rounds = 3
        var chosen = parts
        while !words.isEmpty {
            let word = words.removeFirst()
            switch (word, words.first) {
            case ("--rounds", let value?) where Int(value) ?? 0 > 0: rounds = Int(value) ?? rounds
            case ("--only", let list?) where list.split(separator: ",").allSatisfy({ parts.contains(String($0)) }):
                chosen = list.split(separator: ",").map(String.init)
            default: throw Failure(usage)
            }
            words.removeFirst()
        }
        try measure(rounds: rounds, chosen)
    }

    private static func measure(rounds: Int, _ chosen: [String]) throws {
        let place = try Workplace()
        defer { place.close() }
        say("\(ProcessInfo.processInfo.processorCount) CPUs, load average \(Machine.loadAverage), \(rounds) rounds")
        var report = Report()
        if chosen.contains("dispatch") { try DispatchBenchmarks(place, rounds).run(into: &report) }
        if chosen.contains("memory") { try MemoryBenchmarks(place).run(into: &report) }
        if chosen.contains("redis") { try RedisBenchmarks(place, rounds).run() }
        if chosen.contains("sync") { try SyncBenchmarks(place, rounds).run() }
        if chosen.contains("keel") { try KeelBenchmarks(place, rounds).run() }
        if !Set(chosen).isDisjoint(with: ["echo", "push", "transports", "loop"]) {
            let contestants = try Contestants(place)
            if chosen.contains("echo") { try EchoBenchmarks(contestants, rounds).run(into: &report) }
            if chosen.contains("push") { try PushBenchmarks(contestants, rounds).run(into: &report) }
            if chosen.contains("transports") {
                try TransportBenchmarks(contestants, rounds).run(into: &report)
            }
            if chosen.contains("loop") { try LoopBenchmarks(contestants).run(into: &report) }
        }
        say("\nload average at the end \(Machine.loadAverage)\n")
        if !Set(chosen).isSubset(of: ["redis", "sync", "keel"]) { say(report.text) }
    }

    static func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }
}

/// One sentence for the one who started the program.
struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

enum Machine {
    static var loadAverage: String {
        guard let text = FileManager.default.contents(atPath: "/proc/loadavg") else { return "unknown" }
        return String(decoding: text, as: UTF8.self).split(separator: " ").prefix(2).joined(separator: " ")
    }
}
