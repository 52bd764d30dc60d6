// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

extension WithRedis {
    @Suite struct Subscriptions {
        @Loop final class Heard {
            var texts: [String] = []
            var gaps: [[String]] = []
            func hear(_ bytes: [UInt8]) { texts.append(String(decoding: bytes, as: UTF8.self)) }
        }

        @Test @Loop func messagesArriveInOrderUntilUnsubscribed() async throws {
            try await withRedis { _, redis in
                let heard = Heard()
                try await redis.subscribe("a") { heard.hear($0) }
                try await redis.subscribe("b") { heard.hear([UInt8]("b:".utf8) + $0) }
                _ = try await redis.pipeline((0..<100).map { RedisCommand("PUBLISH", $0 == 50 ? "b" : "a", $0) })
                await until("all have arrived") { heard.texts.count == 100 }
                #expect(heard.texts == (0..<100).map { $0 == 50 ? "b:50" : "\($0)" })

                redis.unsubscribe("a")
                redis.unsubscribe("never subscribed")
                _ = try await redis.pipeline([RedisCommand("PUBLISH", "a", "x"), RedisCommand("PUBLISH", "b", "y")])
                await until("the other channel still works") { heard.texts.count == 101 }
                #expect(heard.texts.last == "b:y")
                // The last channel gone, and one again: a sequence that hiredis alone does not survive.
                redis.unsubscribe("b")
                try await redis.subscribe("c") { heard.hear($0) }
                try await redis.subscribe("a") { heard.hear($0) }
                _ = try await redis.pipeline([RedisCommand("PUBLISH", "c", "c"), RedisCommand("PUBLISH", "a", "a")])
                await until("both have arrived") { heard.texts.count == 103 }
            }
        }

        @Test @Loop func aSecondSubscriptionReplacesTheHandler() async throws {
            try await withRedis { _, redis in
                let first = Heard()
                let second = Heard()
                try await redis.subscribe("a") { first.hear($0) }
                try await redis.subscribe("a") { second.hear($0) }
                _ = try await redis.send(RedisCommand("PUBLISH", "a", 1))
                await until("it has arrived") { !second.texts.isEmpty }
                #expect(first.texts.isEmpty)
            }
        }

        @Test @Loop func subscribedAgainAfterALossAndTheGapIsTold() async throws {
            try await withRedis { _, redis in
                let heard = Heard()
                redis.onGap = { heard.gaps.append($0) }
                for name in ["b", "a"] { try await redis.subscribe(name) { heard.hear($0) } }
                _ = try await redis.send(RedisCommand("CLIENT", "KILL", "TYPE", "pubsub"))
                await until("the gap is told") { !heard.gaps.isEmpty }
                #expect(heard.gaps == [["a", "b"]])
                // Told after the channels are subscribed: what is published now is heard.
                _ = try await redis.send(RedisCommand("PUBLISH", "a", "again"))
                await until("it has arrived") { heard.texts == ["again"] }
            }
        }

        @Test @Loop func failsInTimeWhileTheServerIsAway() async throws {
            try await withRedis(configure: { $0.commandTimeoutSeconds = 0.2 }) { server, redis in
                await server.kill9()
                let took = await seconds {
                    let error = await failure { () throws(RedisError) in try await redis.subscribe("a") { _ in } }
                    guard case .connection? = error else {
                        Issue.record("\(String(describing: error))")
                        return
                    }
                }
                #expect(took < 3)
                try await server.restart()
                await until("it is up again") { redis.isUp }
                let heard = Heard()
                var subscribed = false
                while !subscribed {
                    subscribed =
                        await failure { () throws(RedisError) in try await redis.subscribe("a") { heard.hear($0) } }
                        == nil
                }
                _ = try await redis.send(RedisCommand("PUBLISH", "a", 1))
                await until("it has arrived") { heard.texts == ["1"] }
            }
        }

        @Test @Loop func aUserWithoutTheRightIsTold() async throws {
            try await withRedis { server, redis in
                let rules = ["on", ">pw", "~*", "+@all", "resetchannels", "&allowed"]
                _ = try await redis.send(RedisCommand("ACL", "SETUSER", "ann").appending(rules))
                var configuration = server.configuration
                configuration.username = "ann"
                configuration.password = "pw"
                let ann = RedisClient(configuration, logger: quiet)
                try await ann.start()
                let error = await failure { () throws(RedisError) in try await ann.subscribe("other") { _ in } }
                #expect("\(error.map(String.init(describing:)) ?? "")".contains("NOPERM"))
                await ann.stop()
            }
        }
    }
}
