// SPDX-License-Identifier: MIT
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
        @Test @Loop func serversSeeEachOtherAndCleanUp() async throws {
            try await withCluster { cluster, client in
                let fleet = Fleet(SystemClock.shared)
                var members: [Member] = []
                for (index, id) in (["a", "b", "c"] as [ServerID]).enumerated() {
                    let member = try fleet.server(
                        id, port: 7000 + index, at: cluster.configuration, options: RealRedisTests.fast)
                    try await member.start()
                    members.append(member)
                }
                for member in members { await until("all are up") { member.view == "a:u b:u c:u" } }
                members[2].crash(in: fleet)
                for member in members.prefix(2) { await until("c is gone") { member.view == "a:u b:u" } }
                #expect(members.prefix(2).flatMap(\.notes.cleaned).filter { $0 == "c" } == ["c"])
                #expect(try await client.send(RedisCommand("EXISTS", "pomelo:{test/c}:lease")) == .integer(0))
                let registry = ClusterRegistry(client, cluster: "test")
                #expect(try await registry.list().map(\.info.id) == ["a", "b"])
                #expect(try await registry.everServers() == ["a", "b", "c"])
                for member in members { await member.stop() }
            }
        }
    }
}
