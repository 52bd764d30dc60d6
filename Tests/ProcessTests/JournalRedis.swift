// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloTesting
import TestHelpers

/// The Redis that journals lie in: one server, or three of a cluster that have a third of the slots each.
///
/// A node without replicas is what can be killed without losing what it has acknowledged.
@Loop struct JournalRedis {
    private let cluster: RedisClusterServers?
    private let nodes: [RedisServer]

    /// What a program's servers stand on; `options` are each node's own.
    static func prepare(
        _ layout: RedisLayout, for program: String, config: String, options: [String]
    ) async throws -> (JournalRedis, ServerProcesses) {
        let processes = try await ServerProcesses.prepare(program, config: config, redis: options)
        guard layout.isCluster else { return (JournalRedis(cluster: nil, nodes: [processes.redis]), processes) }
        let cluster = try await RedisClusterServers.start(replicas: 0, options: options)
        processes.environment["REDIS_URL"] =
            "redis+cluster://" + cluster.ports.map { "127.0.0.1:\($0)" }.joined(separator: ",")
        return (JournalRedis(cluster: cluster, nodes: cluster.nodes), processes)
    }

    /// One of them, drawn by chance.
    func node(_ chance: UInt64) -> RedisServer { nodes[Int(chance % UInt64(nodes.count))] }

    func killAll() async { for node in nodes { await node.kill9() } }

    /// All that were killed come back with what their disks have.
    func restart() async throws {
        for node in nodes where !node.isRunning { try await node.restart() }
        try await cluster?.settle()
    }

    /// The names of the journals there are of a cluster's servers of a type.
    func journals(of cluster: String, _ type: String) async throws -> [String] {
        let key = "pomelo:{\(cluster)}:journals:\(type)"
        for node in nodes {
            // An error of the others says who has it.
            guard let answer = try? await node.command("SCARD", key), Int(answer.joined()) != nil else { continue }
            return try await node.command("SMEMBERS", key).filter { !$0.isEmpty }
        }
        throw Unmet(description: "no node says which journals there are")
    }

    func stop() async { await cluster?.stop() }
}
