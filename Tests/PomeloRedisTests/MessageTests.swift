// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

@testable import PomeloRedis

extension WithRedis {
    /// Messages as sequences, from a real server.
    @Suite struct Messages {
        @Test(.timeLimit(.minutes(1))) @Loop func sequencesOfTheClientKeepTheRules() async throws {
            try await withRedis { server, redis in
                let other = RedisClient(server.configuration, name: "other", logger: quiet)
                try await other.start()
                let suite = MessageSuite(
                    messages: { channels, bounds throws(RedisError) in
                        try await redis.messages(on: channels, bounds: bounds)
                    },
                    sharded: { channels, bounds throws(RedisError) in
                        try await redis.shardedMessages(on: channels, bounds: bounds)
                    },
                    other: other,
                    lose: { try await other.send(RedisCommand("CLIENT", "KILL", "TYPE", "pubsub")) },
                    stop: { await redis.stop() })
                try await suite.run()
                await other.stop()
            }
        }

        @Test @Loop func aHandlerAndReadersShareAChannel() async throws {
            try await withRedis { _, redis in
                let heard = Subscriptions.Heard()
                let sequence = try await redis.messages(on: ["a"])
                try await redis.subscribe("a") { heard.hear($0) }
                _ = try await redis.send(RedisCommand("PUBLISH", "a", "1"))
                #expect(await MessageSuite.read(sequence, 1) == [MessageSuite.message("a", "1")])
                await until("the handler is called") { heard.texts == ["1"] }
                redis.unsubscribe("a")
                _ = try await redis.send(RedisCommand("PUBLISH", "a", "2"))
                #expect(await MessageSuite.read(sequence, 1) == [MessageSuite.message("a", "2")])
                #expect(heard.texts == ["1"])
            }
        }

        @Test @Loop func manyChannelsAreSubscribedAgainInBatches() async throws {
            try await withRedis { _, redis in
                let names = (0..<3000).map { "channel:\($0)" }
                let sequence = try await redis.messages(on: names)
                _ = try await redis.send(RedisCommand("CLIENT", "KILL", "TYPE", "pubsub"))
                #expect(await MessageSuite.read(sequence, 1) == [.gap(names.sorted())])
                let counts = try await redis.send(RedisCommand("PUBSUB", "NUMSUB").appending(names)).array ?? []
                #expect(counts.count { $0 == .integer(1) } == names.count)
            }
        }

        @Test @Loop func aChannelWithoutTheRightIsRefusedAndNothingIsRead() async throws {
            try await withRedis { server, redis in
                let rules = ["on", ">pw", "~*", "+@all", "resetchannels", "&allowed"]
                _ = try await redis.send(RedisCommand("ACL", "SETUSER", "ann").appending(rules))
                var configuration = server.configuration
                configuration.username = "ann"
                configuration.password = "pw"
                let ann = RedisClient(configuration, logger: quiet)
                try await ann.start()
                let error = await failure { () throws(RedisError) in
                    _ = try await ann.messages(on: ["allowed", "other"])
                }
                #expect("\(error.map { "\($0)" } ?? "")".contains("NOPERM"))
                try await eventually("nobody has the other") {
                    try await redis.send(RedisCommand("PUBLISH", "allowed", "x")).int == 0
                }
                await ann.stop()
            }
        }

        /// The slot of a channel goes to another node: its subscription ends there, and is made anew where it is now.
        @Test @Loop func aSubscriptionThatTheServerEndsIsMadeAnewElsewhere() async throws {
            let cluster = try await RedisClusterServers.start(masters: 2, replicas: 0)
            do {
                let slot = KeySlot(of: "chat").number
                let from = try await cluster.owner(of: slot)
                let carrier = TwoNodes(cluster.ports, at: from)
                let subscriptions = RedisSubscriptions(carrier, quiet)
                let sequence = try await subscriptions.messages(
                    on: [ChannelID("chat", isSharded: true)], RedisMessageBounds())
                try await cluster.nodes[from].command("SPUBLISH", "chat", "1")
                #expect(await MessageSuite.read(sequence, 1) == [MessageSuite.message("chat", "1")])
                try await cluster.moveSlot(slot, from: from, to: 1 - from)
                #expect(await MessageSuite.read(sequence, 1) == [.gap(["chat"])])
                #expect(carrier.at == 1 - from)
                try await cluster.nodes[1 - from].command("SPUBLISH", "chat", "2")
                #expect(await MessageSuite.read(sequence, 1) == [MessageSuite.message("chat", "2")])
                await subscriptions.stop()
            } catch {
                Issue.record(error)
            }
            await cluster.stop()
        }
    }
}

