// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCluster
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

/// Servers on one Redis in memory, on time that moves when told to.
@Loop final class MemoryCluster {
    let clock = ManualClock()
    let redis: FakeRedis
    let fleet: Fleet
    private let hasMessages: Bool

    init(hasMessages: Bool = true) {
        redis = FakeRedis(clock: clock, isCluster: RedisLayout.current.isCluster)
        redis.registerClusterScripts()
        fleet = Fleet(clock)
        self.hasMessages = hasMessages
    }

    /// `knows` are other servers of its configuration.
    func server(
        _ id: ServerID, port: Int, knows: [ServerRecord] = [], isFrontend: Bool = false,
        control: (any RedisPort)? = nil
    ) throws -> Member {
        let client = redis.client()
        return try fleet.server(
            id, port: port, knows: knows, isFrontend: isFrontend, redis: client, control: control,
            messages: hasMessages ? client : nil)
    }

    func started(
        _ id: ServerID, port: Int, knows: [ServerRecord] = [], control: (any RedisPort)? = nil
    ) async throws -> Member {
        let member = try server(id, port: port, knows: knows, control: control)
        try await clock.drive { try await member.start() }
        return member
    }

    /// Servers at ports 1, 2, …, all of them up in all views.
    func started(_ ids: [ServerID]) async throws -> [Member] {
        var members: [Member] = []
        for (index, id) in ids.enumerated() { members.append(try await started(id, port: index + 1)) }
        await clock.pass(.seconds(1))
        return members
    }

    /// The stream of changes: whose, and its new state or why it was removed.
    func events() async throws -> [(id: String, what: String)] {
        let entries = try await redis.send(RedisCommand("XRANGE", "pomelo:{test}:ev", "-", "+")).array ?? []
        return entries.map { entry in
            let fields = entry.array?.last?.dictionary ?? [:]
            let state = fields["entry"]?.split(separator: "\"state\":\"").last?.prefix { $0 != "\"" }
            return (fields["id"] ?? "", fields["reason"] ?? String(state ?? ""))
        }
    }

    // MARK: faults

    /// Each node has its own keys.
    func flush() async throws {
        for node in redis.nodes { _ = try await node.send(RedisCommand("FLUSHALL")) }
    }

    func goDown() { redis.down() }
    func comeBack(empty: Bool) { redis.up(empty: empty) }
    func snapshot() -> FakeRedisState { redis.state }
    func failOver(to snapshot: FakeRedisState) { redis.failOver(to: snapshot) }
    func failCommand(_ index: Int, _ reached: @escaping @Loop () -> Void) {
        redis.failCall(index, reached)
    }
}

extension MemoryCluster {
    /// The instances in the registry.
    func registered() async throws -> [ServerID: InstanceID] {
        let listed = try await ClusterRegistry(redis, cluster: "test").list()
        return Dictionary(listed.map { ($0.info.id, $0.info.instance) }) { $1 }
    }
}

/// A connection that counts scripts, and on which answers to looks can be held back.
@Loop final class HeldLooks: RedisPort {
    private let redis: any RedisPort
    private var waiting: [CheckedContinuation<Void, Never>] = []
    /// Whether answers to looks stay on their way.
    var holds = false
    /// Calls by the script's name.
    private(set) var runs: [String: Int] = [:]

    init(_ redis: any RedisPort) { self.redis = redis }

    var isUp: Bool { redis.isUp }
    var isCluster: Bool { redis.isCluster }

    func pipeline(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        try await redis.pipeline(commands)
    }

    func transaction(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        try await redis.transaction(commands)
    }

    func run(_ script: RedisScript, keys: [String], args: [RedisArgument]) async throws(RedisError) -> RedisReply {
        runs[script.name, default: 0] += 1
        let reply = try await redis.run(script, keys: keys, args: args)
        guard script == ClusterScripts.look else { return reply }
        await withCheckedContinuation { if holds { waiting.append($0) } else { $0.resume() } }
        return reply
    }

    func observe(_ handler: @escaping @Loop (RedisEvent) -> Void) -> RedisObservation { redis.observe(handler) }
    func unobserve(_ observation: RedisObservation) { redis.unobserve(observation) }

    func release() {
        holds = false
        for answer in waiting { answer.resume() }
        waiting = []
    }
}
