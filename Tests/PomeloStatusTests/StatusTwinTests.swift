// SPDX-License-Identifier: MIT
import Logging
import PomeloLoop
import PomeloRedis
import PomeloStatus
import PomeloTesting
import Testing

/// The rules of a status store once more, for the one in a Redis in memory.
@Suite struct FakeRedisStoreTests {
    @Test(arguments: StatusStoreSuite.Case.allCases)
    @Loop func rule(_ rule: StatusStoreSuite.Case) async throws {
        let redis = FakeRedis(clock: ManualClock())
        redis.registerStatusScripts()
        try await StatusStoreSuite { RedisStatusStore(redis: redis.client(), prefix: $0) }.run(rule)
    }
}

/// Random calls, the same on a real server and on the one in memory; replies and data must stay the same.
@Suite("scripts and their twins", .enabled("redis-server is not installed", { await RedisServer.isInstalled() }))
struct StatusTwinTests {
    @Test(arguments: 1...4) @Loop func twinsAnswerAsTheScripts(_ seed: UInt64) async throws {
        let server = try await RedisServer.start()
        var patient = server.configuration
        patient.commandTimeoutSeconds = 20
        let client = RedisClient(patient, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        let clock = ManualClock()
        let fake = FakeRedis(clock: clock)
        fake.registerStatusScripts()
        do {
            try await client.start()
            var calls = BindingCalls(random: SplitMix64(seed: seed))
            var original = BindingWorld(client)
            var copy = BindingWorld(fake)
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
        } catch {
            Issue.record(error)
        }
        await client.stop()
        await server.stop()
    }
}

/// Calls on two bindings, of few holders.
private struct BindingCalls {
    enum Call {
        /// `gone` counts back in the tokens seen so far; nil for none.
        case claim(key: String, holder: [String], gone: Int?)
        case release(key: String, server: String, instance: String)
        case write(RedisCommand)
    }

    var random: SplitMix64

    mutating func next() -> Call {
        let key = pick(["{a}:bind", "{b}:bind"])
        let holder = [pick(["s1", "s2"]), pick(["i", "j"]), pick(["1", "2"])]
        switch Int.random(in: 0..<16, using: &random) {
        case 0..<8: return .claim(key: key, holder: holder, gone: pick([nil, 0, 0, 1, 2]))
        case 8..<12: return .release(key: key, server: holder[0], instance: pick(["i", "j", "*"]))
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
        case .claim(let key, let holder, let gone):
            let token = gone.flatMap { tokens.count > $0 ? tokens[tokens.count - 1 - $0] : nil } ?? ""
            let args = (holder + [token]).map { RedisArgument.text($0) }
            let reply = try await redis.run(try #require(scripts["status.claim"]), keys: [key], args: args)
            return (reply.array ?? []).enumerated().map { $0 == 1 ? name($1.string) : $1.string ?? "-" }
        case .release(let key, let server, let instance):
            let reply = try await redis.run(
                try #require(scripts["status.release"]), keys: [key], args: [.text(server), .text(instance)])
            return [reply.string ?? "-"]
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
