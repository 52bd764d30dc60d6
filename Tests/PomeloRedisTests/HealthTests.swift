// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloRedis

extension WithRedis {
    /// What the canary finds out, and what is done about it.
    @Suite struct Health {
        @Test @Loop func aLossIsKnownAtOnceAndTheReturnIsTried() async throws {
            try await withRedis { server, redis in
                var told: [RedisHealth] = []
                let observation = redis.observeHealth { told.append($0) }
                await until("it is ready") { redis.health == .ready }
                await server.kill9()
                await until("it is degraded") { redis.health != .ready }
                #expect("\(redis.health)".hasPrefix("degraded: commands: redis at 127.0.0.1:\(server.port)"))
                try await server.restart()
                await until("it is ready again") { redis.health == .ready }
                #expect(told.first != .ready && told.last == .ready && told.count >= 2)
                redis.unobserveHealth(observation)
                await redis.stop()
                #expect(told.last == .ready)
                #expect(redis.health == .degraded("commands: stopped"))
            }
        }

        @Test @Loop func whatWritesAreRefusedForIsTold() async throws {
            try await withRedis { _, redis in
                await until("it is ready") { redis.health == .ready }
                _ = try await redis.send(RedisCommand("CONFIG", "SET", "maxmemory", 1))
                await redis.monitor.check()
                #expect("\(redis.health)".hasPrefix("degraded: commands: OOM"))
                _ = try await redis.send(RedisCommand("CONFIG", "SET", "maxmemory", 0))
                await redis.monitor.check()
                #expect(redis.health == .ready)
            }
        }

        @Test(.timeLimit(.minutes(1))) @Loop func aSubscriptionThatTheServerHasForgottenIsMadeAgain() async throws {
            try await withRedis(configure: { $0.commandTimeoutSeconds = 0.5 }) { _, redis in
                let sequence = try await redis.messages(on: ["a"])
                await redis.monitor.check()
                #expect(redis.health == .ready)
                // Behind the back of all who believe in it.
                let link = try #require(redis.subscriptions.carriers.links.first)
                _ = try await link.connection.pipeline(
                    link.channels.map { RedisCommand("UNSUBSCRIBE", $0.name.string) })
                let silence = RedisHealth.degraded("messages: a message did not come back within 500 ms")
                try await eventually("the silence is noticed", every: .zero) {
                    await redis.monitor.check()
                    return redis.health == silence
                }
                #expect(await MessageSuite.read(sequence, 1) == [.gap(["a"])])
                await until("it is ready again") {
                    await redis.monitor.check()
                    return redis.health == .ready
                }
                _ = try await redis.send(RedisCommand("PUBLISH", "a", "again"))
                #expect(await MessageSuite.read(sequence, 1) == [MessageSuite.message("a", "again")])
            }
        }

        @Test @Loop func aUserWithoutTheRightsIsReadyByWhatCanBeTried() async throws {
            try await withRedis { server, redis in
                let rules = ["on", ">pw", "~chat:*", "+@all", "resetchannels", "&chat"]
                _ = try await redis.send(RedisCommand("ACL", "SETUSER", "ann").appending(rules))
                var configuration = server.configuration
                configuration.username = "ann"
                configuration.password = "pw"
                let ann = RedisClient(configuration, logger: quiet)
                try await ann.start()
                let sequence = try await ann.messages(on: ["chat"])
                await until("it is ready") { ann.health == .ready }
                await ann.monitor.check()
                await ann.monitor.check()
                #expect(ann.health == .ready)
                sequence.end()
                await ann.stop()
            }
        }
    }
}

@Suite struct HealthFindingTests {
    @Test func remediesGrow() {
        var findings = HealthFindings()
        let remedies = (0..<4).map { _ in findings.messagesDidNotCome("silence") }
        #expect(remedies == [.resubscribe, .reconnect, .resolve, .resolve])
        findings.commands = "OOM"
        #expect(findings.health == .degraded("commands: OOM; messages: silence"))
        findings.messagesCame()
        findings.commands = nil
        #expect(findings.health == .ready)
        let first = findings.messagesDidNotCome("again")
        #expect(first == .resubscribe)
    }
}
