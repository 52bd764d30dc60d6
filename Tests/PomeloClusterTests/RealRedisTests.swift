// SPDX-License-Identifier: MIT
import PomeloCluster
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

extension WithRedis {
    @Suite("membership", .serialized, .onEachRedis(.standalone, .sentinel)) struct RealRedisTests {
        /// Everything about ten times as fast as in production.
        static var fast: ClusterOptions {
            var options = ClusterOptions()
            options.lease = .milliseconds(900)
            options.renewEvery = .milliseconds(200)
            options.scanEvery = .milliseconds(50)
            options.reloadEvery = .seconds(2)
            options.reapToken = .milliseconds(400)
            options.pingDeadline = .milliseconds(100)
            return options
        }

        /// A cluster of started servers, stopped at the end.
        @Loop static func withServers(
            _ ids: [ServerID], _ body: @Loop (RedisServer, RedisClient, Fleet, [Member]) async throws -> Void
        ) async throws {
            try await withRedis { server, redis in
                try await withServers(ids, at: redis.configuration) { try await body(server, redis, $0, $1) }
            }
        }

        @Loop static func withServers(
            _ ids: [ServerID], at redis: RedisConfiguration, _ body: @Loop (Fleet, [Member]) async throws -> Void
        ) async throws {
            let fleet = Fleet(SystemClock.shared)
            var members: [Member] = []
            do {
                for (index, id) in ids.enumerated() {
                    let member = try fleet.server(id, port: 7000 + index, at: redis, options: fast)
                    try await member.start()
                    members.append(member)
                }
                try await body(fleet, members)
            } catch {
                Issue.record(error)
            }
            for member in members { await member.stop() }
        }

        @Test @Loop func everyoneSeesEveryone() async throws {
            try await Self.withServers(["a", "b", "c"]) { _, _, fleet, members in
                for member in members {
                    await until("all are up") { member.view == "a:u b:u c:u" }
                }
                #expect(fleet.secretsProved == ["a", "a"])
                let ever = try await members[0].application?.membership?.everServers()
                #expect(ever == ["a", "b", "c"])
            }
        }

        @Test @Loop func aServerThatDiesIsRemovedAndCleanedUpOnce() async throws {
            try await Self.withServers(["a", "b", "c"]) { _, redis, fleet, members in
                members[2].crash(in: fleet)
                for member in members.prefix(2) {
                    await until("c is gone") { member.view == "a:u b:u" }
                }
                #expect(members.prefix(2).flatMap(\.notes.cleaned).filter { $0 == "c" } == ["c"])
                let keys = try await redis.send(RedisCommand("KEYS", "pomelo:{test/c}:*"))
                #expect(keys.array?.filter { $0.string?.hasSuffix(":reap") != true } == [])
                let registry = ClusterRegistry(redis, cluster: "test")
                let states = (
                    try await registry.registeredState(of: "c"), try await registry.registeredState(of: "a")
                )
                #expect(states == (nil, .up))
            }
        }

        @Test @Loop func redisThatComesBackEmptyIsFilledAgain() async throws {
            try await Self.withServers(["a", "b", "c"]) { server, redis, _, members in
                for member in members { await until("all are up") { member.view == "a:u b:u c:u" } }
                let before = members.map { $0.changes.filter { $0.hasPrefix("-") } }
                // Without its data.
                try await server.restart()
                for member in members { await until("published again") { member.notes.published > 0 } }
                let registry = ClusterRegistry(redis, cluster: "test")
                await until("the client is back") { redis.isUp }
                try await until("all are registered") {
                    try await registry.list().filter { $0.info.state == .up && !$0.isExpired }.count == 3
                }
                for member in members { #expect(member.view == "a:u b:u c:u") }
                #expect(members.map { $0.changes.filter { $0.hasPrefix("-") } } == before)
            }
        }

        @Test @Loop func flushedUnderARunningCluster() async throws {
            try await Self.withServers(["a", "b"]) { _, redis, _, members in
                await until("both are up") { members[0].view == "a:u b:u" && members[1].view == "a:u b:u" }
                _ = try await redis.send(RedisCommand("FLUSHALL"))
                for member in members { await until("published again") { member.notes.published > 0 } }
                for member in members { #expect(member.view == "a:u b:u") }
                #expect(members.allSatisfy { !$0.changes.contains("-a") && !$0.changes.contains("-b") })
                try await until("both are registered") {
                    try await ClusterRegistry(redis, cluster: "test").list().count == 2
                }
            }
        }

        @Test @Loop func redisThatStandsStillRemovesNobody() async throws {
            try await Self.withServers(["a", "b", "c", "d"]) { server, _, _, members in
                for member in members { await until("all are up") { member.view == "a:u b:u c:u d:u" } }
                server.pause()
                // Longer than the lease, on the servers' clock and on that of Redis.
                let end = SystemClock.shared.deadline(after: .milliseconds(2500))
                await until("the leases have ended") { SystemClock.shared.now > end }
                server.resume()
                for member in members { await until("published again") { member.notes.published > 0 } }
                for member in members {
                    #expect(member.view == "a:u b:u c:u d:u")
                    #expect(!member.changes.contains { $0.hasPrefix("-") })
                }
            }
        }

        @Test @Loop func anUnreachableRedisEndsTheStart() async throws {
            let fleet = Fleet(SystemClock.shared)
            let server = try await RedisServer.start()
            let port = server.port
            await server.stop()
            let member = try fleet.server("a", port: 1, at: server.configuration, options: Self.fast)
            let begin = SystemClock.shared.now
            let error = await failure { try await member.start() }
            #expect(error?.code == .redisUnavailable)
            #expect(error?.message.contains("127.0.0.1:\(port)") == true)
            #expect(SystemClock.shared.now - begin < 3_000_000_000)
        }

        @Test @Loop func clustersOnOneRedisDoNotMeet() async throws {
            try await Self.withServers(["a"]) { _, redis, fleet, members in
                let other = try fleet.server(
                    "a", port: 9000, cluster: "other", at: redis.configuration, options: Self.fast)
                try await other.start()
                await until("each sees itself") { other.view == "a:u" && members[0].view == "a:u" }
                #expect(other.sees("a")?.instance == other.instance)
                #expect(members[0].sees("a")?.instance == members[0].instance)
                await other.stop()
                #expect(members[0].view == "a:u")
            }
        }
    }
}
