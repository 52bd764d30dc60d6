// SPDX-License-Identifier: MIT
public import PomeloLoop

/// A real Redis Cluster on 127.0.0.1: masters, each with its replicas, that miss one of theirs after 1.5 s.
///
/// Nodes are spoken of by their place in `nodes`; a shard is what a master and its replicas were at the start.
@Loop public final class RedisClusterServers {
    /// First one node per shard, its master at the start; then the shards' replicas in turn.
    public private(set) var nodes: [RedisServer] = []
    /// How many masters there are.
    public let shards: Int
    /// Where nodes listen, in their order.
    public var ports: [Int] { nodes.map(\.port) }

    /// Milliseconds.
    private static let nodeTimeout = 1500
    private var ids: [String] = []
    /// When a node was asked to take over.
    private var asked: [Int: UInt64] = [:]

    private init(shards: Int) { self.shards = shards }

    /// Starts all of them, and returns when every node says that the cluster is well.
    ///
    /// `options` are the nodes' own, for instance `["--cluster-require-full-coverage", "no"]`; with `tls` they speak
    /// nothing else, among themselves too, and have the same certificate.
    ///
    /// - Throws: `NetworkError` when they do not come up.
    public static func start(
        masters: Int = 3, replicas: Int = 1, login: RedisLogin? = nil, options: [String] = [],
        tls: RedisTLS? = nil
    ) async throws(NetworkError) -> RedisClusterServers {
        let cluster = RedisClusterServers(shards: masters)
        var all = ["--cluster-node-timeout", "\(nodeTimeout)", "--cluster-replica-validity-factor", "0"]
        all += ["--cluster-allow-replica-migration", "no", "--repl-diskless-sync-delay", "0"]
        all += (login.map { $0.options + $0.replicaOptions } ?? []) + options
        do throws(NetworkError) {
            for _ in 0..<masters * (1 + replicas) {
                cluster.nodes.append(try await RedisServer.start(.clusterNode, options: all, login: login, tls: tls))
            }
            try await cluster.join()
            return cluster
        } catch {
            await cluster.stop()
            throw error
        }
    }

    /// Ends all of them and removes their files.
    public func stop() async {
        for node in nodes { await node.stop() }
    }

    // MARK: who is what

    /// What a node calls itself, in `CLUSTER NODES` for instance.
    public func id(of node: Int) -> String { ids[node] }

    /// The nodes of a shard.
    public func members(of shard: Int) -> [Int] { nodes.indices.filter { $0 % shards == shard } }

    /// The running node of a shard that says it is its master, once one does.
    ///
    /// - Throws: `NetworkError` when none does within 20 s.
    public func master(of shard: Int) async throws(NetworkError) -> Int {
        var master = shard
        try await RedisServer.wait(for: "shard \(shard) has a master") { () throws(NetworkError) in
            for node in members(of: shard) where nodes[node].isRunning && !nodes[node].isPaused {
                guard try await nodes[node].info("role") == "master" else { continue }
                master = node
                return true
            }
            return false
        }
        return master
    }

    /// Returns when every running node says that the cluster is well, and the replicas are up to date.
    ///
    /// - Throws: `NetworkError` when they do not within 20 s.
    public func settle() async throws(NetworkError) {
        try await RedisServer.wait(for: "the cluster is well") { () throws(NetworkError) in
            for node in nodes where node.isRunning && !node.isPaused {
                let cluster = try await node.command("CLUSTER", "INFO")
                let info = try await node.command("INFO", "replication")
                guard RedisServer.value(of: "cluster_state", in: cluster) == "ok",
                    RedisServer.value(of: "cluster_known_nodes", in: cluster) == "\(nodes.count)",
                    RedisServer.value(of: "master_link_status", in: info) ?? "up" == "up"
                else { return false }
            }
            // One that was a master before may not know yet that it is none.
            for shard in 0..<shards where try await masters(of: shard) > 1 { return false }
            return true
        }
    }

