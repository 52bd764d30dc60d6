// SPDX-License-Identifier: MIT
import Logging
import Pomelo
import PomeloRedis
import PomeloUV

/// What `doctor` asks of Redis.
@Loop struct RedisExamination {
    private static let patience = Duration.seconds(3)
    private static let trips = 20
    /// More than this between the clocks, and times in logs of two machines cannot be compared.
    private static let clockStep: Int64 = 1000

    private let configuration: Configuration

    init(_ configuration: Configuration) { self.configuration = configuration }

    func findings() async -> [Finding] {
        let redis: RedisClient
        do {
            let settings = try RedisSettings.load(configuration)
            let network = UVNetwork()
            network.resolver.hosts = try ServerEnvironment().hosts
            var logger = Logger(label: "pomelo.doctor")
            logger.logLevel = .critical
            redis = RedisClient(
                settings, name: settings.clientName(of: "doctor"), resolver: network.resolver, logger: logger)
            try await redis.start(within: Self.patience)
        } catch {
            return [.failure("redis", "\(error)")]
        }
        let findings = await examine(redis)
        await redis.stop()
        return findings
    }

    private func examine(_ redis: RedisClient) async -> [Finding] {
        var findings: [Finding] = []
        for look in [version, roundTrip, clock, durability, memory, rights] {
            do {
                guard let finding = try await SystemClock.shared.within(Self.patience, { try await look(redis) }) else {
                    return findings + [.failure("redis", "it does not answer within \(Self.patience)")]
                }
                findings.append(finding)
            } catch {
                findings.append(.failure("redis", "\(error)"))
            }
        }
        return findings
    }

    private func version(_ redis: RedisClient) async throws -> Finding {
        let info = try await redis.send(RedisCommand("INFO", "server")).string ?? ""
        let version = info.split(whereSeparator: \.isNewline).first { $0.hasPrefix("redis_version:") }
        let kind = redis.isCluster ? "a cluster of \(redis.nodes.count) primaries" : "one server"
        return .ok("redis", "version \(version?.dropFirst("redis_version:".count) ?? "unknown"), \(kind)")
    }

    private func roundTrip(_ redis: RedisClient) async throws -> Finding {
        var times: [UInt64] = []
        for _ in 0..<Self.trips {
            let start = SystemClock.shared.now
            _ = try await redis.send(RedisCommand("TIME"))
            times.append(SystemClock.shared.now - start)
        }
        times.sort()
        let median = Double(times[times.count / 2]) / 1e6
        let most = Double(times[times.count - 1]) / 1e6
        let text = "\(Self.short(median)) ms there and back, \(Self.short(most)) at most"
        return median > 20 ? .warning("round trip", text) : .ok("round trip", text)
    }

    private static func short(_ number: Double) -> String { "\((number * 100).rounded() / 100)" }

    private func clock(_ redis: RedisClient) async throws -> Finding {
        let reply = try await redis.send(RedisCommand("TIME")).array ?? []
        guard reply.count == 2, let seconds = reply[0].string.flatMap({ Int64($0) }) else {
            return .failure("clock", "Redis does not say what time it is")
        }
        let microseconds = reply[1].string.flatMap { Int64($0) } ?? 0
        let apart = SystemClock.shared.wallMilliseconds - (seconds * 1000 + microseconds / 1000)
        let text = "\(abs(apart)) ms \(apart < 0 ? "behind" : "before") that of Redis"
        return abs(apart) > Self.clockStep ? .warning("clock", text) : .ok("clock", text)
    }

    private func durability(_ redis: RedisClient) async throws -> Finding {
        let isOn = try await setting("appendonly", redis) == "yes"
        let fsync = try await setting("appendfsync", redis) ?? "unknown"
        guard isOn else {
            return .warning("durability", "appendonly no: a restart of Redis loses journals of sync; the rest heals")
        }
        return .ok("durability", "appendonly yes, appendfsync \(fsync)")
    }

    private func memory(_ redis: RedisClient) async throws -> Finding {
        let most = try await setting("maxmemory", redis) ?? "0"
        let policy = try await setting("maxmemory-policy", redis) ?? "unknown"
        if most == "0" { return .ok("memory", "without a limit") }
        let text = "maxmemory \(most), \(policy)"
        if policy == "noeviction" { return .ok("memory", text) }
        return .warning("memory", "\(text): keys may vanish; noeviction is right")
    }

    private func setting(_ name: String, _ redis: RedisClient) async throws -> String? {
        let node = redis.nodes.first ?? redis
        let reply = try await node.send(RedisCommand("CONFIG", "GET", name)).array ?? []
        return reply.count == 2 ? reply[1].string : nil
    }

    /// The commands that services need, on a key of its own; what Redis refuses is named.
    private func rights(_ redis: RedisClient) async throws -> Finding {
        let key = RedisArgument.text("pomelo:{\(configuration.clusterName)}:doctor")
        var missing: [String] = []
        // Each kind of key begins with none.
        for words in Self.probes {
            do throws(RedisError) {
                _ = try await redis.send(RedisCommand(words[0], arguments: [key] + words.dropFirst().map { .text($0) }))
            } catch {
                guard "\(error)".contains("NOPERM") || "\(error)".contains("permission") else { throw error }
                missing.append(words[0])
            }
        }
        guard missing.isEmpty else { return .failure("rights", "none for \(missing.joined(separator: ", "))") }
        return .ok("rights", "for all that was tried")
    }

    private static let probes = [
        ["SET", "1"], ["GET"], ["INCR"], ["PEXPIRE", "1000"], ["PTTL"], ["DEL"], ["HSET", "f", "1"], ["HGETALL"],
        ["HDEL", "f"], ["SADD", "m"], ["SMEMBERS"], ["SREM", "m"], ["ZADD", "1", "m"], ["ZRANGE", "0", "-1"],
        ["ZREM", "m"], ["RPUSH", "m"], ["LRANGE", "0", "-1"], ["DEL"], ["XADD", "*", "f", "1"], ["XRANGE", "-", "+"],
        ["UNLINK"],
    ]
}
