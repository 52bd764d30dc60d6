// SPDX-License-Identifier: MIT
import PomeloLoop
public import PomeloRedis

/// How a `FakeRedis` divides its keys among nodes, as Redis Cluster does.
///
/// - Source: Redis Cluster specification, https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/.
extension FakeRedis {
    /// How many nodes a cluster has.
    public nonisolated static var nodeCount: Int { 3 }

    /// Its nodes, each with a port of its own that has its part of the keys; this server when it is no cluster.
    public var nodes: [any RedisPort] { isCluster ? client().nodes : [self] }

    /// The slots of a node: a third each.
    nonisolated static func slots(of node: Int) -> Range<Int> {
        (node * KeySlot.count / nodeCount)..<((node + 1) * KeySlot.count / nodeCount)
    }

    /// The node that has a key.
    public nonisolated static func node(of key: String) -> Int { node(of: KeySlot(of: key)) }

    nonisolated static func node(of slot: KeySlot) -> Int {
        (0..<nodeCount).first { slots(of: $0).contains(slot.number) } ?? 0
    }

    /// Why a node does not execute what has these keys; nil when it does.
    func refusal(of keys: [RedisArgument], at node: Int) -> String? {
        guard isCluster else { return nil }
        let slots = Set(keys.map { KeySlot(of: $0.utf8) })
        guard let slot = slots.first else { return nil }
        if slots.count > 1 { return "CROSSSLOT Keys in request don't hash to the same slot" }
        let owner = Self.node(of: slot)
        return owner == node ? nil : "MOVED \(slot.number) fake:\(7000 + owner)"
    }
}

/// One node of a cluster in memory: it has its own keys only.
@Loop final class FakeRedisNode: RedisPort {
    private let client: FakeRedisClient
    private let number: Int

    init(_ client: FakeRedisClient, _ number: Int) {
        self.client = client
        self.number = number
    }

    var isUp: Bool { client.isUp }
    var runID: String { client.runID }
    var isCluster: Bool { true }

    func pipeline(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        if commands.isEmpty { return [] }
        return try await client.perform(.pipeline(commands), at: number)
    }

    func execute(_ steps: [RedisStep]) async throws(RedisError) -> [RedisReply] {
        if steps.isEmpty { return [] }
        return try await client.perform(.batch(steps), at: number)
    }

    func run(_ script: RedisScript, keys: [String], args: [RedisArgument]) async throws(RedisError) -> RedisReply {
        let replies = try await client.perform(.batch([.script(script, keys: keys, args: args)]), at: number)
        return try (replies.first ?? .null).get()
    }

    func observe(_ handler: @escaping @Loop (RedisEvent) -> Void) -> RedisObservation { client.observe(handler) }
    func unobserve(_ observation: RedisObservation) { client.unobserve(observation) }
}

extension FakeRedisClient {
    /// Sends each node its steps, in their order; between those of two nodes there is none.
    ///
    /// Refuses what a client of a real cluster refuses. Steps without a key go where others go.
    func executeAtNodes(_ steps: [RedisStep]) async throws(RedisError) -> [RedisReply] {
        var nodes: [Int?] = []
        for step in steps { nodes.append(try ClusterBatch.slot(of: step).map { FakeRedis.node(of: $0) }) }
        let company = nodes.lazy.compactMap { $0 }.first ?? 0
        var parts: [Int: [Int]] = [:]
        for (index, node) in nodes.enumerated() { parts[node ?? company, default: []].append(index) }
        let outcomes = await withTaskGroup(of: (Int, FakeRedisRequest.Outcome).self) { group in
            for (node, indices) in parts.sorted(by: { $0.key < $1.key }) {
                let part = indices.map { steps[$0] }
                group.addTask { @Loop @Sendable in (node, await self.outcome(of: .batch(part), at: node)) }
            }
            var outcomes: [Int: FakeRedisRequest.Outcome] = [:]
            for await (node, outcome) in group { outcomes[node] = outcome }
            return outcomes
        }
        var replies = [RedisReply](repeating: .null, count: steps.count)
        for (node, indices) in parts.sorted(by: { $0.key < $1.key }) {
            guard let outcome = outcomes[node] else { continue }
            for (index, reply) in zip(indices, try outcome.get()) { replies[index] = reply }
        }
        return replies
    }
}