    private func masters(of shard: Int) async throws(NetworkError) -> Int {
        var count = 0
        for node in members(of: shard) where nodes[node].isRunning && !nodes[node].isPaused {
            count += try await nodes[node].info("role") == "master" ? 1 : 0
        }
        return count
    }

    // MARK: faults

    /// Ends a shard's master as a crash does; without replicas its slots are served by nobody.
    ///
    /// - Returns: the one that was; `nodes[…].restart()` brings it back.
    /// - Throws: `NetworkError` when the shard has none.
    @discardableResult
    public func killMaster(_ shard: Int) async throws(NetworkError) -> Int {
        let master = try await master(of: shard)
        await nodes[master].kill9()
        return master
    }

    /// Returns a shard's master when it is not `former`.
    ///
    /// - Throws: `NetworkError` when there is none within 20 s.
    @discardableResult
    public func nextMaster(of shard: Int, after former: Int) async throws(NetworkError) -> Int {
        var next = former
        try await RedisServer.wait(for: "shard \(shard) has another master") { () throws(NetworkError) in
            for node in members(of: shard) where node != former && nodes[node].isRunning && !nodes[node].isPaused {
                guard try await nodes[node].info("role") == "master" else { continue }
                next = node
                return true
            }
            return false
        }
        return next
    }

    /// Makes a replica the master of its shard while the present one is well.
    ///
    /// One that was made the master before is asked once its last election is over, some seconds later.
    ///
    /// - Returns: the new one.
    /// - Throws: `NetworkError` when the shard has no running replica, or it does not take over within 20 s.
    @discardableResult
    public func failOver(_ shard: Int) async throws(NetworkError) -> Int {
        // A replica whose link is not up yet agrees, and does nothing.
        try await settle()
        let former = try await master(of: shard)
        guard
            let replica = members(of: shard).first(where: {
                $0 != former && nodes[$0].isRunning && !nodes[$0].isPaused
            })
        else { throw NetworkError(code: "ENOENT", description: "shard \(shard) has no running replica") }
        await forgetElection(of: replica)
        try await nodes[replica].command("CLUSTER", "FAILOVER")
        asked[replica] = SystemClock.shared.now
        return try await nextMaster(of: shard, after: former)
    }

    /// A node that is asked again takes the votes of its last election for those of the next, as long as that may go
    /// on: then it is a master by an epoch that others have seen, and the former one stands still for five seconds.
    ///
    /// - Source: Redis 7.0, `clusterHandleSlaveFailover`: an election is over after four times the node's timeout.
    private func forgetElection(of node: Int) async {
        guard let last = asked[node] else { return }
        let over = last + UInt64(4 * Self.nodeTimeout + 200) * 1_000_000
        await SystemClock.shared.sleep(for: SystemClock.shared.left(until: over))
    }

    // MARK: start

    private func join() async throws(NetworkError) {
        for (index, node) in nodes.enumerated() {
            ids.append(try await node.command("CLUSTER", "MYID").joined())
            // Without it all nodes begin at 0, and settle that by chance and time.
            try await node.command("CLUSTER", "SET-CONFIG-EPOCH", "\(index + 1)")
            guard index > 0 else { continue }
            try await nodes[0].command("CLUSTER", "MEET", "127.0.0.1", "\(node.port)", "\(node.busPort)")
        }
        for shard in 0..<shards {
            let slots = 16_384 * shard / shards..<16_384 * (shard + 1) / shards
            try await nodes[shard].command("CLUSTER", "ADDSLOTSRANGE", "\(slots.lowerBound)", "\(slots.upperBound - 1)")
        }
        for replica in nodes.indices.dropFirst(shards) {
            try await RedisServer.wait(for: "node \(replica) follows its master") { () throws(NetworkError) in
                try await nodes[replica].command("CLUSTER", "REPLICATE", ids[replica % shards]) == ["OK"]
            }
        }
        try await settle()
    }
}
