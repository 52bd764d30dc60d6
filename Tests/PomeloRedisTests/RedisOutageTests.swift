// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

extension WithRedis {
    @Suite struct Outages {
        /// Collects what observers are told.
        @Loop final class Events {
            var all: [RedisEvent] = []
            init(_ port: any RedisPort) { port.observe { self.all.append($0) } }
            var ups: Int {
                all.count { event in
                    if case .up = event { true } else { false }
                }
            }
        }

        @Test @Loop func aPausedServerFailsCallsInTimeAndIsLeft() async throws {
            try await withRedis(configure: { $0.commandTimeoutSeconds = 0.3 }) { server, redis in
                let events = Events(redis)
                server.pause()
                let took = await seconds {
                    let error = await failure { () throws(RedisError) in _ = try await redis.send(RedisCommand("PING"))
                    }
                    #expect(error == .timeout(milliseconds: 300))
                }
                #expect(took >= 0.29 && took < 3)
                #expect(!redis.isUp)
                let atOnce = await seconds {
                    let error = await failure { () throws(RedisError) in _ = try await redis.send(RedisCommand("PING"))
                    }
                    #expect(error?.maybeExecuted == false)
                    #expect("\(error.map(String.init(describing:)) ?? "")".contains("127.0.0.1:\(server.port)"))
                }
                #expect(atOnce < 0.2)
                server.resume()
                await until("it is up again") { redis.isUp }
                #expect(events.ups == 1 && events.all.count == 2)
                _ = try await redis.send(RedisCommand("PING"))
            }
        }

        @Test @Loop func aSlowCommandFailsAloneAndItsLateReplyIsDropped() async throws {
            try await withRedis(configure: { $0.commandTimeoutSeconds = 1 }) { _, redis in
                // The second waits for the first, whose answer comes while it waits: the connection is not silent.
                let tally = Tally()
                for wait in ["0.5", "0.8"] {
                    Loop.spawn {
                        tally.note(
                            await failure { () throws(RedisError) in
                                _ = try await redis.send(RedisCommand("BLPOP", "none", wait))
                            })
                    }
                }
                await until("both have ended") { tally.ended == 2 }
                #expect(tally.outcomes == [nil, .timeout(milliseconds: 1000)])
                #expect(redis.isUp)
                let next = try await redis.send(RedisCommand("ECHO", "x"))
                #expect(next.string == "x")
            }
        }

        @Test @Loop func controlGoesOnWhileCommandsHang() async throws {
            try await withRedis(configure: { $0.commandTimeoutSeconds = 0.3 }) { _, redis in
                _ = try await redis.control.send(RedisCommand("CLIENT", "PAUSE", 600_000, "WRITE"))
                let tally = Tally()
                Loop.spawn {
                    tally.note(
                        await failure { () throws(RedisError) in _ = try await redis.send(RedisCommand("SET", "k", 1)) }
                    )
                }
                await until("the write has failed") { tally.ended == 1 }
                #expect(tally.outcomes == [.timeout(milliseconds: 300)])
                #expect(redis.control.isUp)
                let other = try await redis.control.send(RedisCommand("PING"))
                #expect(other == .status("PONG"))
            }
        }

        @Test @Loop func killedAndEmptyAgain() async throws {
            try await withRedis { server, redis in
                let first = redis.runID
                let events = Events(redis)
                _ = try await redis.send(RedisCommand("SET", "k", 1))
                await server.kill9()
                await until("the loss is told") { !events.all.isEmpty }
                #expect(!redis.isUp)
                try await server.restart()
                await until("it is up again") { redis.isUp }
                #expect(events.all.last == .up(runID: redis.runID, reconnected: true))
                #expect(redis.runID != first)
                let lost = try await redis.send(RedisCommand("GET", "k"))
                #expect(lost.isNull)
            }
        }

