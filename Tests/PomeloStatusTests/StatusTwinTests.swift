// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloStatus
import PomeloTesting
import TestHelpers
import Testing

/// The rules of a status store once more, for the one in a Redis in memory.
@Suite(.onEachLayout) struct FakeRedisStoreTests {
    @Test(arguments: StatusStoreSuite.Case.allCases)
    @Loop func rule(_ rule: StatusStoreSuite.Case) async throws {
        let redis = FakeRedis(clock: ManualClock(), isCluster: RedisLayout.current.isCluster)
        try await StatusStoreSuite(
            { RedisStatusStore(redis: redis.client(), prefix: $0) },
            took: { server, instance in
                _ = try await redis.send(
                    RedisCommand("HSET", "pomelo:{pomelo/\(server)}:lease", "inst", instance.rawValue))
            }
        ).run(rule)
    }
}

/// Random calls, the same on a real server and on the one in memory; replies and data must stay the same.
@Suite(
    "scripts and their twins", .serialized, .onEachRedis(.standalone, .sentinel),
    .enabled("redis-server is not installed", { await RedisServer.isInstalled() }))
struct StatusTwinTests {
    @Test(arguments: 1...8) @Loop func twinsAnswerAsTheScripts(_ number: UInt64) async throws {
        let seed = RedisKind.current == .standalone ? number : number + 8
        try await withRedis(configure: { $0.commandTimeoutSeconds = 20 }) { _, client in
            let clock = ManualClock()
            var calls = BindingCalls(random: SplitMix64(seed: seed))
            var original = BindingWorld(client)
            var copy = BindingWorld(FakeRedis(clock: clock))
            for step in 0..<400 {
                let call = calls.next()
                // Tokens are times.
                clock.advance(by: .milliseconds(1))
                let (one, other) = (try await original.answer(call), try await copy.answer(call))
                guard one == other else {
                    Issue.record("seed \(seed), step \(step), \(call): \(one), but the twin \(other)")
                    break
                }
            }
        }
    }
}

/// Calls on two bindings, of few holders.
private struct BindingCalls {
    enum Call {
        /// `gone` counts back in the tokens seen so far; nil for none.
        case claim(uid: String, holder: [String], gone: Int?, isUnderMark: Bool)
        case script(String, keys: [String], args: [String])
        case write(RedisCommand)
    }

    var random: SplitMix64

    mutating func next() -> Call {
        let uid = pick(["a", "b"])
        let key = "{\(uid)}:bind"
        let holder = [pick(["s1", "s2"]), pick(["i", "j"]), pick(["1", "2"])]
        let users = ["a", "b"].filter { _ in pick([true, false]) }
        switch Int.random(in: 0..<24, using: &random) {
        case 0..<8:
            return .claim(uid: uid, holder: holder, gone: pick([nil, 0, 0, 1, 2]), isUnderMark: pick([true, false]))
        case 10:
            return .script(
                "status.name", keys: ["lease", "uids", "revoked"], args: ["100000", uid, pick(["a", "b"])])
        case 8..<10:
            return .script(
                "status.release", keys: ["lease", "uids"] + pick([[], users.map { "{\($0)}:bind" }]),
                args: Array(holder.prefix(2)) + users)
        case 11: return .script("status.unbind", keys: [key], args: Array(holder.prefix(2)))
        case 16..<19:
            let keys = pick([[], users.flatMap { ["{\($0)}:bind", $0] }])
            return .script(
                "status.remove", keys: ["lease", "revoked", "uids"] + keys,
                args: Array(holder.prefix(2)) + users)
        case 19..<22:
            let online = Array(users.prefix(pick([0, 1, 2])))
            return .script(
                "status.publish", keys: ["lease", "revoked", "uids"] + users,
                args: [holder[1], pick(["1", "2", ""]), holder[0]] + online)
        case 22:
            return .write(
                RedisCommand("HSET", "lease", pick(["inst", "status"]), pick(["i", "j", "j/4", "junk", ""])))
        case 23: return .write(pick([RedisCommand("DEL", "lease"), RedisCommand("SADD", "revoked", uid)]))
        case 12: return .write(RedisCommand("HDEL", key, pick(["sid", "inst", "session", "tok"])))
        case 13: return .write(RedisCommand("HSET", key, "tok", pick(["junk", "", "7", "8000000000000000"])))
        case 14: return .write(RedisCommand("DEL", key))
        default: return .write(RedisCommand("SET", key, "not a hash"))
        }
    }

    private mutating func pick<Element>(_ choices: [Element]) -> Element {
        choices[Int.random(in: 0..<choices.count, using: &random)]
    }
}

/// One of the two servers, and the tokens it gave out, which stand for each other by their order.
private struct BindingWorld {
    private let redis: any RedisPort
    private var tokens: [String] = []

    init(_ redis: any RedisPort) { self.redis = redis }

    /// What was answered and what is there afterwards.
    @Loop mutating func answer(_ call: BindingCalls.Call) async throws -> [String] {
        var lines: [String] = []
        do {
            lines = try await reply(call)
        } catch RedisError.reply(let text) {
            lines = [String(text.prefix { $0 != " " })]
        }
        for key in ["a", "b", "uids", "revoked"] {
            lines.append("\((try await redis.pipeline([RedisCommand("SMEMBERS", key)])[0].strings ?? []).sorted())")
        }
        let lease = try await redis.send(RedisCommand("HGETALL", "lease")).dictionary ?? [:]
        lines += lease.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        for key in ["{a}:bind", "{b}:bind"] {
            let fields = ["sid", "inst", "session", "tok"]
            let held = try await redis.pipeline([RedisCommand("HMGET", [key] + fields)])[0]
            lines += (held.array ?? []).enumerated().map { $0 == 3 ? name($1.string) : $1.string ?? "-" }
        }
        return lines
    }

    @Loop private mutating func reply(_ call: BindingCalls.Call) async throws -> [String] {
        let scripts = Dictionary(uniqueKeysWithValues: RedisStatusStore.scripts.map { ($0.name, $0) })
        switch call {
        case .claim(let uid, let holder, let gone, let isUnderMark):
            let token = gone.flatMap { tokens.count > $0 ? tokens[tokens.count - 1 - $0] : nil } ?? ""
            let args = (holder + [token, uid]).map { RedisArgument.text($0) }
            let reply = try await redis.run(
                try #require(scripts["status.claim"]),
                keys: ["{\(uid)}:bind"] + (isUnderMark ? ["lease", "uids"] : []),
                args: args)
            let parts = reply.array ?? []
            if parts.first?.int == -1 { return parts.map { $0.string ?? "-" } }
            return parts.enumerated().map { $0 == 1 ? name($1.string) : $1.string ?? "-" }
        case .script(let name, let keys, let args):
            let reply = try await redis.run(try #require(scripts[name]), keys: keys, args: args.map { .text($0) })
            // Sets come in any order.
            let parts = (reply.array ?? []).map { $0.string ?? "-" }
            return [reply.string ?? "\(parts.prefix(2) + parts.dropFirst(2).sorted())"]
        case .write(let command):
            return [try await redis.send(command).string ?? "-"]
        }
    }

    private mutating func name(_ token: String?) -> String {
        guard let token else { return "-" }
        if let index = tokens.firstIndex(of: token) { return "token \(index)" }
        tokens.append(token)
        return "token \(tokens.count - 1)"
    }
}
