// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloRedis

@Suite struct KeyPrefixTests {
    static func command(_ text: String) -> RedisCommand {
        let words = text.split(separator: " ").map(String.init)
        return RedisCommand(words[0], arguments: words.dropFirst().map(RedisArgument.text))
    }

    static func text(_ command: RedisCommand) -> String {
        ([command.name] + command.arguments.map { String(decoding: $0.utf8, as: UTF8.self) }).joined(separator: " ")
    }

    static let commands = [
        ("GET k", "GET p:k"), ("get k", "get p:k"), ("SET k v PX 5", "SET p:k v PX 5"), ("DEL a b", "DEL p:a p:b"),
        ("MSET a 1 b 2", "MSET p:a 1 p:b 2"), ("RENAME a b", "RENAME p:a p:b"), ("BLPOP a b 1", "BLPOP p:a p:b 1"),
        ("XREAD COUNT 2 STREAMS a b 0 0", "XREAD COUNT 2 STREAMS p:a p:b 0 0"), ("XINFO STREAM s", "XINFO STREAM p:s"),
        ("ZUNIONSTORE d 2 a b", "ZUNIONSTORE p:d 2 p:a p:b"), ("EVAL s 2 a b c", "EVAL s 2 p:a p:b c"),
        ("MEMORY USAGE k", "MEMORY USAGE p:k"), ("PING", "PING"), ("CLIENT SETNAME n", "CLIENT SETNAME n"),
        ("CLIENT TRACKING on PREFIX a PREFIX b", "CLIENT TRACKING on PREFIX p:a PREFIX p:b"),
        ("SCAN 0 MATCH a* COUNT 9", "SCAN 0 MATCH p:a* COUNT 9"), ("SCAN 0 COUNT 9", "SCAN 0 COUNT 9 MATCH p:*"),
        ("KEYS *", "KEYS p:*"), ("PUBLISH c m", "PUBLISH p:c m"), ("SPUBLISH c m", "SPUBLISH p:c m"),
        ("SUBSCRIBE a b", "SUBSCRIBE p:a p:b"), ("PSUBSCRIBE a*", "PSUBSCRIBE p:a*"), ("UNSUBSCRIBE", "UNSUBSCRIBE"),
        ("PUBSUB CHANNELS", "PUBSUB CHANNELS p:*"), ("PUBSUB NUMSUB a b", "PUBSUB NUMSUB p:a p:b"),
        ("PUBSUB NUMPAT", "PUBSUB NUMPAT"),
        (
            "SORT k BY w:* LIMIT 0 5 GET # GET o:*->f DESC STORE d",
            "SORT p:k BY p:w:* LIMIT 0 5 GET # GET p:o:*->f DESC STORE p:d"
        ),
        ("XREADGROUP GROUP STREAMS STREAMS STREAMS s >", "XREADGROUP GROUP STREAMS STREAMS STREAMS p:s >"),
        ("SCAN 0 TYPE MATCH MATCH a*", "SCAN 0 TYPE MATCH MATCH p:a*"),
        ("CLIENT TRACKING on PREFIX PREFIX PREFIX a", "CLIENT TRACKING on PREFIX p:PREFIX PREFIX p:a"),
        ("CLIENT KILL USER PREFIX ID 7", "CLIENT KILL USER PREFIX ID 7"),
        ("GEORADIUSBYMEMBER k STORE 3 m STORE d", "GEORADIUSBYMEMBER p:k STORE 3 m STORE p:d"),
        ("SORT k GET STORE GET GET STORE d", "SORT p:k GET p:STORE GET p:GET STORE p:d"),
        ("SORT k BY nosort", "SORT p:k BY nosort"), ("GET {k}:1", "GET p:{k}:1"),
    ]

    @Test(arguments: commands) func everyKeyAndChannelOfACommandHasThePrefix(_ plain: String, _ inside: String) throws {
        #expect(try Self.text(KeyPrefix("p:").applied(to: Self.command(plain))) == inside)
    }