/// Two nodes, of which one carries all channels.
@Loop private final class TwoNodes: MessageCarriers {
    let links: [MessageLink]
    private(set) var at: Int

    init(_ ports: [Int], at: Int) {
        self.at = at
        links = ports.map { port in
            let place = SocketAddress(host: "127.0.0.1", port: port)
            return MessageLink(
                RedisConnection(
                    RedisConfiguration(host: place.host, port: port),
                    locator: FixedLocator(place, .anyClusterNode), name: "test", resolver: Resolver(),
                    random: RandomSource(), logger: quiet, clock: SystemClock.shared))
        }
    }

    func link(for channel: ChannelID) async throws(RedisError) -> MessageLink { links[at] }

    func wasWrong(about channel: ChannelID, _ error: RedisError?) -> Bool {
        at = 1 - at
        return true
    }

    func channelsHaveMoved() {}

    func stop() async {
        for link in links { await link.stop() }
    }
}

/// What waits for a reader, without one.
@Suite struct MessageQueueTests {
    @Test @Loop func whatIsDroppedLeavesOneGapInItsPlace() {
        var queue = MessageQueue(RedisMessageBounds(events: 2, bytes: 1000))
        // The first that is dropped is told; the next are the same gap.
        let outcomes = (1...4).map { queue.append(["a", "b", "c", "d"][Int($0) - 1], [$0]) }
        #expect(outcomes == [true, true, false, true])
        #expect(
            rest(&queue) == [
                .gap(["a", "b"]), .message(channel: "c", payload: [3]), .message(channel: "d", payload: [4]),
            ])
    }

    @Test @Loop func bytesAreBoundedToo() {
        var queue = MessageQueue(RedisMessageBounds(events: 100, bytes: 400))
        for index in 0..<10 { _ = queue.append("a", [UInt8](repeating: UInt8(index), count: 35)) }
        #expect(queue.count == 4)
        let first = queue.removeFirst()
        #expect(first == .gap(["a"]))
        _ = queue.append("long", [UInt8](repeating: 0, count: 1000))
        #expect(rest(&queue) == [.gap(["a", "long"])])
    }

    @Test @Loop func gapsBehindEachOtherAreOne() {
        var queue = MessageQueue(RedisMessageBounds())
        _ = queue.appendGap(["b"])
        _ = queue.appendGap(["a", "b"])
        _ = queue.append("a", [1])
        _ = queue.appendGap(["c"])
        #expect(rest(&queue) == [.gap(["a", "b"]), .message(channel: "a", payload: [1]), .gap(["c"])])
    }

    private func rest(_ queue: inout MessageQueue) -> [RedisMessageEvent] {
        var events: [RedisMessageEvent] = []
        while let event = queue.removeFirst() { events.append(event) }
        return events
    }

    @Test @Loop func replyOrPush() {
        func push(_ parts: RedisReply...) -> RedisPush? { RedisPush(.array(parts)) }
        #expect(
            push(.text("message"), .text("a"), .text("x")) == .message(channel: "a", payload: [120], isSharded: false))
        #expect(
            push(.text("smessage"), .text("a"), .text("x")) == .message(channel: "a", payload: [120], isSharded: true))
        #expect(push(.text("sunsubscribe"), .text("a"), .integer(0)) == .ended(channel: "a"))
        #expect(push(.text("subscribe"), .text("a"), .integer(1)) == nil)
        #expect(push(.text("unsubscribe"), .text("a"), .integer(1)) == nil)
        #expect(push(.text("message"), .text("a")) == nil)
    }
}
