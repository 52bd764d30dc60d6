// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

extension WithRedis {
    /// Random commands, the same to a real server and to the one in memory: replies must be the same.
    @Suite("FakeRedis beside Redis") struct FakeRedisReplyTests {
        @Test(arguments: RandomCommands.Family.allCases, [1, 2, 3] as [UInt64])
        @Loop func everyCommandAnswersAsRedis(_ family: RandomCommands.Family, _ seed: UInt64) async throws {
            try await withRedis(configure: { $0.commandTimeoutSeconds = 20 }) { _, client in
                var random = RandomCommands(family, random: SplitMix64(seed: seed))
                try await compare(client, (0..<3000).map { _ in random.next() }, "seed \(seed)")
            }
        }

        @Test @Loop func patternsMatchAsInRedis() async throws {
            try await withRedis(configure: { $0.commandTimeoutSeconds = 20 }) { _, client in
                var random = SplitMix64(seed: 3)
                func word(_ letters: String, _ longest: Int) -> String {
                    let letters = Array(letters)
                    let length = Int.random(in: 1...longest, using: &random)
                    return String((0..<length).map { _ in letters[Int.random(in: 0..<letters.count, using: &random)] })
                }
                let keys = (0..<60).map { _ in RedisCommand("SET", word("abc[]-^\\*?", 4), "") }
                let scans = (0..<1500).map { _ in
                    RedisCommand("SCAN", 0, "MATCH", word("aabbcc**??[[]]--^\\", 8), "COUNT", 1000)
                }
                try await compare(client, keys + scans, "patterns")
            }
        }

        @Test @Loop func transactionsAnswerAsInRedis() async throws {
            try await withRedis { _, client in
                let words = [
                    "MULTI", "SET k v", "HGET k f", "GET k", "EXEC", "EXEC", "MULTI", "MULTI", "DISCARD", "DISCARD",
                    "MULTI", "NOSUCH a b", "SET k w", "EXEC", "GET k", "MULTI", "GET", "EXEC", "MULTI", "EXEC",
                ]
                let commands = words.map { line in
                    let parts = line.split(separator: " ").map(String.init)
                    return RedisCommand(parts[0], Array(parts.dropFirst()))
                }
                try await compare(client, commands, "transaction")
            }
        }

        /// Sends the commands to both, and records the first that was answered differently.
        @Loop private func compare(
            _ client: RedisClient, _ commands: [RedisCommand], _ what: Comment
        ) async throws {
            let fake = FakeRedis(clock: ManualClock())
            let originals = try await client.pipeline(commands)
            let copies = try await fake.pipeline(commands)
            #expect(originals.count == copies.count)
            for (index, command) in commands.enumerated() {
                let original = RandomCommands.comparable(originals[index], of: command)
                let copy = RandomCommands.comparable(copies[index], of: command)
                guard original != copy else { continue }
                let line = "\(command.name) \(command.arguments.map { String(decoding: $0.utf8, as: UTF8.self) })"
                Issue.record("\(what), step \(index), \(line): Redis \(original), but FakeRedis \(copy)")
                return
            }
        }
    }
}

/// Commands with arguments that are mostly right, on few keys, so that they get in each other's way.
struct RandomCommands {
    /// What a sequence is mostly about.
    enum Family: String, CaseIterable, Sendable, CustomTestStringConvertible {
        case keys, strings, hashes, sets, sortedSets, streams
        var testDescription: String { rawValue }
    }

    private let family: Family
    private var random: SplitMix64

    init(_ family: Family, random: SplitMix64) {
        self.family = family
        self.random = random
    }

    /// Letters stand for random arguments; `+` repeats what follows it, and `?` may leave it out.
    private static let forms: [Family: [String]] = [
        .keys: [
            "PING ?v", "DEL +k", "UNLINK +k", "EXISTS +k", "TYPE k", "RENAMENX k k", "PEXPIRE k d", "PTTL k", "PTTL k",
            "SCAN 0 COUNT 1000", "SCAN 0 MATCH p COUNT 1000", "SCAN 0 COUNT n", "SET k v PX d", "SADD k m", "TIME",
            "HSET k f v", "ZADD k s m", "XADD k x f v", "FLUSHALL", "PUBLISH v v", "SPUBLISH v v",
        ],
        .strings: ["GET k", "SET k v ?o ?o ?o", "SET k n", "INCR k", "INCRBY k n", "PTTL k", "DEL k"],
        .hashes: [
            "HSET k +fv", "HSETNX k f v", "HGET k f", "HMGET k +f", "HGETALL k", "HEXISTS k f", "HLEN k", "HDEL k +f",
            "HINCRBY k f n", "HSET k f n", "HSCAN k 0 COUNT 1000", "HSCAN k n COUNT n",
        ],
        .sets: [
            "SADD k +m", "SREM k +m", "SCARD k", "SMEMBERS k", "SISMEMBER k m", "SSCAN k 0 COUNT 1000",
            "SSCAN k 0 MATCH p COUNT 1000", "SSCAN k n COUNT n",
        ],
        .sortedSets: [
            "ZADD k ?a ?a +sm", "ZREM k +m", "ZSCORE k m", "ZCARD k", "ZCOUNT k b b", "ZRANGE k n n ?WITHSCORES",
            "ZRANGEBYSCORE k b b ?WITHSCORES", "ZRANGEBYSCORE k b b ?WITHSCORES LIMIT n n",
        ],
        .streams: [
            "XADD k x +fv", "XADD k x f v", "XADD k MAXLEN n x f v", "XADD k NOMKSTREAM x f v",
            "XADD k MAXLEN = n x f v",
            "XLEN k", "XDEL k x", "XRANGE k y y", "XREVRANGE k y y", "XRANGE k y y COUNT n", "XREVRANGE k y y COUNT n",
            "XRANGE k - +", "XREVRANGE k + - COUNT n",
        ],
    ]