    @Test(arguments: [
        "RANDOMKEY", "DEBUG OBJECT k", "CLUSTER GETKEYSINSLOT 1 9", "JSON.SET k $ 1", "FT.SEARCH i q", "FLUSHDB",
        "flushall ASYNC", "SWAPDB 0 1", "SELECT 1", "DBSIZE", "MONITOR", "SYNC", "PSYNC ? -1", "REPLICAOF h 1",
        "SLAVEOF NO ONE", "FAILOVER", "SHUTDOWN NOSAVE", "RESET", "SLOWLOG GET",
    ])
    func aCommandWhoseKeysAreNotItsOwnIsRefused(_ command: String) {
        let error = #expect(throws: RedisError.self) { try KeyPrefix("p:").applied(to: Self.command(command)) }
        #expect(
            error?.description.contains(command.prefix { $0 != " " }.uppercased()) == true
                && error?.maybeExecuted == false)
    }

    @Test func aCommandOfAModuleSaysItsKeys() throws {
        let command = RedisCommand("JSON.MGET", arguments: ["a", 7, "$"], keyPositions: [0, 1])
        let inside = try KeyPrefix("p:").applied(to: command)
        #expect(Self.text(inside) == "JSON.MGET p:a p:7 $" && inside.keys == ["p:a", "p:7"])
    }

    /// That it says its own keys changes nothing of what it does.
    @Test(arguments: ["FLUSHALL", "DBSIZE", "RANDOMKEY"]) func aCommandOfAllKeysIsRefusedWhateverItSays(_ name: String)
    {
        let command = RedisCommand(name, arguments: [], keyPositions: [])
        #expect(throws: RedisError.refused("\(name) is about keys of others too, and there is a key prefix")) {
            try KeyPrefix("p:").applied(to: command)
        }
    }

    @Test func theSlotOfAKeyWithATagStays() {
        #expect(KeySlot(of: "p:{tag}:a") == KeySlot(of: "{tag}:a"))
    }

    static func list(_ texts: String...) -> RedisReply { .array(texts.map(RedisReply.text)) }

    static let replies: [(String, RedisReply, RedisReply)] = [
        ("GET k", .text("p:v"), .text("p:v")), ("LRANGE k 0 -1", list("p:v"), list("p:v")),
        ("KEYS *", list("p:a", "p:p:b"), list("a", "p:b")), ("BLPOP a 0", list("p:a", "p:v"), list("a", "p:v")),
        ("BLPOP a 0", .null, .null), ("KEYS *", .error("NOPERM"), .error("NOPERM")),
        ("SCAN 0", .array([.text("7"), list("p:a")]), .array([.text("7"), list("a")])),
        ("BZPOPMIN a 0", list("p:a", "m", "1"), list("a", "m", "1")),
        ("LMPOP 1 a LEFT", .array([.text("p:a"), list("v")]), .array([.text("a"), list("v")])),
        (
            "XREAD STREAMS s 0", .array([.array([.text("p:s"), .array([list("1-0", "f")])])]),
            .array([.array([.text("s"), .array([list("1-0", "f")])])])
        ),
        ("PUBSUB CHANNELS", list("p:a"), list("a")),
        ("PUBSUB NUMSUB a", .array([.text("p:a"), .integer(1)]), .array([.text("a"), .integer(1)])),
        (
            "SUBSCRIBE a", .array([.text("subscribe"), .text("p:a"), .integer(1)]),
            .array([.text("subscribe"), .text("a"), .integer(1)])
        ),
    ]

    @Test(arguments: replies) func aKeyInAReplyComesBackWithoutIt(
        _ command: String, _ inside: RedisReply, _ outside: RedisReply
    ) {
        #expect(KeyPrefix("p:").removed(from: inside, of: Self.command(command)) == outside)
    }

    @Test func theResultsOfATransactionInABatchComeBackWithoutIt() {
        let commands = ["KEYS *", "MULTI", "KEYS *", "GET k", "EXEC", "KEYS *"].map(Self.command)
        let (keys, bare, queued) = (Self.list("p:a"), Self.list("a"), RedisReply.status("QUEUED"))
        let inside = [keys, .status("OK"), queued, queued, .array([keys, .text("p:v")]), keys]
        let outside = [bare, .status("OK"), queued, queued, .array([bare, .text("p:v")]), bare]
        #expect(KeyPrefix("p:").removed(from: inside, of: commands) == outside)
    }
}

extension WithRedis {
    @Suite struct Prefixes {
        /// Keys as they are in Redis.
        @Loop static func keys(_ redis: RedisClient) async throws -> [String] {
            try await redis.send(RedisCommand("KEYS", "*")).strings?.sorted() ?? []
        }

        @Test @Loop func twoPartsOfOneRedisDoNotSeeEachOther() async throws {
            try await withRedis { _, redis in
                let (left, right) = (PrefixedRedis(redis, prefix: "left:"), PrefixedRedis(redis, prefix: "right:"))
                for part in [left, right] {
                    try await part.send(RedisCommand("SET", "name", part === left ? "l" : "r"))
                    _ = try await part.transaction([RedisCommand("SADD", "set", 1), RedisCommand("KEYS", "s*")])
                }
                #expect(try await Self.keys(redis) == ["left:name", "left:set", "right:name", "right:set"])
                #expect(try await left.send(RedisCommand("GET", "name")).string == "l")
                #expect(try await right.send(RedisCommand("KEYS", "*")).strings?.sorted() == ["name", "set"])
                var walked: [String] = []
                try await left.forEachPage(matching: "n*") { walked += $0 }
                #expect(walked == ["name"])

                let script = RedisScript(name: "get", source: "return {KEYS[1], redis.call('GET', KEYS[1])}")
                let reply = try await right.run(script, keys: ["name"], args: [])
                #expect(reply.strings == ["right:name", "r"])
                let steps: [RedisStep] = [
                    .command(RedisCommand("KEYS", "n*")), .script(script, keys: ["name"], args: []),
                    .transaction([RedisCommand("GET", "name"), RedisCommand("KEYS", "n*")]),
                ]
                let replies = try await left.execute(steps)
                #expect(replies.count == 3 && replies[0].strings == ["name"])
                #expect(replies.last == .array([.text("l"), .array([.text("name")])]))
            }
        }

