// SPDX-License-Identifier: MIT
import PomeloCluster
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloTesting
import PomeloWire
import Testing

/// Servers on one Redis in memory, on time that moves when told to.
@Loop final class MemoryCluster {
    let clock = ManualClock()
    let redis: FakeRedis
    let fleet: Fleet
    private let hasMessages: Bool

    init(hasMessages: Bool = true) {
        redis = FakeRedis(clock: clock)
        redis.registerClusterScripts()
        fleet = Fleet(clock)
        self.hasMessages = hasMessages
    }

    func server(_ id: ServerID, port: Int) throws -> Member {
        let client = redis.client()
        return try fleet.server(id, port: port, redis: client, messages: hasMessages ? client : nil)
    }

    func started(_ id: ServerID, port: Int) async throws -> Member {
        let member = try server(id, port: port)
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

    func goDown() { redis.down() }
    func comeBack(empty: Bool) { redis.up(empty: empty) }
    func snapshot() -> FakeRedisState { redis.state }
    func failOver(to snapshot: FakeRedisState) { redis.failOver(to: snapshot) }
    func failCommand(_ index: Int, _ reached: @escaping @Loop () -> Void) {
        redis.failCall(index, reached)
    }
}
