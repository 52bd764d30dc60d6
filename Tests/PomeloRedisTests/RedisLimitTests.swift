// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

extension WithRedis {
    /// What may wait, and what is done with more.
    @Suite struct Limits {
        @Test @Loop func aBatchBeyondTheBoundIsSentInParts() async throws {
            try await withRedis { _, redis in
                let many = try await redis.pipeline((0..<25_000).map { _ in RedisCommand("INCR", "n") })
                #expect(many.map(\.int) == (1...25_000).map { $0 })
            }
            try await withRedis(configure: { $0.maxPendingCommands = 16 }) { _, redis in
                for count in [1, 8, 9, 16, 17, 1000] {
                    let replies = try await redis.pipeline((0..<count).map { RedisCommand("ECHO", $0) })
                    #expect(replies.map(\.string) == (0..<count).map { "\($0)" })
                }
            }
        }

        @Test @Loop func partsWaitForRoomThatOthersHaveTaken() async throws {
            try await withRedis(configure: { $0.maxPendingCommands = 16 }) { _, redis in
                let (tally, rest) = (Tally(), Tally())
                // Others keep the queue full as long as the batch goes on.
                for _ in 0..<16 {
                    Loop.spawn {
                        while tally.ended == 0 {
                            let error = await failure { () throws(RedisError) in
                                _ = try await redis.send(RedisCommand("PING"))
                            }
                            if error != nil { await SystemClock.shared.sleep(for: .milliseconds(1)) }
                        }
                        rest.note(nil)
                    }
                }
                await Loop.yield()
                let replies = try await redis.pipeline((0..<200).map { _ in RedisCommand("INCR", "n") })
                tally.note(nil)
                #expect(replies.map(\.int) == (1...200).map { $0 })
                await until("all have ended") { rest.ended == 16 }
            }
        }

        @Test @Loop func aBatchThatWaitsForRoomEndsWhenItIsCancelled() async throws {
            try await withRedis(configure: {
                $0.maxPendingCommands = 16
                // Longer than any test waits.
                $0.commandTimeoutSeconds = 600
            }) { server, redis in
                let (blockers, tally) = (Tally(), Tally())
                server.pause()
                for _ in 0..<16 {
                    Loop.spawn {
                        blockers.note(
                            await failure { () throws(RedisError) in _ = try await redis.send(RedisCommand("PING")) })
                    }
                }
                await Loop.yield()
                let task = Loop.spawn {
                    tally.note(
                        await failure { () throws(RedisError) in
                            _ = try await redis.pipeline((0..<100).map { _ in RedisCommand("INCR", "n") })
                        })
                }
                await Loop.yield()
                #expect(tally.ended == 0)
                task.cancel()
                await until("the batch has ended") { tally.ended == 1 }
                #expect(tally.outcomes == [.overloaded(limit: 16)])
                server.resume()
                await until("the others have ended") { blockers.ended == 16 }
            }
        }

        /// All are called in one turn, before there is anything that could be waited for.
        @Test @Loop func callsOfOneTurnThatWaitForRoomEndWhenTheyAreCancelled() async throws {
            try await withRedis(configure: {
                $0.maxPendingCommands = 16
                $0.commandTimeoutSeconds = 600
            }) { server, redis in
                let tally = Tally()
                server.pause()
                let tasks = (0..<30).map { _ in
                    Task { @Loop in
                        tally.note(
                            await failure { () throws(RedisError) in _ = try await redis.send(RedisCommand("PING")) })
                    }
                }
                for _ in 0..<20 { await Loop.yield() }
                #expect(tally.ended == 0)
                for task in tasks { task.cancel() }
                await until("those in the line have ended") { tally.ended == 14 }
                #expect(tally.outcomes.allSatisfy { $0 == .overloaded(limit: 16) })
                server.resume()
                await until("the others have their answer") { tally.ended == 30 }
                #expect(tally.outcomes.count { $0 == nil } == 16)
            }
        }

        /// A command that a script may not call: Redis tells its line only.
        @Test @Loop func theErrorOfAScriptTellsTheLine() async throws {
            try await withRedis { _, redis in
                let source = "local x = 1\n  return redis.call('INCR', KEYS[1], x, x)"
                let script = RedisScript(name: "test", source: source)
                let error = await failure { () throws(RedisError) in
                    _ = try await redis.run(script, keys: ["k"], args: [])
                }
                let text = error.map(String.init(describing:)) ?? ""
                #expect(text.hasSuffix("(script test, line 2: return redis.call('INCR', KEYS[1], x, x))"), "\(text)")
            }
        }

        @Test @Loop func aTransactionIsNeverCut() async throws {
            try await withRedis(configure: { $0.maxPendingCommands = 16 }) { _, redis in
                let replies = try await redis.transaction((0..<300).map { _ in RedisCommand("INCR", "n") })
                #expect(replies.map(\.int) == (1...300).map { $0 })
                let calls = try await redis.send(RedisCommand("INFO", "commandstats")).string ?? ""
                #expect(calls.contains("cmdstat_exec:calls=1,"))
            }
        }

