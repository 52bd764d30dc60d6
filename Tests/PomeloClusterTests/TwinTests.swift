// SPDX-License-Identifier: MIT
import PomeloCluster
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

extension WithRedis {
    @Suite("scripts and their twins", .serialized, .onEachRedis(.standalone, .sentinel)) struct TwinTests {
        /// Random calls, the same on a real server and on the one in memory; replies and data must stay the same.
        @Test(arguments: 1...8) @Loop func twinsAnswerAsTheScripts(_ number: UInt64) async throws {
            let seed = RedisKind.current == .standalone ? number : number + 8
            try await withRedis(configure: { $0.commandTimeoutSeconds = 20 }) { _, client in
                let twin = FakeRedis(clock: ManualClock())
                twin.registerClusterScripts()
                var calls = ScriptCalls(random: SplitMix64(seed: seed))
                for step in 0..<300 {
                    let call = calls.next()
                    let original = try await call.perform(on: client)
                    let copy = try await call.perform(on: twin)
                    guard call.comparable(original) == call.comparable(copy) else {
                        Issue.record("seed \(seed), step \(step), \(call): \(original) but twin \(copy)")
                        break
                    }
                    let data = (try await ScriptCalls.data(of: client), try await ScriptCalls.data(of: twin))
                    guard data.0 == data.1 else {
                        Issue.record("seed \(seed), step \(step), \(call): data \(data.0) but twin \(data.1)")
                        break
                    }
                }
            }
        }
    }
}