    static var names: Set<String> {
        Set(forms.values.joined().compactMap { $0.split(separator: " ").first.map(String.init) })
    }

    mutating func next() -> RedisCommand {
        // Sometimes another family's, so that keys have other types.
        let family = chance(12) ? pick(Family.allCases) : family
        var form = pick(Self.forms[family] ?? []).split(separator: " ").map(String.init)
        if form.first == "FLUSHALL", !chance(4) { form = ["SET", "k", "v"] }
        let name = chance(20) ? form.removeFirst().lowercased() : form.removeFirst()
        var words = form.flatMap { expand($0) }
        if chance(25) { _ = words.popLast() }
        if chance(25) { words.append(argument("v")) }
        return RedisCommand(name, words)
    }

    private mutating func expand(_ part: String) -> [String] {
        if part == "+" { return [part] }
        if part.hasPrefix("?") { return chance(2) ? expand(String(part.dropFirst())) : [] }
        if part.hasPrefix("+") {
            let letters = Array(part.dropFirst())
            let times = Int.random(in: 1...3, using: &random)
            return (0..<times).flatMap { _ in letters.map { argument($0) } }
        }
        guard part.count == 1, let letter = part.first else { return [part] }
        return letter == "o" ? option() : [argument(letter)]
    }

    private mutating func argument(_ letter: Character) -> String {
        switch letter {
        case "k": pick(["k1", "k2", "k3", "k4"])
        case "f", "m": pick(["a", "b", "c", "é", "e\u{301}", ""])
        case "v": pick(["x", "y", "10", ""])
        case "n": pick(["0", "1", "2", "3", "-1", "-2", "7", "9223372036854775807", "-9223372036854775808", "01", "x"])
        case "d": pick(["1000000000", "2000000000", "0", "-5", "9223372036854775807", "1.5"])
        case "s": pick(["0", "1", "2", "-3", "0.25", "1e3", "inf", "-inf", "nan", "x"])
        case "b": pick(["-inf", "+inf", "0", "1", "(1", "(2", "0.25", "(-inf", "x", "(x"])
        case "a": pick(["NX", "XX", "GT", "lt", "CH"])
        case "p": pick(["*", "k*", "?", "[a-c]", "k[^1]", "a"])
        case "x": pick(["1-1", "1-2", "2", "3-0", "4-7", "5-1", "6-1", "7-1", "8-1", "0-0", "x", "1-x", "9-1", "10-1"])
        case "y":
            pick(["-", "+", "1", "2-1", "(2-1", "5", "(5", "(0-0", "(18446744073709551615-18446744073709551615", "x"])
        default: String(letter)
        }
    }

    private mutating func option() -> [String] {
        pick([["NX"], ["XX"], ["KEEPTTL"], ["PX", argument("d")], ["ex", argument("d")], ["px"]])
    }

    private mutating func chance(_ oneIn: Int) -> Bool { Int.random(in: 0..<oneIn, using: &random) == 0 }

    private mutating func pick<Element>(_ choices: [Element]) -> Element {
        choices[Int.random(in: 0..<choices.count, using: &random)]
    }

