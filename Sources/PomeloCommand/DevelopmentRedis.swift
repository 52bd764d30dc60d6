// SPDX-License-Identifier: MIT
import Foundation
import Pomelo
import PomeloRedis
import PomeloSupervision
import PomeloUV

/// Redis as `start --redis` brings it along: for development, with its data in a folder.
@Loop struct DevelopmentRedis {
    /// What is started.
    enum Kind: String, CaseIterable {
        /// The one server that `redis.json` means, unless it answers already.
        case standalone
        /// A primary, two replicas and three sentinels.
        case sentinel
        /// Three masters and their replicas.
        case cluster
    }

    private static let patience = Duration.seconds(20)
    let folder: String
    let restarts: RestartRule

    /// Starts it under a supervisor, and returns when it serves; also the address for `REDIS_URL`, if it is another
    /// one than `redis.json` says.
    ///
    /// - Throws: `PomeloError` naming what does not come up; `NetworkError` when redis-server is not installed.
    func start(_ kind: Kind, _ configuration: Configuration, _ supervisor: Supervisor) async throws -> String? {
        switch kind {
        case .standalone: return try await startStandalone(RedisSettings.load(configuration), supervisor)
        case .sentinel: return try await startSentinel(supervisor)
        case .cluster: return try await startCluster(supervisor)
        }
    }

    // MARK: one server

    private func startStandalone(_ settings: RedisConfiguration, _ supervisor: Supervisor) async throws -> String? {
        guard case .standalone(let place) = settings.topology else {
            throw PomeloError(
                .configuration, "Redis is no single server (\(settings.source ?? "")); start it by itself")
        }
        if await answers(place) { return nil }
        guard place.isLoopback, place.port > 0 else {
            throw PomeloError(.unreachable, "Redis at \(place) does not answer (\(settings.source ?? ""))")
        }
        let data = "\(folder)/redis"
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
        let bind = place.host == "localhost" ? "127.0.0.1" : place.host
        let words = ["--port", "\(place.port)", "--bind", bind, "--dir", data, "--appendonly", "yes"]
        try supervisor.start(plan("redis", words))
        try await supervisor.untilUp()
        return nil
    }

    /// Whether somebody listens there; who it is the servers say themselves.
    private func answers(_ place: SocketAddress) async -> Bool {
        let network = UVNetwork()
        do throws(NetworkError) {
            let isPath = place.host.hasPrefix("/")
            let stream =
                isPath
                ? try await network.connect(toPath: place.host)
                : try await network.connect(to: place, within: .seconds(3))
            stream.close()
            return true
        } catch {
            return false
        }
    }

    // MARK: several

    /// Data on ports from 7201, sentinels from 26379.
    ///
    /// What sentinels write into the files of either holds at the next start too.
    private func startSentinel(_ supervisor: Supervisor) async throws -> String? {
        for number in 1...3 {
            let replica = number == 1 ? [] : ["replicaof 127.0.0.1 7201"]
            try supervisor.start(
                try plan("redis-\(number)", "sentinel/\(number)", Self.data(port: 7200 + number) + replica))
        }
        try await supervisor.untilUp()
        let watch = [
            "sentinel monitor mymaster 127.0.0.1 7201 2", "sentinel down-after-milliseconds mymaster 1000",
            "sentinel failover-timeout mymaster 5000",
        ]
        for number in 1...3 {
            let lines = ["port \(26378 + number)", "bind 127.0.0.1"] + watch
            try supervisor.start(
                try plan("sentinel-\(number)", "sentinel/sentinel-\(number)", lines, ["--sentinel"]))
        }
        try await supervisor.untilUp()
        return "redis+sentinel://127.0.0.1:26379,127.0.0.1:26380,127.0.0.1:26381/mymaster/0"
    }

    /// Masters on ports from 7101, replicas behind them; they meet once.
    private func startCluster(_ supervisor: Supervisor) async throws -> String? {
        let met = "\(folder)/cluster/met"
        if !FileManager.default.fileExists(atPath: met) {
            Files.remove("\(folder)/cluster")
        }
        for number in 1...6 {
            let own = ["cluster-enabled yes", "cluster-port \(7110 + number)", "cluster-node-timeout 2000"]
            try supervisor.start(
                try plan("redis-\(number)", "cluster/\(number)", Self.data(port: 7100 + number) + own))
        }
        try await supervisor.untilUp()
        if !FileManager.default.fileExists(atPath: met) {
            let nodes = (1...6).map { "127.0.0.1:\(7100 + $0)" }
            try await tell(["--cluster", "create"] + nodes + ["--cluster-replicas", "1", "--cluster-yes"])
            try Data().write(to: URL(fileURLWithPath: met))
        }
        for number in 1...6 { try await untilWhole(port: 7100 + number) }
        return "redis+cluster://127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103"
    }

    private func untilWhole(port: Int) async throws {
        let clock = SystemClock.shared
        let deadline = clock.deadline(after: Self.patience)
        while true {
            let lines = try await tell(["-p", "\(port)", "cluster", "info"])
            if lines.contains(where: { $0.hasPrefix("cluster_state:ok") }) { return }
            guard clock.now < deadline else {
                throw PomeloError(.unreachable, "the Redis Cluster in \(folder)/cluster is not whole")
            }
            await clock.sleep(for: .milliseconds(100))
        }
    }

    @discardableResult
    private func tell(_ words: [String]) async throws -> [String] {
        let (ending, lines) = try await ChildProcess.run(.init("redis-cli", words))
        guard ending == .exited(0) else {
            throw PomeloError(.unreachable, "redis-cli: \(lines.suffix(3).joined(separator: "; "))")
        }
        return lines
    }

    // MARK: plans

    private static func data(port: Int) -> [String] {
        ["port \(port)", "bind 127.0.0.1", "appendonly yes", "repl-diskless-sync-delay 0"]
    }

    private func plan(_ name: String, _ words: [String]) -> ProcessPlan {
        ProcessPlan(name, .store, .init("redis-server", words), restarts: restarts) {
            $0.contains("Ready to accept connections") || $0.contains("Sentinel ID is")
        }
    }

    /// With a file of options, which is written once.
    private func plan(_ name: String, _ place: String, _ lines: [String], _ words: [String] = []) throws -> ProcessPlan
    {
        let own = "\(folder)/\(place)"
        try FileManager.default.createDirectory(atPath: own, withIntermediateDirectories: true)
        let file = "\(own)/redis.conf"
        if !FileManager.default.fileExists(atPath: file) {
            try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: file))
        }
        return plan(name, [file, "--dir", own] + words)
    }
}
