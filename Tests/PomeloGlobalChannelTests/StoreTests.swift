// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloGlobalChannel
import PomeloLoop
import PomeloPublication
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

/// The rules of a channel store, for the one in memory.
@Suite struct MemoryStoreTests {
    @Test(arguments: ChannelStoreSuite.Case.allCases)
    @Loop func rule(_ rule: ChannelStoreSuite.Case) async throws {
        let entries = ["game": MemoryChannelStore.Entries(), "game2": MemoryChannelStore.Entries()]
        try await ChannelStoreSuite { MemoryChannelStore(entries[$0] ?? MemoryChannelStore.Entries()) }.run(rule)
    }
}

/// The same rules for the one in Redis, however that is run.
@Suite(
    "rules with redis-server", .serialized, .onEachRedis(.standalone, .sentinel, .cluster),
    .enabled("redis-server is not installed", { await RedisServer.isInstalled() }))
struct RedisStoreRuleTests {
    @Test(arguments: ChannelStoreSuite.Case.allCases)
    @Loop func rule(_ rule: ChannelStoreSuite.Case) async throws {
        try await withRedis { _, client in
            try await ChannelStoreSuite(
                { RedisChannelStore(redis: client, prefix: $0) },
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
        _ client: RedisClient, prefix: String = "game"
    ) async throws -> RedisChannelStore {
        let store = RedisChannelStore(redis: client, prefix: prefix)
        try await store.start(Self.owner)
        return store
    }

    private static let owner = StoreOwner(server: "connector-1", instance: "9f00", cluster: "pomelo")

    private func adding(_ channel: ChannelName, _ uids: UserID..., sequence: UInt64 = 1) -> ChannelBatch {
        ChannelBatch(changes: [.init(channel: channel, added: uids, count: uids.count)], sequence: sequence)
    }

    /// All but the one by which the client looks whether Redis does what it is told.
    @Loop private func keys(_ client: RedisClient) async throws -> [String] {
        let keys = try await client.send(RedisCommand("KEYS", "*")).strings ?? []
        return keys.filter { !$0.hasPrefix("pomelo:health:") }.sorted()
    }

    @Test @Loop func theKeysArePomelos() async throws {
        try await withRedis { _, client in
            let store = RedisChannelStore(redis: client)
            try await store.start(Self.owner)
            _ = try await store.publish(adding("lobby", "ann", "bob", sequence: 4))
            let keys = try await self.keys(client)
            #expect(
                keys == [
                    "POMELO:CHANNEL:lobby:connector-1", "pomelo:{pomelo/connector-1}:channels",
                    "pomelo:{pomelo/connector-1}:lease",
                ])
            let members = try await client.send(RedisCommand("SMEMBERS", "POMELO:CHANNEL:lobby:connector-1")).strings
            #expect(members?.sorted() == ["ann", "bob"])
            let sequence = try await client.send(RedisCommand("HGET", "pomelo:{pomelo/connector-1}:lease", "seq"))
            #expect(sequence.string == "9f00/4")
            _ = try await store.publish(
                ChannelBatch(
                    changes: [.init(channel: "lobby", added: [], removed: ["ann", "bob"], count: 0)], sequence: 5))
            #expect(try await self.keys(client) == ["pomelo:{pomelo/connector-1}:lease"])
        }
    }

    /// Cleaning takes the own server's members under the own prefix, and nothing that only looks alike.
    @Test @Loop func regression5CleaningTakesNothingOfOthers() async throws {
        try await withRedis { _, client in
            let store = try await started(client, prefix: "g[a]me*")
            _ = try await store.publish(adding("lobby", "ann"))
            let others = [
                "g[a]me*2:lobby:connector-1", "game*:lobby:connector-1", "g[a]me*:lobby:connector-2",
                "g[a]meX:lobby:connector-1", "g[a]me*:lobby:connector-11", "XXg[a]me*:lobby:connector-1",
            ]
            for key in others { _ = try await client.send(RedisCommand("SADD", key, "bob")) }
            try await store.clean()
            let left = try await client.send(RedisCommand("KEYS", "*:lobby:*")).strings
            #expect(left?.sorted() == others.sorted())
        }
    }

    @Test @Loop func anotherInstanceInTheLeaseIsNotWrittenOverAsIfNothingWere() async throws {
        try await withRedis { _, client in
            let store = try await started(client)
            _ = try await store.publish(adding("lobby", "ann"))
            _ = try await client.send(RedisCommand("HSET", "pomelo:{pomelo/connector-1}:lease", "inst", "another"))
            await #expect(throws: PomeloError.self) {
                _ = try await store.publish(self.adding("lobby", "bob", sequence: 2))
            }
            await #expect(throws: PomeloError.self) { _ = try await store.publishedSequence() }
        }
    }

    @Test @Loop func aKeyOfAnotherKindIsAnError() async throws {
        try await withRedis { _, client in
            let store = try await started(client)
            _ = try await client.send(RedisCommand("SET", "game:lobby:connector-1", "text"))
            await #expect(throws: RedisError.self) { _ = try await store.publish(self.adding("lobby", "ann")) }
            await #expect(throws: RedisError.self) { _ = try await store.members(of: "lobby", at: "connector-1") }
        }
    }

    @Test @Loop func aServerHealsARealRedisThatWasEmptied() async throws {
        try await withRedis { server, client in
            let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 0))
            try await cluster.start("connector-1") { try $0.use(GlobalChannel(redis: client)) }
            let app = cluster["connector-1"]
            for uid: UserID in ["ann", "bob"] {
                _ = try await cluster.client("connector-1", uid)
                try await app.globalChannel.add("lobby", uid, "connector-1", durable: true)
            }
            _ = try await client.send(RedisCommand("FLUSHALL"))
            try await app.globalChannel.add("hall", "ann", "connector-1", durable: true)
            let limit = SystemClock.shared.deadline(after: .seconds(10))
            var members: [String] = []
            while members.count < 2, SystemClock.shared.now < limit {
                cluster.clock.advance(by: .milliseconds(500))
                await SystemClock.shared.sleep(for: .milliseconds(5))
                members =
                    try await client.send(
                        RedisCommand("SMEMBERS", "POMELO:CHANNEL:lobby:connector-1")
                    ).strings ?? []
            }
            #expect(members.sorted() == ["ann", "bob"])
            await cluster.stopAll()
            #expect(try await client.send(RedisCommand("KEYS", "POMELO:*")).strings == [])
            _ = server
        }
    }
}
