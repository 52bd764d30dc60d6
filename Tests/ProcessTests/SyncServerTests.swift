// SPDX-License-Identifier: MIT
import Glibc
import PomeloBytes
import PomeloJSON
import PomeloLoop
import PomeloRedis
import PomeloSync
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

@testable import SyncServer

/// One server that keeps numbers: how it starts, and how it ends in haste.
@Suite(.serialized) struct SyncServerTests {
    /// One server on a Redis with such options, and a Redis of its own for a sink.
    @Loop private static func with(
        redis options: [String],
        _ body: @Loop (ServerProcesses, ServerProcesses.Server, RedisServer) async throws -> Void
    ) async throws {
        let processes = try await ServerProcesses.prepare(
            "SyncServer", config: "Tests/SyncServer/config", redis: options)
        let sink = try await RedisServer.start()
        try processes.write(
            "sink", ["development": ["kind": "redis", "place": .string("redis://127.0.0.1:\(sink.port)")]])
        let result: Result<Void, any Error>
        do {
            try await start(processes)
            result = .success(try await body(processes, processes["keeper-1"], sink))
        } catch {
            result = .failure(error)
        }
        try await processes.stop()
        await sink.stop()
        try result.get()
    }

    @Loop private static func start(_ processes: ServerProcesses) async throws {
        try processes.launch("keeper-1")
        try await processes.awaitUp("keeper-1")
    }

    @Test @Loop func aStartWarnsOfARedisThatMayLoseTheJournal() async throws {
        let options = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]
        try await Self.with(redis: options) { _, server, _ in
            let text = server.lines.joined(separator: "\n")
            #expect(text.contains("a restart of Redis loses its journal: appendonly is no"))
            #expect(text.contains("a full Redis may evict journals: maxmemory-policy is allkeys-lru"))
        }
        try await Self.with(redis: ["--appendonly", "yes"]) { _, server, _ in
            #expect(!server.lines.contains { $0.contains("warning") && $0.contains("sync:") })
        }
    }

    /// The first signal waits for a sink that does not answer, the second one does not.
    @Test @Loop func aSecondSignalEndsAStopAndTheJournalKeepsTheRest() async throws {
        try await Self.with(redis: ["--appendonly", "yes"]) { processes, server, sink in
            let client = try await processes.connect("keeper-1")
            sink.pause()
            let answer = try await client.request("keeper.handler.keep", ["first": 1, "count": 200, "ids": 1_000_000])
            #expect(answer["fault"]?.string == nil)
            server.signal(SIGTERM)
            _ = try await client.closed()
            #expect(server.status == nil)
            server.signal(SIGTERM)
            let (ending, took) = try await timed { try await processes.awaitExit("keeper-1") }
            #expect(ending != .exited(0) && took < promised(.seconds(5)))
            sink.resume()
            try await Self.start(processes)
            let reader = OwnRedisSink(RedisClient(sink.configuration, logger: quiet))
            try await reader.start()
            try await eventually("all is in the sink") {
                for number in 1...200 {
                    let id = Text("\(KeeperAPI.Numbers.id(of: number, 1_000_000))")
                    guard try await reader.stored("level", id)?.value == Array("\(number)".utf8) else { return false }
                }
                return true
            }
            await reader.stop()
        }
    }
}
