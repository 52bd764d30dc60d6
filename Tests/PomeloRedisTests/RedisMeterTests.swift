// SPDX-License-Identifier: MIT
import Metrics
import MetricsTestKit
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

extension WithRedis {
    /// Each metric beside what it says that it counts.
    @Suite struct Meters {
        private static let connection = [("connection", "test")]

        @Loop private func withMetrics(
            _ body: @Loop (TestMetrics, RedisServer, RedisClient) async throws -> Void
        ) async throws {
            let metrics = TestMetrics()
            try await withMetricsFactory(metrics) {
                try await withRedis(configure: { $0.commandTimeoutSeconds = 20 }) { server, redis in
                    try await body(metrics, server, redis)
                }
            }
        }

        /// Of sixteen batches one is timed.
        @Test @Loop func aDurationIsThatOfACommand() async throws {
            try await withMetrics { metrics, _, redis in
                let timer = try metrics.expectTimer("pomelo.redis.command.duration", Self.connection)
                let before = timer.values.count
                for _ in 0..<160 { _ = try await redis.send(RedisCommand("PING")) }
                // The canary has some of its own.
                #expect((10...12).contains(timer.values.count - before), "\(timer.values.count - before)")
                #expect(timer.values.allSatisfy { $0 > 0 })
                let took = try await seconds {
                    for _ in 0..<16 { _ = try await redis.send(RedisCommand("BLPOP", "nothing", "0.03")) }
                }
                let longest = Double(timer.values.max() ?? 0) / 1e9
                #expect(longest >= 0.03 && longest < took, "\(longest) of \(took)")
            }
        }

        /// The server lets each wait for the one before it.
        @Test @Loop func pendingAreThoseThatStillWait() async throws {
            try await withMetrics { metrics, _, redis in
                let gauge = try metrics.expectGauge("pomelo.redis.pending", Self.connection)
                let tally = Tally()
                for _ in 0..<20 {
                    Loop.spawn {
                        tally.note(
                            await failure { () throws(RedisError) in
                                _ = try await redis.send(RedisCommand("BLPOP", "nothing", "0.01"))
                            })
                    }
                }
                await until("all have ended") { tally.ended == 20 }
                #expect(gauge.values.contains { $0 > 0 && $0 < 20 }, "\(gauge.values)")
                for _ in 0..<16 { _ = try await redis.send(RedisCommand("PING")) }
                #expect(gauge.lastValue == 0)
            }
        }

        @Test @Loop func lossesAreReconnectsAndGaps() async throws {
            try await withMetrics { metrics, server, redis in
                let gaps = try metrics.expectCounter("pomelo.redis.gaps")
                let health = try metrics.expectGauge("pomelo.redis.health")
                func reconnects(_ name: String) throws -> Int64 {
                    try metrics.expectCounter("pomelo.redis.reconnects", [("connection", name)]).totalValue
                }
                var told = 0
                redis.onGap = { _ in told += 1 }
                try await redis.subscribe("news") { _ in }
                await until("it is ready") { redis.health == .ready && health.lastValue == 0 }
                #expect(try gaps.totalValue == 0 && reconnects("test") == 0 && reconnects("test:messages") == 0)
                try await server.command("CLIENT", "KILL", "TYPE", "pubsub")
                await until("the gap is told") { told == 1 }
                #expect(try gaps.totalValue == 1 && reconnects("test:messages") == 1 && reconnects("test") == 0)
                await server.kill9()
                await until("it is degraded") { redis.health != .ready }
                #expect(health.lastValue == 1)
                try await server.restart()
                await until("all is back") { redis.health == .ready && redis.control.isUp && told == 2 }
                #expect(health.lastValue == 0)
                #expect(try gaps.totalValue == 2 && reconnects("test:messages") == 2)
                #expect(try reconnects("test") == 1 && reconnects("test:control") == 1)
            }
        }
    }
}
