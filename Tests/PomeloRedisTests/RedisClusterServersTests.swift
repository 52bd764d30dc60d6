// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloTesting
import Testing

extension WithRedis {
    /// The cluster that other tests stand on.
    @Suite struct ClusterProcesses {
        @Test @Loop func aSlotMovesStepByStep() async throws {
            let cluster = try await RedisClusterServers.start(replicas: 0)
            do {
                let slot = 12_182  // of "foo"
                try await cluster.nodes[2].command("MSET", "foo", "1", "{foo}2", "2", "{foo}3", "3")
                #expect(try await cluster.owner(of: slot) == 2)
                try await cluster.beginMove(slot, from: 2, to: 0)
                #expect(try await cluster.moveKeys(slot, from: 2, to: 0, atMost: 2) == 2)
                #expect(try await cluster.nodes[2].command("CLUSTER", "COUNTKEYSINSLOT", "\(slot)") == ["1"])
                try await cluster.moveSlot(slot, from: 2, to: 0)
                #expect(try await cluster.owner(of: slot) == 0)
                #expect(try await cluster.nodes[0].command("MGET", "foo", "{foo}2", "{foo}3") == ["1", "2", "3"])
            } catch {
                Issue.record(error)
            }
            await cluster.stop()
        }

        @Test @Loop func aReplicaTakesOver() async throws {
            let cluster = try await RedisClusterServers.start(login: RedisLogin(password: "one"))
            do {
                for node in cluster.nodes {
                    // By its path it is the same process.
                    let byPath = try await node.command(["-s", node.socketPath, "INFO", "server"])
                    #expect(byPath.contains { $0.hasPrefix("tcp_port:\(node.port)") })
                }
                #expect(try await cluster.failOver(0) == 3)
                let former = try await cluster.killMaster(1)
                #expect(former == 1)
                #expect(try await cluster.nextMaster(of: 1, after: former) == 4)
                try await cluster.settle()
                try await cluster.nodes[former].restart()
                try await cluster.settle()
                #expect(try await cluster.nodes[former].info("role") == "slave")
            } catch {
                Issue.record(error)
            }
            await cluster.stop()
        }
    }
}
