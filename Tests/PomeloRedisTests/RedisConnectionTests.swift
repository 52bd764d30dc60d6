// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloRedis
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

extension WithRedis {
    @Suite struct Commands {
        @Test @Loop func everyKindOfReply() async throws {
            try await withRedis { _, redis in
                let binary: [UInt8] = [0, 13, 10, 255]
                let replies = try await redis.pipeline([
                    RedisCommand("SET", "k", binary), RedisCommand("GET", "k"), RedisCommand("GET", "none"),
                    RedisCommand("INCR", "n"), RedisCommand("SADD", "k", "x"), RedisCommand("HGETALL", "none"),
                    RedisCommand("EVAL", "return {1, {'a', {2}}, false}", 0), RedisCommand("SET", "e", ""),
                    RedisCommand("GET", "e"),
                ])
                #expect(replies[0] == .status("OK"))
                #expect(replies[1] == .bulk(binary))
                #expect(replies[2] == .null)
                #expect(replies[3] == .integer(1))
                #expect(replies[4].errorText?.hasPrefix("WRONGTYPE") == true)
                #expect(replies[5] == .array([]))
                #expect(replies[6] == .array([.integer(1), .array([.text("a"), .array([.integer(2)])]), .null]))
                #expect(replies[8] == .bulk([]))
            }
        }

        @Test @Loop func sendThrowsTheServersError() async throws {
            try await withRedis { _, redis in
                let error = await failure { () throws(RedisError) in _ = try await redis.send(RedisCommand("NOSUCH")) }
                guard case .reply(let text)? = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
                #expect(text.hasPrefix("ERR unknown command"))
            }
        }

        @Test @Loop func tenThousandInFlightAnswerInOrder() async throws {
            try await withRedis { _, redis in
                let tally = Tally()
                var wrong = 0
                for number in 1...10_000 {
                    Loop.spawn {
                        let error = await failure { () throws(RedisError) in
                            if try await redis.send(RedisCommand("INCR", "n")).int != number { wrong += 1 }
                        }
                        tally.note(error)
                    }
                }
                await until("all have ended") { tally.ended == 10_000 }
                #expect(wrong == 0)
                #expect(tally.outcomes.allSatisfy { $0 == nil })
            }
        }

        @Test @Loop func largeReplyAndLargeArgument() async throws {
            try await withRedis { _, redis in
                let large = [UInt8](repeating: 7, count: 5_000_000)
                let replies = try await redis.pipeline([
                    RedisCommand("SET", "k", large), RedisCommand("GET", "k"), RedisCommand("STRLEN", "k"),
                ])
                #expect(replies[1].bytes == large)
                let members = (0..<50_000).map { "member-\($0)" }
                _ = try await redis.send(RedisCommand("SADD", "s").appending(members))
                let read = try await redis.send(RedisCommand("SMEMBERS", "s")).strings
                #expect(read.map(Set.init) == Set(members))
            }
        }

        @Test @Loop func transactionIsOneBatch() async throws {
            try await withRedis { _, redis in
                let replies = try await redis.transaction([
                    RedisCommand("SADD", "s", "a", "b"), RedisCommand("SCARD", "s"), RedisCommand("INCR", "s"),
                ])
                #expect(replies[0...1] == [.integer(2), .integer(2)])
                #expect(replies[2].errorText?.hasPrefix("WRONGTYPE") == true)
                let refused = await failure { () throws(RedisError) in
                    _ = try await redis.transaction([RedisCommand("SET", "x", 1), RedisCommand("SET", "x")])
                }
                #expect("\(refused.map(String.init(describing:)) ?? "")".contains("wrong number of arguments"))
                #expect(try await redis.send(RedisCommand("EXISTS", "x")) == .integer(0))
            }
        }

