// SPDX-License-Identifier: MIT
import Foundation
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloRedis

extension WithRedis {
    /// Random batches, many under way at once, beside a model that takes one after the other.
    @Suite(.serialized) struct RandomPipelines {
        /// How many batches; a long run says more in its environment.
        private static let count = ProcessInfo.processInfo.environment["POMELO_PIPELINES"].flatMap(Int.init) ?? 1500

        @Test @Loop func aServerAnswersAsTheModel() async throws {
            // So few that many batches wait for room, and none is cut.
            try await withRedis(configure: {
                $0.maxPendingCommands = 150
                $0.commandTimeoutSeconds = 60
            }) { _, client in
                try await compare(client, seed: 21, onePlace: true, together: 16)
            }
            // So few that most batches are cut; then others come in between.
            try await withRedis(configure: {
                $0.maxPendingCommands = 16
                $0.commandTimeoutSeconds = 60
            }) { _, client in
                try await compare(client, seed: 23, onePlace: true, together: 1)
            }
        }

        @Test @Loop func aClusterAnswersAsTheModel() async throws {
            try await withCluster(configure: { $0.commandTimeoutSeconds = 60 }) { _, client in
                // Between nodes only the order of one batch is kept.
                try await compare(client, seed: 22, onePlace: false, together: 1)
            }
        }

        /// The batches are sent in the order in which the model takes them, some before the first is answered.
        @Loop private func compare(
            _ client: RedisClient, seed: UInt64, onePlace: Bool, together: Int
        ) async throws {
            let fake = FakeRedis(clock: ManualClock())
            var random = RandomBatches(seed: seed, onePlace: onePlace)
            var left = Self.count
            while left > 0 {
                let batches = (0..<min(together, left)).map { _ in random.next() }
                left -= batches.count
                var answers: [[RedisReply]] = batches.map { _ in [] }
                var refused: Set<Int> = []
                let tally = Tally()
                for (index, batch) in batches.enumerated() {
                    Loop.spawn {
                        let error = await failure { () throws(RedisError) in
                            answers[index] = try await client.execute(batch)
                        }
                        if case .overloaded = error { refused.insert(index) }
                        tally.note(error)
                    }
                }
                await until("the batches are answered") { tally.ended == batches.count }
                #expect(tally.outcomes.count { $0 != nil } == refused.count)
                for (index, (batch, answer)) in zip(batches, answers).enumerated() {
                    // Who found the line full has changed nothing.
                    if refused.contains(index) { continue }
                    let expected = RandomBatches.comparable(try await fake.execute(batch), of: batch)
                    let comparable = RandomBatches.comparable(answer, of: batch)
                    guard comparable != expected else { continue }
                    Issue.record("batch \(Self.count - left), \(batch): \(comparable), not \(expected)")
                    return
                }
            }
        }
    }
}

/// Batches of commands and transactions on few keys.
struct RandomBatches {
    private var random: SplitMix64
    private var families: [RandomCommands]
    private let onePlace: Bool

    init(seed: UInt64, onePlace: Bool) {
        random = SplitMix64(seed: seed)
        self.onePlace = onePlace
        families = []
        for family in RandomCommands.Family.allCases {
            families.append(RandomCommands(family, random: SplitMix64(seed: random.next())))
        }
    }

    mutating func next() -> [RedisStep] {
        (0..<Int.random(in: 1...12, using: &random)).map { _ in
            if Int.random(in: 0..<5, using: &random) > 0 { return .command(command()) }
            let first = command()
            let more = (0..<Int.random(in: 0..<4, using: &random)).map { _ in command(beside: first) }
            return .transaction([first] + more)
        }
    }

    /// Time goes on for the server alone, and what has no slot has no place in a cluster.
    private static let left: Set = [
        "PEXPIRE", "PTTL", "TIME", "SCAN", "SSCAN", "HSCAN", "FLUSHALL", "FLUSHDB", "MULTI", "EXEC", "DISCARD",
        "PUBLISH", "XADD",
    ]

    private mutating func command(beside other: RedisCommand? = nil) -> RedisCommand {
        while true {
            let family = Int.random(in: 0..<families.count, using: &random)
            let command = families[family].next()
            let text = command.arguments.map { String(decoding: $0.utf8, as: UTF8.self).uppercased() }
            if Self.left.contains(command.name.uppercased()) || text.contains("PX") || text.contains("EX") { continue }
            if onePlace { return command }
            guard let slot = try? ClusterBatch.slot(of: .command(command)) else { continue }
            let others = other.map { [$0, command] } ?? [command]
            if (try? ClusterBatch.slot(of: .transaction(others))) ?? nil == slot { return command }
        }
    }

    /// The replies without what Redis leaves open.
    static func comparable(_ replies: [RedisReply], of batch: [RedisStep]) -> [RedisReply] {
        zip(batch, replies).map { step, reply in
            switch (step, reply) {
            case (.command(let command), _): RandomCommands.comparable(reply, of: command)
            case (.transaction(let commands), .array(let inner)):
                .array(zip(commands, inner).map { RandomCommands.comparable($1, of: $0) })
            default: reply
            }
        }
    }
}
