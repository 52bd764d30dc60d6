// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

@testable import PomeloRedis

extension WithRedis {
    /// All primaries of a real cluster as one port.
    @Suite struct Cluster {
        @Test @Loop func aBatchOverManySlotsComesBackInOrder() async throws {
            try await withCluster { _, redis in
                #expect(redis.isCluster && redis.nodes.count == 3)
                let sets = try await redis.pipeline((0..<3000).map { RedisCommand("SET", "k\($0)", $0) })
                #expect(sets.allSatisfy { $0 == .status("OK") })
                let gets = try await redis.pipeline((0..<3000).map { RedisCommand("GET", "k\($0)") })
                #expect(gets.map(\.int) == (0..<3000).map { $0 })
                // Every one of them has a part.
                for node in redis.nodes { #expect(try await node.send(RedisCommand("DBSIZE")).int ?? 0 > 500) }
            }
        }

        @Test @Loop func scriptsAndTransactionsGoToTheirSlots() async throws {
            try await withCluster { _, redis in
                let add = RedisScript(name: "add", source: "return redis.call('INCRBY', KEYS[1], ARGV[1])")
                var steps: [RedisStep] = []
                for number in 0..<100 {
                    steps.append(.script(add, keys: ["s\(number)"], args: [.number(number)]))
                    let (one, two) = ("{t\(number)}a", "{t\(number)}b")
                    steps.append(.transaction([RedisCommand("SET", one, number), RedisCommand("INCR", two)]))
                }
                for round in 1...2 {
                    let replies = try await redis.execute(steps)
                    for number in 0..<100 {
                        #expect(replies[number * 2] == .integer(Int64(number * round)))
                        #expect(replies[number * 2 + 1] == .array([.status("OK"), .integer(Int64(round))]))
                    }
                }
                _ = try await redis.nodes[0].send(RedisCommand("SCRIPT", "FLUSH"))
                let third = try await redis.execute(steps)
                #expect(third.allSatisfy { $0.errorText == nil })
                #expect(try await redis.run(add, keys: ["s7"], args: [1]).int == 22)
                #expect(try await redis.transaction([RedisCommand("GET", "{t5}a")]) == [.text("5")])
            }
        }

        struct Refused: Sendable, CustomTestStringConvertible {
            let step: RedisStep
            let words: [String]
            var testDescription: String { words.joined(separator: " ") }
        }

        static let refused = [
            Refused(step: .command(RedisCommand("MGET", "a", "b")), words: ["MGET", "\"a\"", "\"b\""]),
            Refused(
                step: .transaction([RedisCommand("SET", "a", 1), RedisCommand("SADD", "{b}x", 2)]),
                words: ["a transaction", "\"a\"", "\"{b}x\""]),
            Refused(
                step: .script(RedisScript(name: "two", source: "return 1"), keys: ["a", "c"], args: []),
                words: ["script two", "\"a\"", "\"c\""]),
            Refused(step: .command(RedisCommand("SCAN", 0)), words: ["SCAN", "nodes"]),
            Refused(step: .command(RedisCommand("FLUSHALL")), words: ["FLUSHALL", "nodes"]),
            Refused(step: .command(RedisCommand("MULTI")), words: ["MULTI", "connection"]),
            Refused(step: .command(RedisCommand("NO.SUCH", "k")), words: ["NO.SUCH", "keyPositions"]),
        ]

        @Test @Loop func whatNoNodeCanDoIsRefusedBeforeAnythingIsSent() async throws {
            try await withCluster { _, redis in
                for example in Self.refused {
                    let error = await failure { () throws(RedisError) in
                        _ = try await redis.execute([.command(RedisCommand("INCR", "sent")), example.step])
                    }
                    guard case .refused(let text) = error else {
                        return #expect(Bool(false), "\(example): \(text(of: error))")
                    }
                    for word in example.words { #expect(text.contains(word), "\(text)") }
                    #expect(error?.maybeExecuted == false)
                }
                let sent = try await redis.send(RedisCommand("EXISTS", "sent"))
                #expect(sent == .integer(0))
            }
        }

        /// Half of a slot's keys are at one node and half at another.
        @Test @Loop func aSlotInTheMiddleOfItsMoveIsServed() async throws {
            try await withCluster { cluster, redis in
                let slot = KeySlot(of: "foo").number
                let keys = (0..<20).map { "{foo}\($0)" }
                _ = try await redis.pipeline(keys.map { RedisCommand("SET", $0, 1) })
                try await cluster.beginMove(slot, from: 2, to: 0)
                _ = try await cluster.moveKeys(slot, from: 2, to: 0, atMost: 10)
                let gets = try await redis.pipeline(keys.map { RedisCommand("INCR", $0) })
                #expect(gets.allSatisfy { $0 == .integer(2) }, "\(gets)")
                // What is new belongs to the node that the slot goes to.
                let fresh = try await redis.transaction([
                    RedisCommand("SET", "{foo}new", 1), RedisCommand("INCR", "{foo}new"),
                ])
                #expect(fresh == [.status("OK"), .integer(2)])
                let script = RedisScript(name: "incr", source: "return redis.call('INCR', KEYS[1])")
                #expect(try await redis.run(script, keys: ["{foo}new2"], args: []).int == 1)
                #expect(try await redis.run(script, keys: ["{foo}new2"], args: []).int == 2)
                #expect(try await redis.send(RedisCommand("INCR", "{foo}new3")) == .integer(1))
                // Keys here and there: neither node can answer until the move goes on.
                let both = Task { @Loop in try await redis.send(RedisCommand("MGET", keys)) }
                await Loop.yield()
                _ = try await cluster.moveKeys(slot, from: 2, to: 0)
                #expect(try await both.value.array?.count == 20)
                try await cluster.endMove(slot, from: 2, to: 0)
                let after = try await redis.pipeline(keys.map { RedisCommand("INCR", $0) })
                #expect(after.allSatisfy { $0 == .integer(3) }, "\(after)")
            }
        }

        /// Its words are a node's, but it has been executed.
        @Test @Loop func aScriptThatFailsInANodesWordsRunsOnce() async throws {
            try await withCluster { _, redis in
                for text in ["TRYAGAIN x", "CLUSTERDOWN x", "MOVED 1 127.0.0.1:1", "ASK 1 127.0.0.1:1"] {
                    let source = "redis.call('INCR', KEYS[1]) return redis.error_reply('\(text)')"
                    let script = RedisScript(name: "fails", source: source)
                    await #expect(throws: RedisError.self) { try await redis.run(script, keys: [text], args: []) }
                    let runs = try await redis.send(RedisCommand("GET", text)).int
                    #expect(runs == 1, "\(text)")
                }
            }
        }

        @Test @Loop func tenThousandCommandsComeBackInOrderWhileSlotsMove() async throws {
            try await withCluster { cluster, redis in
                let commands = (0..<10_000).map { RedisCommand("INCRBY", "n\($0 % 2500)", $0) }
                var expected: [String: Int64] = [:]
                let sums = (0..<10_000).map { number -> RedisReply in
                    expected["n\(number % 2500)", default: 0] += Int64(number)
                    return .integer(expected["n\(number % 2500)"] ?? 0)
                }
                var moved = 0
                let mover = Task { @Loop in
                    while moved < 6 {
                        let (from, to) = moved % 2 == 0 ? (0, 1) : (1, 2)
                        let slot = KeySlot(of: moved % 2 == 0 ? "n\(moved)" : "m\(moved)").number
                        let owner = try await cluster.owner(of: slot)
                        try await cluster.moveSlot(slot, from: owner, to: owner == to ? from : to)
                        moved += 1
                    }
                }
                var rounds: Int64 = 0
                while rounds < 3 || moved < 6 {
                    let replies = try await redis.pipeline(commands)
                    rounds += 1
                    if rounds == 1 { #expect(replies == sums) }
                    #expect(replies.allSatisfy { $0.errorText == nil })
                }
                try await mover.value
                // Nothing was executed twice, and nothing left out.
                for (key, sum) in expected {
                    #expect(try await redis.send(RedisCommand("GET", key)).int == Int(sum * rounds), "\(key)")
                }
            }
        }

        @Test @Loop func aPrimaryThatDiesIsReplaced() async throws {
            try await withCluster(replicas: 1) { cluster, redis in
                let before = redis.runID
                let keys = (0..<300).map { "k\($0)" }
                _ = try await redis.pipeline(keys.map { RedisCommand("SET", $0, 1) })
                var events: [RedisEvent] = []
                redis.observe { events.append($0) }
                let former = try await cluster.killMaster(1)
                await until("it is noticed") { !redis.isUp }
                // The others go on.
                let alive = keys.first { KeySlot(of: $0).number < 5000 } ?? ""
                #expect(try await redis.send(RedisCommand("GET", alive)).int == 1)
                _ = try await cluster.nextMaster(of: 1, after: former)
                let took = SystemClock.shared.now
                await until("all of it is up again") { redis.isUp }
                #expect(SystemClock.shared.now - took < 2_000_000_000)
                #expect(redis.runID != before)
                #expect(try await redis.pipeline(keys.map { RedisCommand("GET", $0) }).allSatisfy { $0.int == 1 })
                #expect(events.last == .up(runID: redis.runID, reconnected: true))
                try await cluster.nodes[former].restart()
                try await cluster.settle()
                #expect(try await redis.pipeline(keys.map { RedisCommand("INCR", $0) }).allSatisfy { $0.int == 2 })
            }
        }

        /// A connection for leases has no command for seconds, and no canary.
        @Test @Loop func whoSaysNothingFindsTheNewPrimaryToo() async throws {
            try await withCluster(replicas: 1) { cluster, redis in
                let seeds = cluster.ports.map { SocketAddress(host: "127.0.0.1", port: $0) }
                let configuration = redis.configuration
                let nodes = ClusterNodes(configuration, seeds: seeds, clock: SystemClock.shared, logger: quiet) {
                    RedisConnection(
                        configuration, locator: FixedLocator($0, $1 ? .anyClusterNode : .clusterPrimary), name: "idle",
                        resolver: Resolver(), random: RandomSource(), logger: quiet, clock: SystemClock.shared)
                }
                nodes.markStale()
                await until("all are up, and nothing is asked any more") { nodes.areUp && !nodes.isAsking }
                let former = try await cluster.killMaster(1)
                await until("it is noticed") { !nodes.areUp }
                _ = try await cluster.nextMaster(of: 1, after: former)
                await until("all of it is up again") { nodes.areUp }
                await nodes.stop()
            }
        }

        /// Seeds are whoever was there when the address was written.
        @Test @Loop func replicasAndTheDeadAreSeedsToo() async throws {
            let cluster = try await RedisClusterServers.start(replicas: 1)
            do {
                let dead = try await RedisServer.start()
                await dead.stop()
                let seeds = [dead.port, cluster.nodes[3].port].map { SocketAddress(host: "127.0.0.1", port: $0) }
                let redis = RedisClient(RedisConfiguration(.cluster(seeds: seeds)), name: "test", logger: quiet)
                try await redis.start()
                #expect(redis.nodes.count == 3)
                await redis.stop()
            } catch {
                Issue.record(error)
            }
            await cluster.stop()
        }

        @Test @Loop func anAddressOfTheOtherKindIsAClearError() async throws {
            let server = try await RedisServer.start()
            let place = SocketAddress(host: "127.0.0.1", port: server.port)
            let wrong = RedisClient(RedisConfiguration(.cluster(seeds: [place])), name: "test", logger: quiet)
            let error = await failure { () throws(RedisError) in try await wrong.start() }
            #expect("\(text(of: error))".contains("is no node of a Redis Cluster"), "\(text(of: error))")
            await server.stop()
            try await withCluster { cluster, _ in
                let plain = RedisClient(cluster.nodes[0].configuration, name: "test", logger: quiet)
                let error = await failure { () throws(RedisError) in try await plain.start() }
                #expect("\(text(of: error))".contains("redis+cluster://"), "\(text(of: error))")
            }
        }

        @Test @Loop func walksGoThroughAllNodes() async throws {
            try await withCluster { _, redis in
                _ = try await redis.pipeline((0..<2000).map { RedisCommand("SET", "walk:\($0)", 1) })
                var found: Set<String> = []
                try await redis.forEachPage(matching: "walk:*") { found.formUnion($0) }
                #expect(found.count == 2000)
            }
        }

        /// Channels of shards are where their slots are, also when these have moved or their primary has died.
        @Test @Loop func messagesOfShardsFollowTheirSlots() async throws {
            try await withCluster(replicas: 1) { cluster, redis in
                let channels = (0..<30).map { "room-\($0)" }
                let sequence = try await redis.shardedMessages(on: channels)
                let reader = MessageCount(sequence)
                func publishAll(_ round: Int) async throws {
                    let sent = channels.map { RedisCommand("SPUBLISH", $0, "\(round)") }
                    for reply in try await redis.pipeline(sent) { _ = try reply.get() }
                }
                try await publishAll(1)
                await until("all have come") { reader.rounds.count { $0.value == 1 } == 30 }
                #expect(reader.gaps.isEmpty)
                let slot = KeySlot(of: channels[0]).number
                let from = try await cluster.owner(of: slot)
                try await cluster.moveSlot(slot, from: from, to: (from + 1) % 3)
                await until("the one that moved has a gap") { reader.gaps.contains(channels[0]) }
                try await publishAll(2)
                await until("all have come again") { reader.rounds.count { $0.value == 2 } == 30 }
                let dead = try await cluster.killMaster(2)
                _ = try await cluster.nextMaster(of: 2, after: dead)
                let lost = Set(
                    channels.filter { (10_923...16_383).contains(KeySlot(of: $0).number) && $0 != channels[0] })
                await until("all of the dead primary have a gap") { lost.isSubset(of: reader.gaps) }
                await until("all of it is up again") { redis.isUp }
                try await publishAll(3)
                await until("all have come once more") { reader.rounds.count { $0.value == 3 } == 30 }
            }
        }

        @Test @Loop func messagesReachEverySubscriber() async throws {
            try await withCluster { cluster, redis in
                var heard: [String] = []
                try await redis.subscribe("news") { heard.append(String(decoding: $0, as: UTF8.self)) }
                for number in 0..<20 { _ = try await redis.send(RedisCommand("PUBLISH", "news", "\(number)")) }
                for node in cluster.nodes { try await node.command("PUBLISH", "news", "x") }
                await until("all have come") { heard.count == 23 }
                #expect(Array(heard.prefix(20)) == (0..<20).map { "\($0)" })
            }
        }
    }
}

/// What has come of a sequence.
@Loop final class MessageCount {
    private(set) var rounds: [String: Int] = [:]
    private(set) var gaps: Set<String> = []

    init(_ sequence: RedisMessageSequence) {
        Loop.spawn { [weak self] in
            for await event in sequence {
                switch event {
                case .message(let channel, let payload):
                    self?.rounds[channel] = Int(String(decoding: payload, as: UTF8.self))
                case .gap(let channels): self?.gaps.formUnion(channels)
                }
            }
        }
    }
}

private func text(of error: RedisError?) -> String { error.map { "\($0)" } ?? "no error" }
