// SPDX-License-Identifier: MIT
import Foundation

/// Clients of one Redis, and of a cluster of three, side by side: bare hiredis in C, ours, one on SwiftNIO, and
/// redis-benchmark; on a thousand keys, with values of 32 bytes.
///
/// Clients run on one core and Redis on the other. CPU is the process' own by its clock, of all its threads, after a
/// tenth of the operations; what Redis uses is its main thread's. Allocations are counted in the process by a `malloc`
/// before the C library's, which costs all alike.
struct RedisBenchmarks {
    private static let commands = ["get", "set", "sadd", "evalsha"]
    /// Commands in flight, and how many are sent in all.
    private static let depths = [(1, 20_000), (50, 300_000), (512, 600_000)]
    /// Written before anything was measured, µs of CPU for a GET with 1, 50 and 512 in flight.
    ///
    /// The kernel takes some 15 µs for a command alone, and 0.4 and 0.05 of each among 50 and 512. hiredis formats one
    /// in 0.1, and reads a reply with two allocations in 0.1. Ours: a command made of texts 0.15, encoded 0.1, its
    /// reply as a value 0.2; a task that waits 0.7 more, of which the look for each function's executor is a third, and
    /// none where all tasks are the loop's. SwiftNIO: a promise and its future 0.3 each, the rest as ours.
    private static let contestants = [
        Contestant("hiredis in C, from arguments", expected: "15, 0.65, 0.30", "RedisReference", "argv"),
        Contestant("hiredis in C, formatted before", expected: "15, 0.55, 0.20", "RedisReference", "formatted"),
        Contestant("ours, pipelined", expected: "18, 1.0, 0.70", "RedisLoad", "pipelined"),
        Contestant("ours, awaited each", expected: "18, 1.7, 1.4", "RedisLoad", "awaited"),
        Contestant("ours, pipelined, process-wide executor", expected: "17, 1.0, 0.70", "RedisLoad", "wide-pipelined"),
        Contestant("ours, awaited each, process-wide executor", expected: "18, 1.3, 1.0", "RedisLoad", "wide-awaited"),
        Contestant("SwiftNIO, pipelined", expected: "30, 2.0, 1.5", "RedisNIO", "pipelined", inCluster: false),
        Contestant("SwiftNIO, awaited each", expected: "30, 5, 4", "RedisNIO", "awaited", inCluster: false),
        Contestant("redis-benchmark", expected: "15, 0.6, 0.25", "redis-benchmark", ""),
    ]

    private struct Contestant {
        let name: String
        let expected: String
        let program: String
        let way: String
        let inCluster: Bool

        init(_ name: String, expected: String, _ program: String, _ way: String, inCluster: Bool = true) {
            self.name = name
            self.expected = expected
            self.program = program
            self.way = way
            self.inCluster = inCluster
        }
    }

    /// What one contestant has used in one round, per operation.
    private struct Cost {
        var perSecond: Double
        /// In microseconds, as Redis' own.
        var cpu: Double
        var redis: Double
        var allocations: Double?
    }

    private let place: Workplace
    private let rounds: Int

    init(_ place: Workplace, _ rounds: Int) {
        self.place = place
        self.rounds = rounds
    }

    func run() throws {
        Benchmarks.say("redis")
        let expected = Self.contestants.map { "\($0.name): \($0.expected)" }.joined(separator: "; ")
        Benchmarks.say("expected µs of CPU for a GET with 1, 50, 512 in flight: \(expected)")
        let single = try RedisServers(place)
        try table("one Redis", single, Self.commands, Self.contestants)
        single.stop()
        let cluster = try RedisServers(clusterAt: place)
        try table("a cluster of three", cluster, Self.commands, Self.contestants.filter(\.inCluster))
        cluster.stop()
    }

