// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCluster
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

extension WithRedis {
    /// The registry, leases and the clean-up on a real Redis Cluster: no script of theirs names keys of two slots.
    @Suite("membership on a cluster") struct RealClusterTests {
        private static let registry = "pomelo:{test}:servers"

        @Loop private static func withServers(
            _ ids: [ServerID], replicas: Int = 0,
            _ body: @Loop (RedisClusterServers, RedisClient, Fleet, [Member]) async throws -> Void
        ) async throws {
            try await withCluster(replicas: replicas) { cluster, client in
                try await RealRedisTests.withServers(ids, at: cluster.configuration) { fleet, members in
                    let view = ids.map { "\($0):u" }.joined(separator: " ")
                    for member in members { await until("all are up") { member.view == view } }
                    try await body(cluster, client, fleet, members)
                }
            }
        }

        @Loop private static func start(
            _ id: ServerID, port: Int, in fleet: Fleet, _ cluster: RedisClusterServers
        ) async throws -> Member {
            let member = try fleet.server(id, port: port, at: cluster.configuration, options: RealRedisTests.fast)
            try await member.start()
            return member
        }

        @Test @Loop func serversSeeEachOtherAndCleanUp() async throws {
            try await Self.withServers(["a", "b", "c"]) { _, client, fleet, members in
                members[2].crash(in: fleet)
                for member in members.prefix(2) { await until("c is gone") { member.view == "a:u b:u" } }
                #expect(members.prefix(2).flatMap(\.notes.cleaned).filter { $0 == "c" } == ["c"])
                #expect(try await client.send(RedisCommand("EXISTS", "pomelo:{test/c}:lease")) == .integer(0))
                let registry = ClusterRegistry(client, cluster: "test")
                let listed = try await registry.list()
                #expect(listed.map(\.info.id) == ["a", "b"])
                #expect(try await registry.everServers() == ["a", "b", "c"])
            }
        }

        /// Scripts of the registry are redirected again and again, and each change is made once.
        @Test @Loop func serversComeAndGoWhileTheirRegistryMoves() async throws {
            try await Self.withServers(["a", "b"]) { cluster, client, fleet, members in
                try await cluster.moving([KeySlot(of: Self.registry).number]) { moves in
                    let c = try await Self.start("c", port: 7002, in: fleet, cluster)
                    for member in members + [c] { await until("c is up") { member.view == "a:u b:u c:u" } }
                    let taken = await failure { _ = try await Self.start("c", port: 7102, in: fleet, cluster) }
                    #expect(taken?.code == .configuration && taken?.message.contains("already running") == true)
                    await c.stop()
                    for member in members { await until("c has left") { member.view == "a:u b:u" } }
                    let d = try await Self.start("d", port: 7003, in: fleet, cluster)
                    for member in members { await until("d is up") { member.view == "a:u b:u d:u" } }
                    d.crash(in: fleet)
                    for member in members { await until("d is gone") { member.view == "a:u b:u" } }
                    await until("the slot was everywhere, twice") { moves.count >= 6 }
                }
                // A clean-up that did not come to its end for a moving slot is begun again.
                #expect(members.contains { $0.notes.cleaned.contains("d") })
                #expect(members.allSatisfy { $0.isJoined && $0.replaced == 0 && $0.notes.published == 0 })
                let entries = try await client.send(RedisCommand("XRANGE", "pomelo:{test}:ev", "-", "+")).array ?? []
                let fields = entries.map { $0.array?.last?.dictionary ?? [:] }
                let ends = fields.compactMap { field in field["reason"].map { "\(field["id"] ?? "") \($0)" } }
                #expect(ends == ["c left", "d expired"])
            }
        }

        /// Its replica may lack the last writes; in the meantime there is no registry, and nobody is taken for gone.
        @Test @Loop func thePrimaryOfTheRegistryDies() async throws {
            try await Self.withServers(["a", "b"], replicas: 1) { cluster, client, fleet, members in
                let shard = try await cluster.owner(of: KeySlot(of: Self.registry).number) % cluster.shards
                let former = try await cluster.killMaster(shard)
                // It waits for Redis.
                let c = try await Self.start("c", port: 7002, in: fleet, cluster)
                for member in members + [c] { await until("c is up") { member.view == "a:u b:u c:u" } }
                try await cluster.nodes[former].restart()
                try await cluster.settle()
                #expect(members.allSatisfy { !$0.changes.contains { $0.hasPrefix("-") } && $0.replaced == 0 })
                try await until("all are registered") {
                    try await ClusterRegistry(client, cluster: "test").list().filter { !$0.isExpired }.count == 3
                }
                let taken = await failure { _ = try await Self.start("c", port: 7102, in: fleet, cluster) }
                #expect(taken?.code == .configuration)
                c.crash(in: fleet)
                for member in members { await until("c is gone") { member.view == "a:u b:u" } }
                #expect(members.flatMap(\.notes.cleaned).filter { $0 == "c" } == ["c"])
            }
        }

        /// Nobody else would tell that what a node brings back stays there.
        @Test @Loop func aMissingRightToLookAtAllKeysIsNamed() async throws {
            try await withCluster { cluster, _ in
                for node in cluster.nodes {
                    try await node.command("ACL", "SETUSER", "ann", "on", "nopass", "~*", "&*", "+@all", "-scan")
                }
                var configuration = cluster.configuration
                configuration.username = "ann"
                configuration.password = "any"
                let logs = CapturedLogs.installed
                let member = try Fleet(SystemClock.shared).server(
                    "a", port: 7000, at: configuration, options: RealRedisTests.fast)
                try await member.start()
                await until("the right is named") {
                    logs.lines(
                        "pomelo", where: "pomelo.consequence",
                        is: "servers that nobody remembers cannot be looked for"
                    ).contains { $0["pomelo.reason"]?.contains("NOPERM SCAN") == true }
                }
                await member.stop()
            }
        }
    }
}
