// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloSync
import PomeloTesting
import TestHelpers
import Testing

/// The sink on a real server, and on a real cluster.
@Suite("with redis-server", .serialized, .enabled("redis-server is not installed", { await RedisServer.isInstalled() }))
struct RedisSyncSinkTests {
    private static func entry(_ id: Text?, _ value: String, _ number: UInt64, at server: ServerID = "a") -> SyncEntry {
        SyncEntry(
            key: "level", id: id, value: Array(value.utf8), version: SyncVersion(number: number, server: server))
    }

    @Loop private static func value(_ redis: any RedisPort, _ id: String) async throws -> String? {
        try await redis.send(RedisCommand("HGET", "pomelo:sync:level:\(id)", "value")).string
    }

    @Loop private static func check(_ redis: any RedisPort) async throws {
        let sink = RedisSyncSink(redis)
        let ids = (0..<100).map { Text("id-\($0)") }
        let first = try await sink.write(ids.map { entry($0, "1", 10) })
        #expect(first == ids.map { _ in .written })
        for id in ids { #expect(try await value(redis, id.string) == "1") }
        // What is later stays: by the number to its last digit, then by the server.
        let high = UInt64.max - 1
        let steps: [(SyncEntry, String)] = [
            (entry("id-0", "old", 9), "1"), (entry("id-0", "2", high), "2"), (entry("id-0", "3", high - 1), "2"),
            (entry("id-0", "4", high, at: "b"), "4"), (entry("id-0", "5", high), "4"),
            (entry("id-0", "6", high, at: "b"), "4"), (entry("id-0", "7", high + 1), "7"),
        ]
        for (entry, expected) in steps {
            #expect(try await sink.write([entry]) == [.written])
            #expect(try await value(redis, "id-0") == expected)
        }
        // One of another kind is refused, and the others are written.
        try await redis.send(RedisCommand("SET", "pomelo:sync:level:text", "mine"))
        let mixed = try await sink.write([entry("id-1", "8", 11), entry("text", "8", 11), entry("id-2", "8", 11)])
        #expect(mixed.first == .written && mixed.last == .written)
        #expect("\(mixed[1])".contains("refused") && "\(mixed[1])".contains("WRONGTYPE"))
        #expect(try await value(redis, "id-2") == "8")
        for number in 0..<20 { _ = try await sink.write([entry(nil, "\(number)", UInt64(number))]) }
        let list = try await redis.send(RedisCommand("LRANGE", "pomelo:sync:level", 0, -1)).strings
        #expect(list == (0..<20).map(String.init))
        // Many, and longer than one command, among those with ids.
        let long = String(repeating: "x", count: 400_000)
        let many = (0..<10).map { entry(nil, "\($0)\(long)", UInt64($0)) }
        let batch = [entry("id-3", "9", 12)] + many + [entry("id-4", "9", 12)] + [entry(nil, "last", 99)]
        #expect(try await sink.write(batch) == batch.map { _ in .written })
        let all = try await redis.send(RedisCommand("LRANGE", "pomelo:sync:level", 20, -1)).strings ?? []
        #expect(all.map { $0.prefix(1) } == (0..<10).map { "\($0)" } + ["l"])
        #expect(try await value(redis, "id-4") == "9")
    }

    /// A server that is busy for one command of a batch.
    @Test @Loop func noneIsAppendedBehindOneThatFailed() async throws {
        let server = try await RedisServer.start()
        let redis = RedisClient(server.configuration, logger: quiet)
        try await redis.start()
        let port = BusyPort(redis)
        let sink = RedisSyncSink(port)
        let batch = (0..<5).map { Self.entry(nil, "\($0)", UInt64($0)) }
        let outcomes = try await sink.write(batch)
        let there = try await redis.send(RedisCommand("LRANGE", "pomelo:sync:level", 0, -1)).strings ?? []
        #expect(there == outcomes.indices.filter { outcomes[$0] == .written }.map(String.init))
        #expect(outcomes.firstIndex(of: .written) == nil, "behind the first")
        #expect(try await sink.write(batch) == batch.map { _ in .written })
        #expect(
            try await redis.send(RedisCommand("LRANGE", "pomelo:sync:level", 0, -1)).strings
                == ["0", "1", "2", "3", "4"])
        await redis.stop()
        await server.stop()
    }

