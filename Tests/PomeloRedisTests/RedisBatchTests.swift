// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloRedis

extension WithRedis {
    /// Commands, scripts and transactions in one batch, each reply of a type.
    @Suite struct Batches {
        @Test @Loop func everyReplyHasItsTypeAndItsOwnError() async throws {
            try await withRedis { _, redis in
                let add = RedisScript(name: "add", source: "return redis.call('INCRBY', KEYS[1], ARGV[1])")
                let (set, name, missing, visits, wrong, added, members, bytes) = try await redis.pipeline(
                    RedisCommand("SET", "name", "Zoé", "NX").returning(Bool.self),
                    RedisCommand("GET", "name").returning(String.self),
                    RedisCommand("GET", "nobody").returning(String?.self),
                    RedisCommand("INCR", "visits").returning(Int.self),
                    RedisCommand("INCR", "name").returning(Int.self),
                    add.call(keys: ["visits"], args: [41], returning: Int.self),
                    RedisCommand("LRANGE", "nobody", 0, -1).returning([String].self),
                    RedisCommand("GET", "name").returning([UInt8].self))
                #expect(try set.get())
                #expect(try name.get() == "Zoé")
                #expect(try missing.get() == nil)
                #expect(try visits.get() == 1)
                #expect(wrong == .failure(.reply("ERR value is not an integer or out of range")))
                #expect(try added.get() == 42)
                #expect(try members.get() == [])
                #expect(try bytes.get() == Array("Zoé".utf8))
                let many = try await redis.pipeline((0..<1000).map { RedisCommand("ECHO", $0).returning(Int.self) })
                #expect(try many.map { try $0.get() } == Array(0..<1000))
                let calls = try await redis.send(RedisCommand("INFO", "commandstats")).string ?? ""
                #expect(calls.contains("cmdstat_eval:calls=1,"))
            }
        }

        @Test @Loop func aReplyOfAnotherTypeIsAnErrorThatNamesTheCommand() async throws {
            try await withRedis { _, redis in
                _ = try await redis.send(RedisCommand("SET", "text", "abc"))
                let error = await failure { () throws(RedisError) in
                    _ = try await redis.call(RedisCommand("GET", "text").returning(Int.self))
                }
                #expect(error == .protocolError("GET did not answer with Int"))
            }
        }

        @Test @Loop func transactionsAndScriptsKeepTheirPlaceInABatch() async throws {
            try await withRedis(configure: { $0.maxPendingCommands = 16 }) { _, redis in
                let push = RedisScript(name: "push", source: "return redis.call('RPUSH', KEYS[1], ARGV[1])")
                var steps: [RedisStep] = []
                for number in stride(from: 0, to: 300, by: 3) {
                    steps.append(.command(RedisCommand("RPUSH", "l", number)))
                    steps.append(.script(push, keys: ["l"], args: [.number(number + 1)]))
                    steps.append(.transaction([RedisCommand("RPUSH", "l", number + 2), RedisCommand("LLEN", "l")]))
                }
                let replies = try await redis.execute(steps)
                for (index, reply) in replies.enumerated() {
                    let length = Int64(index + 1)
                    let expected: RedisReply =
                        index % 3 == 2 ? .array([.integer(length), .integer(length)]) : .integer(length)
                    #expect(reply == expected)
                }
                let all = try await redis.send(RedisCommand("LRANGE", "l", 0, -1)).strings
                #expect(all == (0..<300).map { "\($0)" })
            }
        }

        @Test @Loop func aTransactionThatIsRefusedTellsWhy() async throws {
            try await withRedis { _, redis in
                let replies = try await redis.execute([
                    .transaction([RedisCommand("SET", "a", 1), RedisCommand("NOSUCH")]),
                    .command(RedisCommand("EXISTS", "a")),
                ])
                #expect(replies.first?.errorText?.hasPrefix("ERR unknown command") == true)
                #expect(replies.last == .integer(0))
            }
        }

        @Test @Loop func aScriptWhoseOwnErrorIsNOSCRIPTRunsOnce() async throws {
            try await withRedis { _, redis in
                let source = "redis.call('INCR', KEYS[1]) return redis.error_reply('NOSCRIPT of mine')"
                let script = RedisScript(name: "mine", source: source)
                for _ in 0..<2 { _ = try await redis.execute([.script(script, keys: ["n"], args: [])]) }
                #expect(try await redis.send(RedisCommand("GET", "n")).int == 2)
            }
        }

