// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloPublication
import PomeloRedis
import PomeloStatus
import PomeloTesting
import TestHelpers
import Testing

/// The rules of a status store, for the one in memory.
@Suite struct MemoryStoreTests {
    @Test(arguments: StatusStoreSuite.Case.allCases)
    @Loop func rule(_ rule: StatusStoreSuite.Case) async throws {
        let entries = ["game": MemoryStatusStore.Entries(), "game2": MemoryStatusStore.Entries()]
        try await StatusStoreSuite { MemoryStatusStore(entries[$0] ?? MemoryStatusStore.Entries()) }.run(rule)
    }
}

/// The same rules for the one in Redis, however that is run.
@Suite(
    "rules with redis-server", .serialized, .onEachRedis(.standalone, .sentinel, .cluster),
    .enabled("redis-server is not installed", { await RedisServer.isInstalled() }))
struct RedisStoreRuleTests {
    @Test(arguments: StatusStoreSuite.Case.allCases)
    @Loop func rule(_ rule: StatusStoreSuite.Case) async throws {
        try await withRedis { _, client in
            try await StatusStoreSuite(
                { RedisStatusStore(redis: client, prefix: $0) },
                took: { server, instance in
                    _ = try await client.send(
                        RedisCommand("HSET", "pomelo:{pomelo/\(server)}:lease", "inst", instance.rawValue))
                }
            ).run(rule)
        }
    }
}

/// The keys of the one in Redis, where a cluster does not divide them.
@Suite(
    "with redis-server", .serialized, .onEachRedis(.standalone, .sentinel),
    .enabled("redis-server is not installed", { await RedisServer.isInstalled() }))
struct RedisStoreTests {
    @Loop private func started(
        _ client: RedisClient, _ server: ServerID = "connector-1"
    ) async throws -> (store: RedisStatusStore, holder: Holder) {
        let store = RedisStatusStore(redis: client)
        try await store.start(StoreOwner(server: server, instance: "9f00", cluster: "pomelo"))
        return (store, Holder(server: server, instance: "9f00", session: SessionID(3)))
    }

    /// All but the one by which the client looks whether Redis does what it is told.
    @Loop private func keys(_ client: RedisClient) async throws -> [String] {
        let keys = try await client.send(RedisCommand("KEYS", "*")).strings ?? []
        return keys.filter { !$0.hasPrefix("pomelo:health:") }.sorted()
    }

    @Test @Loop func theKeysArePomelos() async throws {
        try await withRedis { _, client in
            let (store, holder) = try await started(client)
            _ = try await store.publish(online: ["ann"], offline: [], sequence: 8)
            _ = try await store.claim("ann", holder, gone: nil)
            #expect(
                try await keys(client) == [
                    "POMELO:STATUS:ann", "pomelo:{pomelo/connector-1}:lease", "pomelo:{pomelo/connector-1}:uids",
                    "{POMELO:STATUS:ann}:bind",
                ])
            #expect(try await client.send(RedisCommand("SMEMBERS", "POMELO:STATUS:ann")).strings == ["connector-1"])
            let binding = try await client.send(RedisCommand("HGETALL", "{POMELO:STATUS:ann}:bind")).dictionary
            #expect(binding?["sid"] == "connector-1" && binding?["inst"] == holder.instance.rawValue)
            #expect(binding?["session"] == "3" && binding?["tok"].flatMap { Int($0) } != nil)
            let mark = try await client.send(RedisCommand("HGET", "pomelo:{pomelo/connector-1}:lease", "status")).string
            #expect(mark == "\(holder.instance)/8")
            try await store.cleanUp("connector-1", instance: holder.instance) {}
            #expect(try await keys(client) == ["pomelo:{pomelo/connector-1}:lease"])
        }
    }

    @Test @Loop func tokensGrowAlsoAfterTheClockWasSetBack() async throws {
        try await withRedis { _, client in
            let (store, holder) = try await started(client)
            let future = "9000000000000000"
            _ = try await client.send(
                RedisCommand(
                    "HSET", "{POMELO:STATUS:ann}:bind", "sid", "old", "inst", "i", "session", "1", "tok", future))
            #expect(try await store.claim("ann", holder, gone: future) == .granted)
            let token = try await client.send(RedisCommand("HGET", "{POMELO:STATUS:ann}:bind", "tok")).int ?? 0
            #expect(token == 9_000_000_000_000_001)
        }
    }

    @Test @Loop func errorsOfRedisAreErrors() async throws {
        try await withRedis { _, client in
            let (store, holder) = try await started(client)
            _ = try await client.send(RedisCommand("SET", "POMELO:STATUS:ann", "text"))
            _ = try await client.send(RedisCommand("SET", "{POMELO:STATUS:ann}:bind", "text"))
            await #expect(throws: RedisError.self) { _ = try await store.servers(of: ["ann"]) }
            await #expect(throws: RedisError.self) { _ = try await store.claim("ann", holder, gone: nil) }
            await #expect(throws: RedisError.self) {
                _ = try await store.publish(online: ["ann", "bob"], offline: [], sequence: 1)
            }
            // One bad key hinders nobody else.
            #expect(try await store.servers(of: ["bob"]) == [["connector-1"]])
            #expect(try await store.publishedSequence() == nil)
        }
    }
}
