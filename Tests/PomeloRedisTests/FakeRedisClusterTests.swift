// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloRedis
import PomeloTesting
import Testing

/// A cluster in memory refuses what a real one refuses.
@Suite("FakeRedis as a cluster") struct FakeRedisClusterTests {
    private static let script = RedisScript(name: "touch", source: "")
    private static let refusal = "CROSSSLOT Keys in request don't hash to the same slot"

    @Loop private func cluster() -> FakeRedis {
        let fake = FakeRedis(clock: ManualClock(), isCluster: true)
        // Sets each of its arguments, whether it names it as a key or not.
        fake.register(script: Self.script) { redis, _, args throws(RedisError) in
            for key in args { try redis(RedisCommand("SET", key, "x")) }
            return .integer(Int64(args.count))
        }
        return fake
    }

    /// One key of each node.
    private var spread: [String] {
        (0..<FakeRedis.nodeCount).map { node in
            (0...).lazy.map { "k\($0)" }.first { FakeRedis.node(of: $0) == node } ?? ""
        }
    }

    /// Before they are sent, as a client of a real cluster does it.
    @Test @Loop func keysOfTwoSlotsAreRefused() async throws {
        let client = cluster().client()
        #expect(client.isCluster)
        for steps: [RedisStep] in [
            [.command(RedisCommand("SET", "a", "1")), .command(RedisCommand("DEL", "a", "b"))],
            [.transaction([RedisCommand("SET", "a", "1"), RedisCommand("SET", "b", "1")])],
            [.script(Self.script, keys: ["a", "b"], args: ["a"])], [.command(RedisCommand("FLUSHALL"))],
        ] {
            let error = await #expect(throws: RedisError.self) { try await client.execute(steps) }
            guard case .refused = error else { return #expect(error == .refused("")) }
        }
        #expect(try await client.send(RedisCommand("DEL", "{t}a", "{t}b")) == .integer(0))
        for key in ["a", "b"] { #expect(try await client.send(RedisCommand("EXISTS", key)) == .integer(0)) }
        let replies = try await client.transaction([RedisCommand("SET", "{t}a", "1"), RedisCommand("GET", "{t}a")])
        #expect(replies == [.status("OK"), .text("1")])
    }

    @Test @Loop func aNodeRefusesThemToo() async throws {
        let client = cluster().client()
        let node = client.nodes[FakeRedis.node(of: "a")]
        let replies = try await node.execute([
            .command(RedisCommand("DEL", "a", "b")), .script(Self.script, keys: ["a", "b"], args: ["a"]),
            .transaction([RedisCommand("SET", "a", "1"), RedisCommand("RENAMENX", "a", "b")]),
            .command(RedisCommand("EXISTS", "a")),
        ])
        #expect(replies == [.error(Self.refusal), .error(Self.refusal), .error(Self.refusal), .integer(0)])
    }

    @Test @Loop func aScriptHasOnlyTheKeysItNames() async throws {
        let client = cluster().client()
        #expect(try await client.run(Self.script, keys: ["{t}a"], args: ["{t}a"]) == .integer(1))
        await #expect(throws: RedisError.self) {
            try await client.run(Self.script, keys: ["{t}a"], args: ["{t}b"])
        }
        #expect(try await client.send(RedisCommand("EXISTS", "{t}a", "{t}b")) == .integer(1))
    }

    @Test @Loop func aBatchOfAllNodesComesBackInOrder() async throws {
        let clock = ManualClock()
        let fake = FakeRedis(clock: clock, isCluster: true)
        let client = fake.client()
        fake.delay = .milliseconds(1) ... .milliseconds(40)
        let keys = (0..<60).map { "k\($0 % 20)" }
        async let replies = client.pipeline(keys.map { RedisCommand("INCR", $0) })
        for _ in 0..<200 {
            await Loop.yield()
            clock.advance(by: .milliseconds(1))
        }
        #expect(try await replies.map(\.int) == (0..<60).map { $0 / 20 + 1 })
        #expect(Set(keys.map { FakeRedis.node(of: $0) }).count == FakeRedis.nodeCount)
    }

    @Test @Loop func eachNodeHasItsPartOfTheKeys() async throws {
        let client = cluster().client()
        let keys = (0..<50).map { "k\($0)" }
        _ = try await client.pipeline(keys.map { RedisCommand("SET", $0, "x") })
        var found: [[String]] = []
        for node in client.nodes {
            found.append(try await node.send(RedisCommand("SCAN", "0", "COUNT", 100)).page().texts)
        }
        #expect(found.count == FakeRedis.nodeCount && found.allSatisfy { !$0.isEmpty })
        #expect(found.joined().sorted() == keys.sorted())
        #expect(zip(0..., found).allSatisfy { node, keys in keys.allSatisfy { FakeRedis.node(of: $0) == node } })
        // A node knows where the others' keys are.
        let reply = try await client.nodes[0].pipeline([RedisCommand("GET", spread[1])])[0]
        #expect(reply.errorText?.hasPrefix("MOVED \(KeySlot(of: spread[1]).number) ") == true)
    }

    @Test @Loop func aNodeThatFailsOverLosesItsOwnKeysOnly() async throws {
        let fake = cluster()
        let before = fake.state
        _ = try await fake.pipeline(spread.map { RedisCommand("SET", $0, "x") })
        let run = fake.runID
        fake.failOver(to: before, node: 1)
        let left = try await fake.pipeline(spread.map { RedisCommand("EXISTS", $0) }).map(\.int)
        #expect(left == [1, 0, 1])
        #expect(fake.runID != run)
    }
}