/// A sequence of calls on few servers, so that they get in each other's way.
private struct ScriptCalls {
    var random: SplitMix64
    private var step = 0
    private static let tag = "pomelo:{t}:"
    private static let ids = ["a", "b", "c"]
    private static let instances = ["i", "j"]
    private static let states = ["joining", "up"]
    /// Texts a broken or foreign writer may leave.
    private static let junk = ["", "no json", "[]", "{}", #"{"inst":5}"#, #"{"inst":null}"#, #"{"inst":""}"#]

    init(random: SplitMix64) { self.random = random }

    enum Call: CustomStringConvertible {
        case script(RedisScript, keys: [String], args: [RedisArgument])
        case command(RedisCommand)

        var description: String {
            switch self {
            case .script(let script, _, let args): "\(script.name) \(args)"
            case .command(let command): "\(command.name) \(command.arguments)"
            }
        }

        @Loop func perform(on redis: any RedisPort) async throws -> RedisReply {
            switch self {
            case .script(let script, let keys, let args): try await redis.run(script, keys: keys, args: args)
            case .command(let command): try await redis.send(command)
            }
        }

        /// Without ids of stream entries, which are times.
        func comparable(_ reply: RedisReply) -> RedisReply {
            if case .script(ClusterScripts.look, _, _) = self, var fields = reply.array, fields.count > 3 {
                if fields[3] != .text("") { fields[3] = .null }
                return .array(fields)
            }
            guard case .script(ClusterScripts.view, _, _) = self, var fields = reply.array, fields.count > 2
            else {
                return reply
            }
            if fields[1] != .text("0-0") { fields[1] = .null }
            if fields[2] != .text("") { fields[2] = .null }
            let pairs = stride(from: 3, to: fields.count, by: 2).map { fields[$0..<$0 + 2] }
            let sorted = pairs.sorted { ($0.first?.string ?? "") < ($1.first?.string ?? "") }
            return .array(Array(fields.prefix(3)) + sorted.flatMap { $0 })
        }
    }

    mutating func next() -> Call {
        step += 1
        let id = pick(Self.ids)
        let inst = pick(Self.instances)
        let registry = ["servers", "leases", "epoch", "ev"].map { Self.tag + $0 }
        let hint = Self.tag + "ev!"
        let born = Self.tag + "born"
        switch Int.random(in: 0..<28, using: &random) {
        case 0..<5:
            return .script(
                ClusterScripts.put, keys: registry + [Self.tag + "everServers", hint, born],
                args: [
                    .text(id), .text(entry(id, inst)), .text(inst), .text(pick(Self.instances + [""])),
                    lease(), .text(pick(["", "missing"])),
                ])
        case 5..<8:
            return .script(
                ClusterScripts.renew, keys: Array(registry.prefix(2)),
                args: [.text(id), .text(entry(id, inst)), .text(inst), lease()])
        case 8..<11:
            return .script(
                ClusterScripts.remove, keys: registry + [hint],
                args: [.text(id), .text(pick(Self.instances + [""])), .text(pick(["left", "expired"]))])
        case 11:
            return .script(
                ClusterScripts.gone, keys: Array(registry.prefix(2)),
                args: [.text(id), .text(entry(id, inst))])
        case 12:
            return .script(
                ClusterScripts.look, keys: [registry[1], registry[2], born], args: [.number(pick([1, 2, 16]))])
        case 13: return .script(ClusterScripts.view, keys: registry + [born], args: [lease()])
        case 14:
            return .command(
                RedisCommand("SET", Self.tag + "reap", pick(["x", "y"]), "NX", "PX", 1_000_000_000))
        case 15:
            return .script(
                ClusterScripts.proceed, keys: [Self.tag + "reap"],
                args: [.text(pick(["x", "y"])), 900_000_000])
        case 16:
            return .script(
                ClusterScripts.finish, keys: [Self.tag + "reap", Self.tag + "lease"],
                args: [.text(pick(["x", "y"])), .text(pick(["", "i", "j"]))])
        case 20:
            return .script(
                ClusterScripts.begin, keys: [Self.tag + "reap", Self.tag + "lease"],
                args: [.text(pick(["x", "y"])), .text(pick(["i", "j"]))])
        case 17: return .command(RedisCommand("HSET", Self.tag + "servers", id, pick(Self.junk)))
        case 18: return .command(RedisCommand("ZREM", Self.tag + "leases", id))
        case 19: return .command(RedisCommand("HSET", Self.tag + "lease", "inst", inst, "seq", "\(step)"))
        case 22:
            return .script(
                ClusterScripts.revisit, keys: Array(registry.prefix(2)), args: [.text(id), .text(pick(Self.ids))])
        case 21: return .command(RedisCommand("DEL", born))
        case 23, 24:
            // Above all times.
            return .script(
                ClusterScripts.stand, keys: [Self.tag + "elect", Self.tag + "fence"],
                args: [.text(pick(["x", "y"])), 1_000_000_000, .number(1 << 52 + pick([0, 0, 0, step]))])
        case 25: return .script(ClusterScripts.resign, keys: [Self.tag + "elect"], args: [.text(pick(["x", "y"]))])
        case 26:
            return .command(
                pick([
                    RedisCommand("HSET", Self.tag + "elect", "owner", "z", "token", 5),
                    RedisCommand("DEL", Self.tag + "fence"),
                    RedisCommand("DEL", Self.tag + "elect"),
                ]))
        default: return .script(ClusterScripts.claim, keys: [Self.tag + "lease"], args: [.text(inst)])
        }
    }

    private mutating func pick<Element>(_ choices: [Element]) -> Element {
        choices[Int.random(in: 0..<choices.count, using: &random)]
    }

    private mutating func entry(_ id: String, _ inst: String) -> String {
        #"{"inst":"\#(inst)","state":"\#(pick(Self.states))","record":{"id":"\#(id)"}}"#
    }

    /// Ends far in the future, or ended long ago; no two alike, so that their order is not a matter of milliseconds.
    private mutating func lease() -> RedisArgument {
        .number((pick([true, false]) ? 1_000_000_000 : -1_000_000_000) + step * 100_000)
    }

    /// Everything but times.
    @Loop static func data(of redis: any RedisPort) async throws -> [String] {
        let replies = try await redis.pipeline([
            RedisCommand("HGETALL", tag + "servers"), RedisCommand("ZRANGE", tag + "leases", 0, -1),
            RedisCommand("GET", tag + "epoch"), RedisCommand("XRANGE", tag + "ev", "-", "+"),
            RedisCommand("SMEMBERS", tag + "everServers"), RedisCommand("GET", tag + "reap"),
            RedisCommand("HGETALL", tag + "lease"), RedisCommand("EXISTS", tag + "born"),
            RedisCommand("HGETALL", tag + "elect"), RedisCommand("GET", tag + "fence"),
        ])
        let events = replies[3].array?.map { "\($0.array?.last?.strings ?? [])" } ?? []
        return [
            "\((replies[0].dictionary ?? [:]).sorted { $0.key < $1.key })", "\(replies[1].strings ?? [])",
            replies[2].string ?? "", "\(events)", "\((replies[4].strings ?? []).sorted())",
            replies[5].string ?? "",
            "\((replies[6].dictionary ?? [:]).sorted { $0.key < $1.key })", replies[7].string ?? "",
            "\((replies[8].dictionary ?? [:]).sorted { $0.key < $1.key })", replies[9].string ?? "",
        ]
    }
}