        @Test @Loop func scriptIsSentAgainAfterAFlush() async throws {
            try await withRedis { _, redis in
                let script = RedisScript(name: "add", source: "return redis.call('INCRBY', KEYS[1], ARGV[1])")
                #expect(try await redis.run(script, keys: ["n"], args: [2]).int == 2)
                #expect(try await redis.run(script, keys: ["n"], args: ["3"]).int == 5)
                _ = try await redis.send(RedisCommand("SCRIPT", "FLUSH"))
                #expect(try await redis.run(script, keys: ["n"], args: [4]).int == 9)
                #expect(try await redis.run(script, keys: ["n"], args: [1]).int == 10)
                let calls = try await redis.send(RedisCommand("INFO", "commandstats")).string ?? ""
                #expect(calls.contains("cmdstat_evalsha:calls=3"))
                #expect(calls.contains("cmdstat_eval:calls=2"))
            }
        }

        @Test @Loop func callsOfOneTurnLeaveTogether() async throws {
            try await withRedis { _, redis in
                let before = try await redis.inputEvents()
                let tally = Tally()
                for _ in 0..<100 {
                    Loop.spawn {
                        tally.note(
                            await failure { () throws(RedisError) in _ = try await redis.send(RedisCommand("PING")) })
                    }
                }
                await until("all have ended") { tally.ended == 100 }
                #expect(try await redis.inputEvents() - before <= 4)
            }
        }

        /// As many wait for room as for replies.
        @Test @Loop func tooManyPendingWaitAndMoreAreRefused() async throws {
            try await withRedis(configure: { $0.maxPendingCommands = 20 }) { _, redis in
                let tally = Tally()
                for _ in 0..<50 {
                    Loop.spawn {
                        tally.note(
                            await failure { () throws(RedisError) in _ = try await redis.send(RedisCommand("PING")) })
                    }
                }
                await until("all have ended") { tally.ended == 50 }
                #expect(tally.outcomes.count { $0 == .overloaded(limit: 20) } == 10)
                #expect(tally.outcomes.count { $0 == nil } == 40)
                let later = try await redis.send(RedisCommand("PING"))
                #expect(later == .status("PONG"))
            }
        }

        @Test @Loop func selectsTheDatabaseAndSaysItsName() async throws {
            try await withRedis(configure: { $0.db = 5 }) { _, redis in
                let own = try await redis.send(RedisCommand("CLIENT", "INFO")).string ?? ""
                #expect(own.contains(" db=5 ") && own.contains(" name=test "))
                let control = try await redis.control.send(RedisCommand("CLIENT", "INFO")).string ?? ""
                #expect(control.contains(" db=5 ") && control.contains(" name=test:control "))
                #expect(redis.runID.count == 40)
            }
        }

        @Test @Loop func passwordAndACLUser() async throws {
            try await withRedis(
                options: ["--requirepass", "sesame"], configure: { $0.password = "sesame" }
            ) { server, redis in
                let rules = ["on", ">pw", "~*", "+@all", "-@dangerous"]
                _ = try await redis.send(RedisCommand("ACL", "SETUSER", "ann").appending(rules))
                #expect(try await redis.send(RedisCommand("ACL", "WHOAMI")) == .text("default"))
                var configuration = server.configuration
                configuration.username = "ann"
                configuration.password = "pw"
                let ann = RedisClient(configuration, name: "ann", logger: quiet)
                try await ann.start()
                #expect(try await ann.send(RedisCommand("ACL", "WHOAMI")).string == "ann")
                #expect(ann.runID == "")
                await ann.stop()
            }
        }
    }

    @Suite struct Refusals {
        struct Wrong: Sendable, CustomTestStringConvertible {
            let name: String
            let change: @Sendable (inout RedisConfiguration) -> Void
            let key: String
            var testDescription: String { name }
        }

        static let wrong = [
            Wrong(name: "wrong password", change: { $0.password = "no" }, key: "\"password\""),
            Wrong(name: "no password", change: { _ in }, key: "\"password\""),
            Wrong(
                name: "wrong user",
                change: {
                    $0.username = "bob"; $0.password = "sesame"
                }, key: "\"username\""),
            Wrong(
                name: "no such database",
                change: {
                    $0.password = "sesame"; $0.db = 99
                }, key: "\"db\""),
        ]

