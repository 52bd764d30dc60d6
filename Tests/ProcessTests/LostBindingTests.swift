// SPDX-License-Identifier: MIT
import Glibc
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// A fail-over that loses a write which was acknowledged: replication is asynchronous.
@Suite struct LostBindingTests {
    /// The binding of one who is here is lost, and another server grants it again: two holders, until they meet.
    @Test @Loop func ofTwoHoldersTheLaterOneStays() async throws {
        let world = try await RedisWorld.start(.sentinel)
        do {
            try await twoHolders(world)
        } catch {
            Issue.record(error)
        }
        try await world.stop()
    }

    @Loop private func twoHolders(_ world: RedisWorld) async throws {
        let replicas = try await world.sentinels.replicas()
        // What is written from here on stays with the primary.
        for replica in replicas { replica.pause() }
        let first = try await enter(world, "connector-server-1")
        // The holder stands still, so that it cannot take its binding back before the other comes.
        try await world.processes["connector-server-1"].freeze()
        let former = try await world.sentinels.primary()
        await former.kill9()
        for replica in replicas { replica.resume() }
        _ = try await world.sentinels.nextPrimary(after: former)
        var second: TestClient?
        try await eventually("the user comes in elsewhere", within: .seconds(8)) {
            second = try await enter(world, "connector-server-2", isExpected: false)
            return second != nil
        }
        #expect(first.kick == nil)
        world.processes["connector-server-1"].thaw()
        try await eventually("the first one is told", within: .seconds(2)) { first.kick != nil }
        #expect(first.kick?["reason"] == "rebound", "\(String(describing: first.kick))")
        #expect(second?.end == nil && second?.kick == nil)
        let key = "{POMELO:STATUS:ann*hall}:bind"
        let primary = try await world.sentinels.primary()
        #expect(try await primary.command("HGET", key, "sid") == ["connector-server-2"])
        // Whoever comes third is refused.
        #expect(try await enter(world, "connector-server-1", isExpected: false) == nil)
        second?.close()
    }

    /// Nil when the user is not let in.
    @Loop private func enter(
        _ world: RedisWorld, _ connector: String, isExpected: Bool = true
    ) async throws -> TestClient? {
        let client = try await world.processes.connect(connector)
        client.patience = .seconds(5)
        let answer = try await client.request("connector.entryHandler.enter", ["username": "ann", "rid": "hall"])
        if answer["users"] != nil { return client }
        client.close()
        if isExpected { throw Unmet(description: "not let in: \(answer)") }
        return nil
    }

    @Loop private func enter(_ world: RedisWorld, _ connector: String) async throws -> TestClient {
        guard let client = try await enter(world, connector, isExpected: true) else {
            throw Unmet(description: "not let in")
        }
        return client
    }
}