        @Test @Loop func aScriptThatWasForgottenRunsAllTheSame() async throws {
            try await withRedis { _, redis in
                let scripts = (0..<3).map { RedisScript(name: "s\($0)", source: "return \($0)") }
                for _ in 0..<2 {
                    let replies = try await redis.execute(scripts.map { .script($0, keys: [], args: []) })
                    #expect(replies == [.integer(0), .integer(1), .integer(2)])
                }
                _ = try await redis.send(RedisCommand("SCRIPT", "FLUSH"))
                let replies = try await redis.execute(
                    [.command(RedisCommand("PING"))] + scripts.map { .script($0, keys: [], args: []) })
                #expect(replies == [.status("PONG"), .integer(0), .integer(1), .integer(2)])
            }
        }
    }

    /// The server's own table of its commands.
    @Suite struct Keys {
        @Test @Loop func everyCommandsKeysAreWhereTheServerSays() async throws {
            try await withRedis { _, redis in
                let table = try await redis.send(RedisCommand("COMMAND")).array ?? []
                #expect(table.count > 200)
                for entry in table {
                    guard let fields = entry.array, let name = fields[0].string?.uppercased(),
                        let flags = fields[2].strings, let first = fields[3].int, let last = fields[4].int,
                        let step = fields[5].int, !flags.contains("movablekeys")
                    else { continue }
                    // Those with sub-commands say it there.
                    if ["MEMORY", "OBJECT", "XGROUP", "XINFO"].contains(name) { continue }
                    let arguments = (0..<6).map { RedisArgument.number($0) }
                    let end = last < 0 ? 6 + last : last - 1
                    let expected = first == 0 ? [] : Array(stride(from: first - 1, through: end, by: step))
                    #expect(CommandKeys.positions(name, arguments) == expected, "\(name)")
                }
            }
        }

        private static let movable = [
            "EVAL x 2 a b c", "EVALSHA x 0 a", "FCALL f 1 a b", "BLMPOP 0 2 a b LEFT", "BZMPOP 0 1 a MIN",
            "LMPOP 2 a b LEFT", "SINTERCARD 2 a b LIMIT 1", "ZDIFF 2 a b WITHSCORES", "ZINTER 1 a", "ZUNION 2 a b",
            "ZINTERCARD 2 a b", "ZMPOP 1 a MIN", "ZDIFFSTORE d 2 a b", "ZUNIONSTORE d 1 a WEIGHTS 2",
            "ZINTERSTORE d 2 a b", "XREAD COUNT 1 STREAMS a b 0 0", "XREADGROUP GROUP g c STREAMS a b > >",
            "SORT a LIMIT 0 1 STORE b", "SORT a", "GEORADIUS a 1 1 1 m STORE b", "GEORADIUSBYMEMBER a m 1 m",
            "MIGRATE h 1 k 0 1", "XGROUP CREATE k g 0", "XINFO STREAM k", "OBJECT ENCODING k", "MEMORY USAGE k",
        ]

        @Test(arguments: movable) @Loop func keysThatMoveAreFound(_ line: String) async throws {
            try await withRedis { _, redis in
                let words = line.split(separator: " ").map(String.init)
                let expected = try await redis.send(RedisCommand("COMMAND", ["GETKEYS"] + words)).strings
                let command = RedisCommand(words[0], Array(words.dropFirst()))
                #expect(command.keys?.map { String(decoding: $0.utf8, as: UTF8.self) } == expected)
            }
        }

        @Test @Loop func slotsAreThoseOfTheServer() async throws {
            #expect(KeySlot(of: "123456789").number == 0x31C3)
            let keys = [
                "foo{}{bar}", "foo{{bar}}zap", "foo{bar}{zap}", "{user1000}.following", "{", "}", "{}", "a{b", "",
            ]
            let random = RandomSource(seed: 5)
            let letters = ["a", "b", "{", "}", "é", "\u{0}"]
            let more = (0..<500).map { _ in
                (0..<(1 + random.next() % 12)).map { _ in letters[Int(random.next() % 6)] }.joined()
            }
            let options = ["--cluster-enabled", "yes", "--cluster-port", "\(try await TestPorts.next())"]
            let server = try await RedisServer.start(options: options)
            let place = SocketAddress(host: "127.0.0.1", port: server.port)
            let connection = RedisConnection(RedisConfiguration(.cluster(seeds: [place])), logger: quiet)
            try await connection.start()
            let asked = (keys + more).map { RedisCommand("CLUSTER", "KEYSLOT", $0) }
            let slots = try await connection.pipeline(asked).map(\.int)
            #expect(slots == (keys + more).map { KeySlot(of: $0).number })
            await connection.stop()
            await server.stop()
        }
    }
}
