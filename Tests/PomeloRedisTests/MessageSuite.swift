// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

/// What sequences of messages promise, of the real client and of the one in memory.
@Loop struct MessageSuite {
    typealias Reading = @Loop ([String], RedisMessageBounds) async throws(RedisError) -> RedisMessageSequence

    let messages: Reading
    let sharded: Reading
    /// Commands are given by somebody else.
    let other: any RedisPort
    /// Loses the connection that messages come over.
    let lose: @Loop () async throws -> Void
    let stop: @Loop () async -> Void

    private let few = RedisMessageBounds(events: 3)
    private let many = RedisMessageBounds()

    static func message(_ channel: String, _ text: String) -> RedisMessageEvent {
        .message(channel: channel, payload: Array(text.utf8))
    }

    static func read(_ sequence: RedisMessageSequence, _ count: Int) async -> [RedisMessageEvent] {
        var events: [RedisMessageEvent] = []
        var iterator = sequence.makeAsyncIterator()
        while events.count < count, let event = await iterator.next() { events.append(event) }
        return events
    }

    @discardableResult
    private func publish(_ channel: String, _ text: String, _ command: String = "PUBLISH") async throws -> Int {
        try await other.send(RedisCommand(command, channel, text)).int ?? -1
    }

    /// Each rule with names of its own; the last one stops the client.
    func run() async throws {
        try await messagesComeInOrderToEachReader()
        try await shardsHaveNamesOfTheirOwn()
        try await aLossIsAGapBeforeWhatFollows()
        try await aSlowReaderLosesTheOldest()
        try await whoEndsOrIsDroppedOrCancelledIsUnsubscribed()
        try await aStopEndsWhatHasBeenRead()
    }

    private func messagesComeInOrderToEachReader() async throws {
        let both = try await messages(["order:a", "order:b"], many)
        let one = try await messages(["order:a"], many)
        for index in 0..<6 { try await publish(index == 3 ? "order:b" : "order:a", "\(index)") }
        #expect(
            await Self.read(both, 6)
                == (0..<6).map { Self.message($0 == 3 ? "order:b" : "order:a", "\($0)") })
        #expect(await Self.read(one, 5) == [0, 1, 2, 4, 5].map { Self.message("order:a", "\($0)") })
    }

    private func shardsHaveNamesOfTheirOwn() async throws {
        let plain = try await messages(["shard"], many)
        let shard = try await sharded(["shard"], many)
        #expect(try await publish("shard", "all") == 1)
        #expect(try await publish("shard", "few", "SPUBLISH") == 1)
        #expect(await Self.read(plain, 1) == [Self.message("shard", "all")])
        #expect(await Self.read(shard, 1) == [Self.message("shard", "few")])
        shard.end()
        plain.end()
    }

    private func aLossIsAGapBeforeWhatFollows() async throws {
        let sequence = try await messages(["loss:a", "loss:b"], many)
        let shard = try await sharded(["loss:a"], many)
        try await publish("loss:a", "before")
        // On its way it may be lost with the connection.
        #expect(await Self.read(sequence, 1) == [Self.message("loss:a", "before")])
        try await lose()
        #expect(await Self.read(sequence, 1) == [.gap(["loss:a", "loss:b"])])
        #expect(await Self.read(shard, 1) == [.gap(["loss:a"])])
        try await publish("loss:b", "after")
        try await publish("loss:a", "after", "SPUBLISH")
        #expect(await Self.read(sequence, 1) == [Self.message("loss:b", "after")])
        #expect(await Self.read(shard, 1) == [Self.message("loss:a", "after")])
    }

    private func aSlowReaderLosesTheOldest() async throws {
        let slow = try await messages(["slow:a", "slow:b"], few)
        let quick = try await messages(["slow:a", "slow:b"], many)
        for index in 0..<9 { try await publish(index < 2 ? "slow:b" : "slow:a", "\(index)") }
        #expect(await Self.read(quick, 9).count == 9)
        #expect(
            await Self.read(slow, 4)
                == [.gap(["slow:a", "slow:b"])] + (6..<9).map { Self.message("slow:a", "\($0)") })
        try await publish("slow:a", "9")
        #expect(await Self.read(slow, 1) == [Self.message("slow:a", "9")])
    }

    private func whoEndsOrIsDroppedOrCancelledIsUnsubscribed() async throws {
        let one = try await messages(["end"], many)
        var two: RedisMessageSequence? = try await messages(["end"], many)
        #expect(try await publish("end", "both") == 1)
        one.end()
        #expect(await Self.read(one, 1).isEmpty)
        #expect(await Self.read(try #require(two), 1) == [Self.message("end", "both")])
        two = nil
        try await eventually("nobody has the channel") { try await publish("end", "nobody") == 0 }

        let three = try await messages(["end"], many)
        var isOver = false
        let reader = Loop.spawn {
            for await _ in three {}
            isOver = true
        }
        #expect(try await publish("end", "again") == 1)
        reader.cancel()
        await until("the cancelled task is over") { isOver }
        try await eventually("nobody has the channel") { try await publish("end", "nobody") == 0 }
    }

    private func aStopEndsWhatHasBeenRead() async throws {
        let sequence = try await messages(["stop", "stop:too"], many)
        let witness = try await messages(["stop"], many)
        try await publish("stop", "last")
        #expect(await Self.read(witness, 1) == [Self.message("stop", "last")])
        await stop()
        #expect(await Self.read(sequence, 2) == [Self.message("stop", "last")])
    }
}

@Suite struct FakeMessageTests {
    @Test(.timeLimit(.minutes(1))) @Loop func sequencesOfTheFakeKeepTheRules() async throws {
        let server = FakeRedis(clock: SystemClock.shared)
        let client = server.client()
        let suite = MessageSuite(
            messages: { channels, bounds throws(RedisError) in try await client.messages(on: channels, bounds: bounds)
            },
            sharded: { channels, bounds throws(RedisError) in
                try await client.shardedMessages(on: channels, bounds: bounds)
            },
            other: server,
            lose: {
                client.cut()
                client.mend()
            }, stop: { client.stopMessages() })
        try await suite.run()
    }
}