    private func table(
        _ title: String, _ servers: RedisServers, _ commands: [String], _ contestants: [Contestant]
    ) throws {
        Benchmarks.say("\n\(title)\n")
        Benchmarks.say(
            "| command, in flight | client | operations/s | µs CPU | µs CPU of Redis | allocations |"
                + " operations per CPU second / C, from arguments | … / C, formatted before |")
        Benchmarks.say("|---|---|---|---|---|---|---|---|")
        for (depth, count) in Self.depths {
            for command in commands {
                var costs = contestants.map { _ in [Cost]() }
                for _ in 0..<rounds {
                    for (index, contestant) in contestants.enumerated() {
                        costs[index].append(try measure(contestant, servers, command, depth, count))
                    }
                }
                for (contestant, own) in zip(contestants, costs) {
                    let ratios = costs.prefix(2).map { c in zip(own, c).map { $1.cpu / $0.cpu }.median.text() }
                    let allocations = own.compactMap(\.allocations).median
                    let cells = [
                        "\(command.uppercased()), \(depth)", contestant.name,
                        "\(Int(own.map(\.perSecond).median / 1000)) k", own.map(\.cpu).median.text(),
                        own.map(\.redis).median.text(), own[0].allocations == nil ? "–" : allocations.text(1),
                    ]
                    Benchmarks.say("| " + (cells + ratios).joined(separator: " | ") + " |")
                }
            }
        }
    }

    private func measure(
        _ contestant: Contestant, _ servers: RedisServers, _ command: String, _ depth: Int, _ count: Int
    ) throws -> Cost {
        let redis = servers.cpu
        if contestant.program == "redis-benchmark" {
            let (perSecond, cpu) = try redisBenchmark(servers, command, depth, count)
            return Cost(perSecond: perSecond, cpu: cpu, redis: (servers.cpu - redis) / Double(count) / 1000)
        }
        let line = try Child.output(
            of: [place.program(contestant.program), command, "\(depth)", "\(count)", contestant.way]
                + servers.ports.map { "\($0)" }, core: Workplace.serverCore)
        let values = LoadRun.pairs(line).compactMapValues { Double($0) }
        let operations = values["operations"] ?? 1
        return Cost(
            perSecond: operations / ((values["wall_ns"] ?? 1) / 1_000_000_000),
            cpu: (values["cpu_ns"] ?? 0) / operations / 1000,
            redis: (servers.cpu - redis) / (values["all"] ?? 1) / 1000,
            allocations: (values["allocations"] ?? 0) / operations)
    }

    /// Operations a second by its own account, and its CPU, from start to end.
    private func redisBenchmark(
        _ servers: RedisServers, _ command: String, _ depth: Int, _ count: Int
    ) throws -> (perSecond: Double, cpu: Double) {
        let port = servers.ports[0]
        let isCluster = servers.ports.count > 1
        let key = isCluster ? "key:{tag}:__rand_int__" : "key:__rand_int__"
        let words =
            switch command {
            case "get": ["GET", key]
            case "set": ["SET", key, "0123456789abcdef0123456789abcdef"]
            case "sadd": ["SADD", key.replacing("key", with: "set"), "member"]
            default: ["EVALSHA", try loadScript(servers), "1", key]
            }
        let options = ["-p", "\(port)", "-c", isCluster ? "3" : "1", "-n", "\(count)", "-r", "1000", "--csv"]
        let pipeline = ["-P", "\(isCluster ? max(1, depth / 3) : depth)"]
        let before = Self.childrenCPU
        let output = try Child.output(
            of: ["redis-benchmark"] + options + (isCluster ? ["--cluster"] : []) + pipeline + words,
            core: Workplace.serverCore)
        let cpu = (Self.childrenCPU - before) / Double(count)
        let columns = output.split(separator: "\n").last?.split(separator: "\"").filter { $0 != "," } ?? []
        guard columns.count > 1, let perSecond = Double(columns[1]) else { throw Failure("redis-benchmark: \(output)") }
        return (perSecond, cpu)
    }

    private func loadScript(_ servers: RedisServers) throws -> String {
        try servers.ports.map { port in
            try Child.output(of: ["redis-cli", "-p", "\(port)", "script", "load", "return redis.call('GET', KEYS[1])"])
                .trimmingCharacters(in: .whitespacesAndNewlines)
        }[0]
    }

    /// µs of CPU of all children that have ended.
    private static var childrenCPU: Double {
        var usage = rusage()
        unsafe getrusage(RUSAGE_CHILDREN.rawValue, &usage)
        return [usage.ru_utime, usage.ru_stime].reduce(0) { $0 + Double($1.tv_sec) * 1_000_000 + Double($1.tv_usec) }
    }
}
