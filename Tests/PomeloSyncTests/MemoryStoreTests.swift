// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop
import PomeloRedis
import PomeloSync
import PomeloTesting
import TestHelpers
import Testing

/// One command, as Redis takes it and as the store does, and what both say in one form.
private struct MemoryCommand {
    let words: [String]
    let run: @Loop (MemoryStore) throws -> String

    private static let keys = ["a", "b", "c", "Zoe\u{301}", "Zo\u{e9}", ""]
    private static let texts = [
        "", "x", "7", "-3", "+5", "007", " 1", "9223372036854775807", "-9223372036854775808", "é",
    ]
    private static let numbers = [0, 1, -1, 5, -9, Int.max, Int.min]
    private static let patterns = ["*", "?", "[ab]", "[^a]", "[a-c]", "\\a", "Zo*", "*\u{301}*", "", "[", "a*b*c"]

    static func any(_ dice: inout SplitMix64) -> MemoryCommand {
        func one<Element>(_ list: [Element]) -> Element { list[Int(dice.next() % UInt64(list.count))] }
        let (key, other, text, more) = (one(keys), one(keys), one(texts), one(texts))
        let (number, seconds) = (one(numbers), one([-1, 0, 1000, 100_000, Int.max, Int.min]))
        let when = one([0, -5, 4_000_000_000, Int.max])
        let pattern = one(patterns)
        func command(_ words: String..., run: @escaping @Loop (MemoryStore) throws -> String) -> MemoryCommand {
            MemoryCommand(words: words, run: run)
        }
        let (n, s, w) = ("\(number)", "\(seconds)", "\(when)")
        switch dice.next() % 40 {
        case 0, 1:
            return command("SET", key, text) {
                try $0.set(key, text); return "OK"
            }
        case 2: return command("GET", key) { show(try $0.get(key)) }
        case 3: return command("GETSET", key, text) { show(try $0.getset(key, text)) }
        case 4: return command("MGET", key, other) { $0.mget([key, other]).map(show).joined(separator: "|") }
        case 5:
            return command("MSET", key, text, other, more) {
                try $0.mset([(key, text), (other, more)]); return "OK"
            }
        case 6: return command("INCR", key) { "\(try $0.incr(key))" }
        case 7: return command("DECR", key) { "\(try $0.decr(key))" }
        case 8, 9: return command("INCRBY", key, n) { "\(try $0.incrby(key, number))" }
        case 10: return command("DECRBY", key, n) { "\(try $0.decrby(key, number))" }
        case 11: return command("STRLEN", key) { "\(try $0.strlen(key))" }
        case 12, 13: return command("HSET", key, text, more) { show(try $0.hset(key, text, more)) }
        case 14:
            return command("HMSET", key, text, more, more, text) {
                try $0.hmset(key, [(text, more), (more, text)]); return "OK"
            }
        case 15: return command("HGET", key, text) { show(try $0.hget(key, text)) }
        case 16:
            return command("HGETALL", key) { store in
                let pairs = try store.hgetall(key)
                // What is alike on both sides whatever the order.
                return (pairs.map(\.field) + pairs.map(\.value)).sorted { Text($0) < Text($1) }.joined(separator: "|")
            }
        case 17: return command("HKEYS", key) { sorted(try $0.hkeys(key)) }
        case 18: return command("HVALS", key) { sorted(try $0.hvals(key)) }
        case 19: return command("HLEN", key) { "\(try $0.hlen(key))" }
        case 20: return command("HEXISTS", key, text) { show(try $0.hexists(key, text)) }
        case 21: return command("HDEL", key, text, more) { "\(try $0.hdel(key, text, more))" }
        case 22: return command("RPUSH", key, text, more) { "\(try $0.rpush(key, text, more))" }
        case 23: return command("LPUSH", key, text, more) { "\(try $0.lpush(key, text, more))" }
        case 24: return command("LPOP", key) { show(try $0.lpop(key)) }
        case 25: return command("RPOP", key) { show(try $0.rpop(key)) }
        case 26:
            return command("LRANGE", key, n, "\(number &+ 3)") {
                try $0.lrange(key, number, number &+ 3).joined(separator: "|")
            }
        case 27: return command("LREM", key, "\(number % 3)", text) { "\(try $0.lrem(key, number % 3, text))" }
        case 28: return command("LLEN", key) { "\(try $0.llen(key))" }
        case 29: return command("SADD", key, text, more) { "\(try $0.sadd(key, text, more))" }
        case 30: return command("SREM", key, text, more) { "\(try $0.srem(key, text, more))" }
        case 31: return command("SMEMBERS", key) { sorted(try $0.smembers(key)) }
        case 32: return command("SISMEMBER", key, text) { show(try $0.sismember(key, text)) }
        case 33: return command("DEL", key, other) { "\($0.del(key, other))" }
        case 34: return command("TYPE", key) { $0.type(key)?.rawValue ?? "none" }
        case 35: return command("EXPIRE", key, s) { show(try $0.expire(key, seconds)) }
        case 36: return command("EXPIREAT", key, w) { show(try $0.expireat(key, when)) }
        case 37:
            return dice.next() % 2 == 0
                ? command("PERSIST", key) { show($0.persist(key)) } : command("SCARD", key) { "\(try $0.scard(key))" }
        case 38:
            return command("RENAME", key, other) {
                try $0.rename(key, other); return "OK"
            }
        default: return command("KEYS", pattern) { sorted($0.keys(pattern)) }
        }
    }

