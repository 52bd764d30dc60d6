// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloGlobalChannel
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

/// Random calls, the same on a real server and on the one in memory; replies and data must stay the same.
@Suite(
    "scripts and their twins", .serialized, .onEachRedis(.standalone, .sentinel),
    .enabled("redis-server is not installed", { await RedisServer.isInstalled() }))
struct ChannelTwinTests {
    @Test(arguments: 1...8) @Loop func twinsAnswerAsTheScripts(_ number: UInt64) async throws {
        let seed = RedisKind.current == .standalone ? number : number + 8
        try await withRedis(configure: { $0.commandTimeoutSeconds = 20 }) { _, client in
            let fake = FakeRedis(clock: ManualClock())
            var calls = ScriptCalls(random: SplitMix64(seed: seed))
            for step in 0..<300 {
                let call = calls.next()
                let (one, other) = (try await call.answer(client), try await call.answer(fake))
                guard one == other else {
                    Issue.record("seed \(seed), step \(step), \(call): \(one), but the twin \(other)")
                    break
                }
            }
        }
    }
}

/// Calls for few channels of one server, by few instances.
private struct ScriptCalls {
    enum Call {
        case script(String, keys: [String], args: [String])
        case write(RedisCommand)

        /// What was answered and what is there afterwards.
        @Loop func answer(_ redis: any RedisPort) async throws -> [String] {
            var lines: [String] = []
            do {
                switch self {
                case .script(let name, let keys, let args):
                    let script = try #require(RedisChannelStore.scripts.first { $0.name == name })
                    lines = ["\(try await redis.run(script, keys: keys, args: args.map { .text($0) }))"]
                case .write(let command): _ = try await redis.send(command)
                }
            } catch RedisError.reply(let text) {
                lines = [String(text.prefix { $0 != " " })]
            }
            for reply in try await redis.pipeline(["index", "a", "b", "c"].map { RedisCommand("SMEMBERS", $0) }) {
                let members = reply.strings ?? []
                // To sort thousands of texts after each step is most of the time.
                let sum = members.reduce(0) { $0 &+ $1.hashValue }
                lines.append(members.count > 64 ? "\(members.count), \(sum)" : "\(members.sorted())")
            }
            let lease = try await redis.send(RedisCommand("HGETALL", "lease")).dictionary ?? [:]
            return lines + lease.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        }
    }

    var random: SplitMix64

    mutating func next() -> Call {
        switch Int.random(in: 0..<12, using: &random) {
        case 0..<6: return publish()
        case 6..<8:
            let names = ["a", "b", "c"].filter { _ in pick([true, false]) }
            return .script(
                "channel.remove", keys: ["lease", "index"] + names, args: [pick(["i", "j", "i/k"])] + names)
        case 8: return .write(RedisCommand("HSET", "lease", "inst", pick(["i", "j", "i/k"])))
        case 9: return .write(RedisCommand("HDEL", "lease", pick(["inst", "seq", "channels"])))
        case 10: return .write(RedisCommand("HSET", "lease", "seq", pick(["junk", "", "7", "i/k/8", "j/"])))
        default:
            let gone = RedisCommand("DEL", pick(["lease", "index", "a"]))
            return .write(pick([RedisCommand("SET", "b", "x"), gone, gone]))
        }
    }

    private mutating func publish() -> Call {
        let names = ["a", "b", "c"].filter { _ in pick([true, false]) }
        var args = [pick(["i", "j", "i/k"]), String(Int.random(in: 1...9, using: &random))]
        for name in names {
            // More than a slice has, now and then: each of them costs as much as a hundred others.
            let many = (0..<pick([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 1300])).map { "u\($0)" }
            let few = (0..<pick([0, 1, 3])).map { "u\($0 * 2)" }
            args +=
                [name, pick(["0", "1"]), pick(["0", "0", "1"]), String(many.count), String(few.count)] + many + few
        }
        return .script("channel.publish", keys: ["lease", "index"] + names, args: args)
    }

    private mutating func pick<Element>(_ choices: [Element]) -> Element {
        choices[Int.random(in: 0..<choices.count, using: &random)]
    }
}