        @Test(arguments: wrong) @Loop func aWrongKeyIsNamedAtOnce(_ example: Wrong) async throws {
            let server = try await RedisServer.start(options: ["--requirepass", "sesame"])
            var configuration = server.configuration
            configuration.connectTimeoutSeconds = 60
            example.change(&configuration)
            let client = RedisClient(configuration, logger: quiet)
            let error = await failure { () throws(RedisError) in try await client.start() }
            guard case .reply(let text)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(text.contains(example.key) && text.contains("127.0.0.1:\(server.port)"))
            #expect(
                await failure { () throws(RedisError) in _ = try await client.send(RedisCommand("PING")) } == .closed)
            await server.stop()
        }

        @Test @Loop func nobodyListens() async throws {
            let server = try await RedisServer.start()
            await server.kill9()
            var configuration = server.configuration
            configuration.connectTimeoutSeconds = 0.3
            let client = RedisClient(configuration, logger: quiet)
            let took = await seconds {
                let error = await failure { () throws(RedisError) in try await client.start() }
                let text = error.map(String.init(describing:)) ?? ""
                #expect(text.contains("127.0.0.1:\(server.port)") && text.contains("connection refused"), "\(text)")
            }
            #expect(took >= 0.3 && took < 4)
            await server.stop()
        }

        @Test @Loop func aServerThatComesLateIsReached() async throws {
            let server = try await RedisServer.start()
            await server.kill9()
            var configuration = server.configuration
            configuration.connectTimeoutSeconds = 10
            let client = RedisClient(configuration, logger: quiet)
            let tally = Tally()
            Loop.spawn { tally.note(await failure { () throws(RedisError) in try await client.start() }) }
            await Loop.yield()
            try await server.restart()
            await until("the start has ended") { tally.ended == 1 }
            #expect(tally.outcomes == [nil])
            await client.stop()
            await server.stop()
        }

        static let strangers = [
            Stranger(name: "web server", greeting: "HTTP/1.1 400 Bad Request\r\n\r\n"),
            Stranger(name: "mail server", greeting: "+OK POP3 server ready\r\n"),
            Stranger(name: "bad length", greeting: "$-9\r\n"),
            Stranger(name: "refusal", greeting: "-ERR max number of clients reached\r\n"),
            Stranger(name: "a reply too much", answer: "+OK\r\n+PONG\r\n*1\r\n+master\r\n$0\r\n\r\n+OK\r\n"),
            Stranger(name: "silence"),
        ]

        struct Stranger: Sendable, CustomTestStringConvertible {
            let name: String
            var greeting = ""
            var answer = ""
            var testDescription: String { name }
        }

        /// Answers the first bytes it reads.
        @Loop final class Answerer: ByteStreamDelegate {
            private var answer: String
            init(_ answer: String) { self.answer = answer }
            func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
                if !answer.isEmpty { stream.write(Array(answer.utf8)) }
                answer = ""
            }
            func streamDidDrain(_ stream: any ByteStream) {}
            func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) {}
        }

        @Test(arguments: strangers) @Loop func aListenerThatIsNotRedis(_ stranger: Stranger) async throws {
            let listener = try await UVNetwork().listen(on: SocketAddress(host: "127.0.0.1", port: 0)) { stream in
                stream.delegate = Answerer(stranger.answer)
                if !stranger.greeting.isEmpty { stream.write(Array(stranger.greeting.utf8)) }
            }
            var configuration = RedisConfiguration(host: "127.0.0.1", port: listener.localAddress.port)
            configuration.connectTimeoutSeconds = 1
            configuration.startTimeoutSeconds = 1
            configuration.commandTimeoutSeconds = 0.2
            let client = RedisClient(configuration, logger: quiet)
            let error = await failure { () throws(RedisError) in
                try await client.start()
                _ = try await client.pipeline([RedisCommand("PING"), RedisCommand("PING")])
            }
            #expect("\(error.map(String.init(describing:)) ?? "no error")".contains("127.0.0.1"))
            await client.stop()
            listener.close()
        }
    }
}

extension RedisPort {
    /// How often the server has read something of any connection.
    func inputEvents() async throws -> Int {
        let stats = try await send(RedisCommand("INFO", "stats")).string ?? ""
        let line = stats.split(whereSeparator: \.isNewline).first { $0.hasPrefix("total_reads_processed:") }
        return line.flatMap { Int($0.drop { $0 != ":" }.dropFirst()) } ?? -1
    }
}