    static func ttl(_ key: String) -> MemoryCommand {
        MemoryCommand(words: ["TTL", key]) { store in
            switch store.ttl(key) {
            case .noKey: "-2"
            case .unlimited: "-1"
            case .seconds(let seconds): "\(seconds)"
            }
        }
    }

    private static func show(_ text: String?) -> String { text ?? "nil" }
    private static func show(_ isSo: Bool) -> String { isSo ? "1" : "0" }
    fileprivate static func sorted(_ texts: [String]) -> String {
        texts.sorted { Text($0) < Text($1) }.joined(separator: "|")
    }

    @Loop func answer(of store: MemoryStore) -> String {
        do {
            return try run(store)
        } catch {
            return "error: \(Self.kind("\(error)"))"
        }
    }

    func answer(_ reply: RedisReply) -> String {
        if let text = reply.errorText { return "error: \(Self.kind(text))" }
        guard let array = reply.array else { return reply.string ?? "nil" }
        let texts = array.map { $0.string ?? "nil" }
        return ["MGET", "LRANGE"].contains(words[0]) ? texts.joined(separator: "|") : Self.sorted(texts)
    }

    private static func kind(_ text: String) -> String {
        let kinds = ["WRONGTYPE", "not an integer", "would overflow", "no such key", "invalid expire time"]
        return kinds.first { text.contains($0) } ?? text
    }
}

@Suite struct MemoryStoreTests {
    /// Thousands of commands, and after every hundred of them all that is there.
    @Test(
        .enabled("redis-server is not installed", { await RedisServer.isInstalled() }),
        arguments: [1, 2, 3] as [UInt64])
    @Loop func theAnswersAreThoseOfRedis(_ seed: UInt64) async throws {
        let server = try await RedisServer.start()
        let redis = RedisClient(server.configuration, logger: quiet)
        try await redis.start()
        let store = MemoryStore(clock: SystemClock.shared, random: RandomSource(seed: seed))
        var dice = SplitMix64(seed: seed)
        for _ in 0..<80 {
            let commands = (0..<100).map { _ in MemoryCommand.any(&dice) }
            let replies = try await redis.execute(
                commands.map { .command(RedisCommand($0.words[0], arguments: $0.words.dropFirst().map { .text($0) })) })
            for (command, reply) in zip(commands, replies) {
                try #require(
                    Text(command.answer(of: store)) == Text(command.answer(reply)), "\(command.words), seed \(seed)")
            }
            for key in store.keys("*") {
                let ttl = MemoryCommand.ttl(key)
                let reply = try await redis.send(RedisCommand("TTL", key))
                let (ours, theirs) = (Int(ttl.answer(of: store)) ?? -9, reply.int ?? -9)
                // Not at one time.
                try #require(abs(ours - theirs) <= (ours > 0 ? 2 : 0), "\(key): \(ours), not \(theirs)")
            }
        }
        await redis.stop()
        await server.stop()
    }

    @Test @Loop func aKeyIsGoneWhenItsTimeIsOver() throws {
        let clock = ManualClock()
        let store = MemoryStore(clock: clock, random: RandomSource(seed: 1))
        try store.set("a", "1")
        try store.set("b", "2")
        #expect(try store.expire("a", 10))
        #expect(try store.expireat("b", Int(clock.wallMilliseconds / 1000) + 20))
        try store.rename("a", "c")
        clock.advance(by: .seconds(9))
        #expect(store.ttl("c") == .seconds(1) && store.ttl("a") == .noKey)
        clock.advance(by: .seconds(2))
        #expect(try store.get("c") == nil)
        #expect(store.keys("*") == ["b"] && store.randomkey() == "b")
        #expect(try store.incr("c") == 1)
        #expect(store.ttl("c") == .unlimited)
    }

    /// What does not fit is refused and changes nothing; what has ended makes room.
    @Test @Loop func theStoreIsBounded() throws {
        let clock = ManualClock()
        let store = MemoryStore(clock: clock, random: RandomSource(seed: 1), maxBytes: 1000)
        let full = MemoryStoreError.full(limit: 1000)
        try store.set("old", String(repeating: "x", count: 500))
        try store.expire("old", 5)
        for _ in 0..<2 { try store.rpush("list", String(repeating: "y", count: 50)) }
        let before = store.bytes
        let large = String(repeating: "z", count: 400)
        #expect(throws: full) { try store.set("new", large) }
        #expect(throws: full) { try store.mset([("b", "1"), ("new", large)]) }
        #expect(throws: full) { try store.hset("hash", "field", large) }
        #expect(throws: full) { try store.sadd("set", large) }
        #expect(throws: full) { try store.lpush("list", large) }
        #expect(throws: full) { try store.rename("list", large) }
        #expect(store.bytes == before && store.keys("*").count == 2)
        #expect(try store.llen("list") == 2)
        // In the place of what is there, what is no larger fits.
        try store.set("old", String(repeating: "w", count: 500))
        try store.expire("old", 5)
        clock.advance(by: .seconds(6))
        try store.set("new", large)
        store.del("new")
        for _ in 0..<2 { try store.lpop("list") }
        #expect(store.bytes == 0 && store.count == 0)
    }
}