        @Test @Loop func streamsAndListsNameTheirKeysWithoutIt() async throws {
            try await withRedis { _, redis in
                let part = PrefixedRedis(redis, prefix: "part:")
                try await part.send(RedisCommand("XADD", "s", "1-0", "f", "v"))
                try await part.send(RedisCommand("RPUSH", "l", "v"))
                #expect(try await part.send(RedisCommand("BLPOP", "l", 1)).strings == ["l", "v"])
                let streams = try await part.send(RedisCommand("XREAD", "STREAMS", "s", 0))
                #expect(streams.array?.first?.array?.first?.string == "s")
                #expect(try await Self.keys(redis) == ["part:s"])
            }
        }

        @Test @Loop func aChannelIsOfItsPart() async throws {
            try await withRedis { _, redis in
                let left = PrefixedRedis(redis, messages: redis, prefix: "left:")
                let right = PrefixedRedis(redis, messages: redis, prefix: "right:")
                var heard: [String] = []
                try await left.subscribe("c") { heard.append("left \(String(decoding: $0, as: UTF8.self))") }
                try await right.subscribe("c") { heard.append("right \(String(decoding: $0, as: UTF8.self))") }
                try await left.send(RedisCommand("PUBLISH", "c", 1))
                try await right.send(RedisCommand("PUBLISH", "c", 2))
                try await redis.send(RedisCommand("PUBLISH", "c", 3))
                try await right.send(RedisCommand("PUBLISH", "c", 4))
                await until("all have arrived") { heard.count == 3 }
                #expect(heard == ["left 1", "right 2", "right 4"])
                right.unsubscribe("c")
                await until("one listens") {
                    (try? await redis.send(RedisCommand("PUBSUB", "CHANNELS")).strings) == ["left:c"]
                }
            }
        }

        @Test @Loop func aClientHasThePrefixOfItsConfigurationOnAllItsWays() async throws {
            try await withRedis { server, plain in
                var configuration = server.configuration
                configuration.keyPrefix = "app:"
                let redis = RedisClient(configuration, name: "test", logger: quiet)
                try await redis.start()
                try await redis.send(RedisCommand("SET", "a", 1))
                try await redis.control.send(RedisCommand("SET", "b", 2))
                let script = RedisScript(name: "set", source: "return redis.call('SET', KEYS[1], 3)")
                _ = try await redis.run(script, keys: ["c"], args: [])
                _ = try await redis.transaction([RedisCommand("SET", "d", 4)])
                #expect(try await Self.keys(plain) == ["app:a", "app:b", "app:c", "app:d"])
                var walked: [String] = []
                try await redis.forEachPage(matching: "*") { walked += $0 }
                #expect(walked.sorted() == ["a", "b", "c", "d"])

                var (heard, gaps): ([String], [[String]]) = ([], [])
                redis.onGap = { gaps.append($0) }
                try await redis.subscribe("c") { heard.append(String(decoding: $0, as: UTF8.self)) }
                try await plain.send(RedisCommand("PUBLISH", "c", "of others"))
                try await redis.send(RedisCommand("PUBLISH", "c", "own"))
                await until("it has arrived") { heard == ["own"] }
                try await plain.send(RedisCommand("CLIENT", "KILL", "TYPE", "pubsub"))
                await until("the gap is told") { gaps == [["c"]] }
                await redis.stop()
            }
        }

        /// A batch with one such command does nothing at all.
        @Test @Loop func whatIsRefusedIsNotSent() async throws {
            try await withRedis { _, redis in
                let part = PrefixedRedis(redis, prefix: "part:")
                let error = await failure { () throws(RedisError) in
                    _ = try await part.pipeline([RedisCommand("SET", "a", 1), RedisCommand("RANDOMKEY")])
                }
                #expect(error == .refused("RANDOMKEY is about keys of others too, and there is a key prefix"))
                let keys = try await Self.keys(redis)
                #expect(keys.isEmpty)
            }
        }
    }
}