        /// Between MULTI and EXEC nobody else may say anything: it would be queued with the transaction.
        @Test @Loop func nobodyGetsIntoALongTransaction() async throws {
            try await withRedis(configure: { $0.maxPendingCommands = 16 }) { _, redis in
                let (tally, rest) = (Tally(), Tally())
                var others: [RedisReply] = []
                for _ in 0..<4 {
                    Loop.spawn {
                        while tally.ended == 0 {
                            // Refused while the transaction takes all the room.
                            do throws(RedisError) {
                                others.append(try await redis.send(RedisCommand("PING")))
                            } catch {
                                await Loop.yield()
                            }
                        }
                        rest.note(nil)
                    }
                }
                let many = (0..<300).map { _ in RedisCommand("INCR", "n") }
                for _ in 0..<20 {
                    #expect(try await redis.transaction(many).count == 300)
                    let written = try await redis.pipeline([RedisCommand("MULTI")] + many + [RedisCommand("EXEC")])
                    #expect(written.last?.array?.count == 300)
                    let watched = try await redis.pipeline(
                        [RedisCommand("WATCH", "k"), RedisCommand("multi")] + many + [RedisCommand("EXEC")])
                    #expect(watched.last?.array?.count == 300)
                }
                tally.note(nil)
                await until("the others have ended") { rest.ended == 4 }
                #expect(!others.isEmpty && others.allSatisfy { $0 == .status("PONG") })
            }
        }

        /// The time in the line counts: who waited for room and found none was never sent.
        @Test @Loop func roomIsWaitedForWithinTheDeadline() async throws {
            try await withRedis(configure: {
                $0.maxPendingCommands = 16
                $0.commandTimeoutSeconds = 0.5
            }) { server, redis in
                let (sent, waited) = (Tally(), Tally())
                server.pause()
                for tally in [sent, waited] {
                    for _ in 0..<16 {
                        Loop.spawn {
                            tally.note(
                                await failure { () throws(RedisError) in
                                    _ = try await redis.send(RedisCommand("INCR", "n"))
                                })
                        }
                    }
                    await Loop.yield()
                }
                await until("all have ended") { sent.ended == 16 && waited.ended == 16 }
                server.resume()
                #expect(sent.outcomes.allSatisfy { $0?.maybeExecuted == true })
                #expect(waited.outcomes.allSatisfy { $0 != nil && $0?.maybeExecuted == false }, "\(waited.outcomes)")
                await until("it is up again") { redis.isUp }
                let count = try await redis.send(RedisCommand("GET", "n")).int ?? 0
                #expect(count <= 16)
            }
        }

        /// First come, first served, whatever the sizes are.
        @Test @Loop func whoWaitsForRoomIsServedInTurn() async throws {
            try await withRedis(configure: { $0.maxPendingCommands = 16 }) { server, redis in
                server.pause()
                var order: [Int] = []
                let tally = Tally()
                for (number, many) in [16, 7, 1, 8, 1].enumerated() {
                    Loop.spawn {
                        let commands = (0..<many).map { _ in RedisCommand("PING") }
                        let error = await failure { () throws(RedisError) in _ = try await redis.pipeline(commands) }
                        order.append(number)
                        tally.note(error)
                    }
                    await Loop.yield()
                }
                server.resume()
                await until("all have ended") { tally.ended == 5 }
                #expect(tally.outcomes.allSatisfy { $0 == nil })
                #expect(order == [1, 2, 3, 4, 0] || order == [0, 1, 2, 3, 4], "\(order)")
            }
        }

        @Test @Loop func tooManyBytesPendingAreRefused() async throws {
            try await withRedis(configure: { $0.maxPendingBytes = 65_536 }) { _, redis in
                let tally = Tally()
                let text = [UInt8](repeating: 7, count: 20_000)
                for number in 0..<10 {
                    Loop.spawn {
                        tally.note(
                            await failure { () throws(RedisError) in
                                _ = try await redis.send(RedisCommand("SET", "k\(number)", text))
                            })
                    }
                }
                await until("all have ended") { tally.ended == 10 }
                let refused = RedisError.overloaded(limit: 65_536, key: "maxPendingBytes")
                // Three are sent, three wait for room.
                #expect(tally.outcomes.count { $0 == refused } == 4)
                #expect(tally.outcomes.count { $0 == nil } == 6)
                #expect("\(refused)".contains("maxPendingBytes"))
            }
        }