        @Test @Loop func aPersistentServerKeepsItsData() async throws {
            let server = try await RedisServer.start(persistent: true, options: ["--appendfsync", "always"])
            let redis = RedisClient(server.configuration, logger: quiet)
            try await redis.start()
            _ = try await redis.send(RedisCommand("SET", "k", 1))
            let first = redis.runID
            try await server.restart()
            await until("the next one is found") { redis.isUp && redis.runID != first }
            let kept = try await redis.send(RedisCommand("GET", "k"))
            #expect(kept.int == 1)
            let second = redis.runID
            try await server.restart(empty: true)
            await until("the last one is found") { redis.isUp && redis.runID != second }
            let lost = try await redis.send(RedisCommand("GET", "k"))
            #expect(lost.isNull)
            await redis.stop()
            await server.stop()
        }

        @Test @Loop func everyCallEndsExactlyOnceWhenTheConnectionIsKilled() async throws {
            try await withRedis { _, redis in
                let own = try await redis.send(RedisCommand("CLIENT", "ID")).int ?? 0
                let tally = Tally()
                for number in 0..<1000 {
                    Loop.spawn {
                        // A continuation resumed twice traps, one never resumed keeps the count short.
                        tally.note(
                            await failure { () throws(RedisError) in
                                _ = try await redis.send(RedisCommand("INCRBY", "n", number))
                            })
                    }
                    if number == 500 {
                        Loop.spawn {
                            tally.note(
                                await failure { () throws(RedisError) in
                                    _ = try await redis.pipeline([
                                        RedisCommand("CLIENT", "KILL", "ID", own, "SKIPME", "no"), RedisCommand("PING"),
                                    ])
                                })
                        }
                    }
                }
                await until("all have ended") { tally.ended == 1001 }
                let failed = tally.outcomes.compactMap { $0 }
                let others = failed.filter { error in
                    if case .connection = error { false } else { true }
                }
                #expect(others.first == nil)
                // Those under way when it broke may have been executed; others were not sent.
                let unsure = failed.filter(\.maybeExecuted).count
                #expect(unsure > 0)
                await until("it is up again") { redis.isUp }
                _ = try await redis.send(RedisCommand("PING"))
            }
        }

        @Test @Loop func aServerThatBecomesAReplicaIsLeft() async throws {
            try await withRedis { _, redis in
                let events = Events(redis)
                _ = try await redis.control.send(RedisCommand("REPLICAOF", "127.0.0.1", 1))
                let refused = try await redis.pipeline([RedisCommand("SET", "k", 1)])
                #expect(refused[0].errorText?.hasPrefix("READONLY") == true)
                await until("the connection is left") { events.all.count == 1 }
                let error = await failure { () throws(RedisError) in _ = try await redis.send(RedisCommand("PING")) }
                #expect(error?.maybeExecuted == false)
                _ = try await redis.control.send(RedisCommand("REPLICAOF", "NO", "ONE"))
                await until("it is up again") { redis.isUp }
                _ = try await redis.send(RedisCommand("SET", "k", 1))
            }
        }

        @Test @Loop func stopFailsWhatWaitsAndRefusesTheRest() async throws {
            let server = try await RedisServer.start()
            let redis = RedisClient(server.configuration, logger: quiet)
            try await redis.start()
            let tally = Tally()
            server.pause()
            Loop.spawn {
                tally.note(await failure { () throws(RedisError) in _ = try await redis.send(RedisCommand("PING")) })
            }
            await Loop.yield()
            await redis.stop()
            await until("it has ended") { tally.ended == 1 }
            #expect(tally.outcomes.first??.maybeExecuted == true)
            let later = await failure { () throws(RedisError) in _ = try await redis.send(RedisCommand("PING")) }
            #expect(later == .closed)
            await redis.stop()
            await server.stop()
        }

        @Test @Loop func noTimerIsLeftBehind() async throws {
            let before = SystemClock.shared.pendingTimers
            let server = try await RedisServer.start()
            let redis = RedisClient(server.configuration, logger: quiet)
            try await redis.start()
            for _ in 0..<100 { _ = try await redis.send(RedisCommand("PING")) }
            // One for the commands of each connection at most; other tests run at the same time.
            #expect(SystemClock.shared.pendingTimers - before < 60)
            await redis.stop()
            await server.stop()
        }
    }
}