    /// What remains of a reply without what Redis leaves open: order, cursors, and time.
    static func comparable(_ reply: RedisReply, of command: RedisCommand) -> RedisReply {
        switch (command.name.uppercased(), reply) {
        case ("TIME", .array(let parts)): return .integer(Int64(parts.count))
        case ("PTTL", .integer(let left)) where left > 0: return .status("some time")
        case ("SMEMBERS", .array(let members)): return .array(sorted(members))
        case ("HGETALL", .array(let words)): return .array(pairs(words))
        case ("HSCAN", .array(let page)) where page.count == 2 && command.arguments.contains("1000"):
            return .array([page[0], .array(pairs(page[1].array ?? []))])
        case ("SCAN", .array(let page)) where page.count == 2 && command.arguments.contains("1000"),
            ("SSCAN", .array(let page)) where page.count == 2 && command.arguments.contains("1000"):
            // The client looks by a key whether Redis does what it is told.
            let keys = (page[1].array ?? []).filter { $0.string?.hasPrefix("pomelo:health:") != true }
            return .array([page[0], .array(sorted(keys))])
        case ("SCAN", .array), ("SSCAN", .array), ("HSCAN", .array): return .status("a page")
        default: return reply
        }
    }

    private static func pairs(_ words: [RedisReply]) -> [RedisReply] {
        sorted(stride(from: 0, to: words.count, by: 2).map { RedisReply.array([words[$0], words[$0 + 1]]) })
    }

    private static func sorted(_ replies: [RedisReply]) -> [RedisReply] {
        replies.sorted { "\($0)" < "\($1)" }
    }
}

@Suite("FakeRedis") struct FakeRedisTests {
    @Test func everyCommandIsComparedWithRedis() {
        #expect(RandomCommands.names == FakeRedis.commandNames)
    }

    // MARK: what takes time

    @Test @Loop func keysExpireOnTheClock() async throws {
        let clock = ManualClock()
        let fake = FakeRedis(clock: clock)
        _ = try await fake.pipeline([
            RedisCommand("SET", "a", "1", "PX", 2000), RedisCommand("SADD", "b", "m"),
            RedisCommand("PEXPIRE", "b", 500),
        ])
        clock.advance(by: .milliseconds(499))
        #expect(try await fake.send(RedisCommand("PTTL", "b")) == .integer(1))
        // Changing a value leaves its end.
        _ = try await fake.pipeline([RedisCommand("SADD", "b", "n"), RedisCommand("INCR", "a")])
        clock.advance(by: .milliseconds(1))
        #expect(try await fake.send(RedisCommand("EXISTS", "a", "b")) == .integer(1))
        #expect(try await fake.send(RedisCommand("SCARD", "b")) == .integer(0))
        clock.advance(by: .milliseconds(1500))
        #expect(try await fake.send(RedisCommand("SET", "a", "x", "NX")) == .status("OK"))
        #expect(try await fake.send(RedisCommand("PTTL", "a")) == .integer(-1))
    }

    @Test @Loop func noTwoAnswersOfTimeAreAlike() async throws {
        let clock = ManualClock(wallMilliseconds: 5999)
        let fake = FakeRedis(clock: clock)
        let times = try await fake.pipeline([RedisCommand("TIME"), RedisCommand("TIME")]).compactMap(\.strings)
        #expect(times == [["5", "999000"], ["5", "999001"]])
        clock.advance(by: .milliseconds(1))
        #expect(try await fake.send(RedisCommand("TIME")).strings == ["6", "0"])
    }

    @Test @Loop func streamPositionsGrowAlsoWhenTheWallClockGoesBack() async throws {
        let clock = ManualClock(wallMilliseconds: 5000)
        let fake = FakeRedis(clock: clock)
        let add = RedisCommand("XADD", "s", "*", "f", "v")
        var positions = try await fake.pipeline([add, add]).compactMap(\.string)
        clock.stepWall(byMilliseconds: -1000)
        positions += try await fake.pipeline([add, RedisCommand("TIME")]).first?.string.map { [$0] } ?? []
        clock.stepWall(byMilliseconds: 2000)
        positions += try await fake.pipeline([add]).compactMap(\.string)
        #expect(positions == ["5000-0", "5000-1", "5000-2", "6000-0"])
    }

    @Test(arguments: [1, 7, 100]) @Loop func aScanFindsWhatStays(_ count: Int) async throws {
        let fake = FakeRedis(clock: ManualClock())
        _ = try await fake.send(RedisCommand("SADD", "s").appending((0..<200).map { "m\($0)" }))
        var found: [String] = []
        var cursor = "0"
        repeat {
            let page = try await fake.send(RedisCommand("SSCAN", "s", cursor, "COUNT", count)).array ?? []
            cursor = try #require(page.first?.string)
            let members = page.last?.strings ?? []
            found += members
            // What a page named is removed, and something else added, before the next one.
            _ = try await fake.pipeline(
                members.flatMap {
                    [RedisCommand("SREM", "s", $0), RedisCommand("SADD", "s", "new" + $0)]
                })
        } while cursor != "0"
        let old = found.filter { $0.hasPrefix("m") }
        #expect(old.count == 200)
        #expect(Set(old).count == 200)
    }
}