        @Test @Loop func aLongBatchIsCutByBytes() async throws {
            try await withRedis(configure: { $0.maxPendingBytes = 65_536 }) { _, redis in
                let text = [UInt8](repeating: 7, count: 10_000)
                let replies = try await redis.pipeline((0..<100).map { RedisCommand("SET", "k\($0)", text) })
                #expect(replies.allSatisfy { $0 == .status("OK") } && replies.count == 100)
                // One command longer than the bound passes alone.
                let long = [UInt8](repeating: 7, count: 500_000)
                _ = try await redis.pipeline([RedisCommand("SET", "k", long), RedisCommand("PING")])
                #expect(try await redis.send(RedisCommand("STRLEN", "k")).int == 500_000)
            }
        }

        @Test @Loop func aReplyBeyondTheBoundEndsTheConnection() async throws {
            try await withRedis(configure: { $0.maxReplyBytes = 65_536 }) { server, redis in
                let script = RedisCommand("EVAL", "redis.call('SETRANGE', KEYS[1], 9999999, 'x') return 1", 1, "k")
                _ = try await redis.send(script)
                let error = await failure { () throws(RedisError) in _ = try await redis.send(RedisCommand("GET", "k"))
                }
                let place = "127.0.0.1:\(server.port)"
                #expect(error == .protocolError("\(place): a reply of more than 65536 bytes"))
                await until("it is up again") { redis.isUp }
                let others = try await redis.pipeline((0..<20_000).map { RedisCommand("ECHO", $0) })
                #expect(others.count == 20_000)
            }
        }
    }

    /// How long a start waits for what.
    @Suite struct Patience {
        @Test @Loop func aServerThatLoadsItsDataIsWaitedFor() async throws {
            // Each key takes a millisecond to load; while it loads, it answers now and then. What it has confirmed is
            // in its file: with `everysec` it may still be in its memory while a sync is under way.
            let options = [
                "--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024",
                "--appendfsync", "always",
            ]
            let server = try await RedisServer.start(persistent: true, options: options)
            let filler = RedisClient(server.configuration, logger: quiet)
            try await filler.start()
            _ = try await filler.pipeline((0..<3000).map { RedisCommand("SET", "key-\($0)", $0) })
            await filler.stop()
            await server.kill9()
            let tally = Tally()
            Loop.spawn {
                do {
                    try await server.restart()
                } catch {
                    Issue.record(error)
                }
                tally.note(nil)
            }
            var configuration = server.configuration
            configuration.connectTimeoutSeconds = 0.5
            let client = RedisClient(configuration, logger: quiet)
            // Before it listens, nobody is there.
            var error: RedisError?
            repeat {
                let client = RedisClient(configuration, logger: quiet)
                error = await failure { () throws(RedisError) in try await client.start() }
                await client.stop()
            } while "\(error.map(String.init(describing:)) ?? "")".contains("refused")
            #expect(error == nil)
            try await client.start(within: .seconds(20))
            #expect(try await client.send(RedisCommand("GET", "key-2999")).int == 2999)
            await client.stop()
            await until("it has started") { tally.ended == 1 }
            await server.stop()
        }

        /// Longer than the command timeout and the connect timeout; what counts is the patience of the start.
        @Test @Loop func aServerThatIsSlowIsWaitedFor() async throws {
            let server = try await RedisServer.start()
            var configuration = server.configuration
            configuration.commandTimeoutSeconds = 0.2
            configuration.connectTimeoutSeconds = 0.3
            server.pause()
            let resumed = SystemClock.shared.schedule(after: .seconds(1)) { server.resume() }
            let client = RedisClient(configuration, logger: quiet)
            try await client.start(within: .seconds(20))
            #expect(client.isUp && client.control.isUp)
            SystemClock.shared.cancel(resumed)
            await client.stop()
            await server.stop()
        }

        @Test @Loop func patienceEnds() async throws {
            let server = try await RedisServer.start()
            var configuration = server.configuration
            configuration.commandTimeoutSeconds = 0.1
            configuration.connectTimeoutSeconds = 0.2
            server.pause()
            let client = RedisClient(configuration, logger: quiet)
            let took = await seconds {
                let error = await failure { () throws(RedisError) in try await client.start(within: .seconds(1)) }
                let text = error.map(String.init(describing:)) ?? ""
                #expect(text.contains("127.0.0.1:\(server.port) does not answer"), "\(text)")
            }
            #expect(took >= 1 && took < 8)
            server.resume()
            await server.stop()
        }

        @Test @Loop func aStartThatIsCancelledEndsAtOnce() async throws {
            let server = try await RedisServer.start()
            server.pause()
            let client = RedisClient(server.configuration, logger: quiet)
            let tally = Tally()
            let task = Loop.spawn {
                tally.note(await failure { () throws(RedisError) in try await client.start(within: .seconds(60)) })
            }
            await Loop.yield()
            task.cancel()
            await until("the start has ended") { tally.ended == 1 }
            #expect(tally.outcomes == [.closed])
            server.resume()
            await server.stop()
        }
    }
}