    @Test @Loop func theLatestStaysOnOneServer() async throws {
        let server = try await RedisServer.start()
        let redis = RedisClient(server.configuration, logger: quiet)
        try await redis.start()
        try await Self.check(redis)
        try await redis.send(RedisCommand("CONFIG", "SET", "maxmemory", 1))
        let full = try await RedisSyncSink(redis).write([Self.entry("x", "1", 1)])
        #expect("\(full)".contains("failed") && "\(full)".contains("OOM"))
        await redis.stop()
        await server.stop()
    }

    @Test @Loop func theRulesOfSinks() async throws {
        let server = try await RedisServer.start(persistent: true, options: ["--appendfsync", "always"])
        let redis = RedisClient(server.configuration, logger: quiet)
        try await redis.start()
        for name in SyncSinkSuite.Case.allCases {
            let suite = SyncSinkSuite {
                RedisSyncSink(redis)
            } spoil: { entry in
                guard let id = entry.id else { return entry }
                try await redis.send(RedisCommand("SET", "pomelo:sync:level:\(id)", "mine"))
                return entry
            } setAway: { isAway in
                if isAway { await server.kill9() } else { try await server.restart() }
                if !isAway {
                    try await eventually("Redis is back") {
                        await thrown { try await redis.send(RedisCommand("SET", "probe", "1")) } == nil
                    }
                }
            }
            do { try await suite.run(name) } catch { Issue.record("\(name): \(error)") }
            try await redis.send(RedisCommand("FLUSHALL"))
        }
        await redis.stop()
        await server.stop()
    }

    @Test @Loop func theLatestStaysOnACluster() async throws {
        let servers = try await RedisClusterServers.start()
        let places = servers.ports.map { SocketAddress(host: "127.0.0.1", port: $0) }
        let redis = RedisClient(RedisConfiguration(.cluster(seeds: places)), logger: quiet)
        try await redis.start()
        try await Self.check(redis)
        await redis.stop()
        await servers.stop()
    }
}

/// The first command that it is given is refused for the moment.
@Loop private final class BusyPort: RedisPort {
    private let redis: RedisClient
    private var isBusy = true

    init(_ redis: RedisClient) { self.redis = redis }

    var isUp: Bool { redis.isUp }
    var isCluster: Bool { redis.isCluster }
    var nodes: [any RedisPort] { redis.nodes }
    var runID: String { redis.runID }

    func pipeline(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        guard isBusy else { return try await redis.pipeline(commands) }
        isBusy = false
        let busy = RedisReply.error("BUSY Redis is busy running a script.")
        return [busy] + (try await redis.pipeline(Array(commands.dropFirst())))
    }

    func execute(_ steps: [RedisStep]) async throws(RedisError) -> [RedisReply] {
        guard isBusy else { return try await redis.execute(steps) }
        isBusy = false
        let busy = RedisReply.error("BUSY Redis is busy running a script.")
        return [busy] + (try await redis.execute(Array(steps.dropFirst())))
    }

    func transaction(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        try await redis.transaction(commands)
    }
    func run(_ script: RedisScript, keys: [String], args: [RedisArgument]) async throws(RedisError) -> RedisReply {
        try await redis.run(script, keys: keys, args: args)
    }
    func observe(_ handler: @escaping @Loop (RedisEvent) -> Void) -> RedisObservation { redis.observe(handler) }
    func unobserve(_ observation: RedisObservation) { redis.unobserve(observation) }
}
