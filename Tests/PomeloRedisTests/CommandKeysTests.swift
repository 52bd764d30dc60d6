// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloRedis

extension WithRedis {
    /// Which arguments are keys, beside what the server itself says.
    @Suite struct KeysOfCommands {
        /// Names that are spelled like options.
        static let hostile = [
            "STORE", "STOREDIST", "STREAMS", "KEYS", "GET", "BY", "LIMIT", "AUTH", "AUTH2", "GROUP", "COUNT", "BLOCK",
            "MATCH", "ALPHA", "store", "streams", "k", "",
        ]
        /// Words that only begin other commands, or whose arguments the server does not look at.
        static let containers: Set = ["OBJECT", "MEMORY", "XINFO", "XGROUP", "PFDEBUG"]
        /// What the server sends to the slot of a channel, which is no key to it.
        static let channels: Set = ["SPUBLISH", "SSUBSCRIBE", "SUNSUBSCRIBE"]

        /// Arguments as their command takes them, with whatever names; `#` is one, and numbers are as they stand.
        static let forms = [
            "SORT # LIMIT 0 9 STORE #", "SORT # BY # GET # GET # ALPHA STORE #", "SORT # GET # DESC",
            "SORT # BY # LIMIT 1 2 GET #", "GEORADIUS # 1 2 3 m STORE #", "GEORADIUS # 1 2 3 m WITHDIST COUNT 2 ANY",
            "GEORADIUSBYMEMBER # # 3 m STOREDIST #", "GEORADIUSBYMEMBER # # 3 m ASC COUNT 2",
            "GEORADIUSBYMEMBER_RO # # 3 m", "XREADGROUP GROUP # # COUNT 2 STREAMS # # > >",
            "XREADGROUP GROUP # # NOACK BLOCK 5 STREAMS # 0", "XREAD STREAMS # # 0 0",
            "XREAD COUNT 2 BLOCK 1 STREAMS # 0",
            "MIGRATE h 1 # 0 5", "MIGRATE h 1 # 0 5 COPY REPLACE AUTH #", "MIGRATE h 1 '' 0 5 AUTH2 # # KEYS # #",
            "MIGRATE h 1 '' 0 5 AUTH # KEYS #", "EVAL # 2 # # #", "EVALSHA # 0 #", "FCALL # 1 # #",
            "ZUNIONSTORE # 2 # #",
            "ZINTERSTORE # 1 # WEIGHTS 1", "ZDIFF 2 # #", "SINTERCARD 2 # # LIMIT 1", "LMPOP 2 # # LEFT",
            "BLMPOP 0 1 # LEFT", "BZMPOP 0 2 # # MIN", "ZMPOP 1 # MIN", "ZINTERCARD 1 #", "MEMORY USAGE #",
            "OBJECT ENCODING #", "XINFO STREAM #", "XGROUP CREATE # # $", "BITOP AND # # #",
            "GEOSEARCHSTORE # # FROMMEMBER #",
            "ZRANGESTORE # # 0 1", "LMOVE # # LEFT LEFT", "COPY # # DB 1", "SMOVE # # #", "MSET # 1 # 2", "BLPOP # # 1",
            "SET # # EX 5", "XADD # MAXLEN 5 * # #", "PFMERGE # # #", "RESTORE # 0 #",
        ]

        /// The positions that the server names, by arguments that it cannot take for each other: as texts they may be.
        @Loop private func expectAgreement(_ redis: RedisClient, _ name: String, _ arguments: [String]) async throws {
            let reply = try await redis.pipeline([RedisCommand("COMMAND", ["GETKEYS", name] + arguments)])[0]
            let texts = arguments.map { RedisArgument.text($0) }
            let own = CommandKeys.positions(name, texts)?.map { arguments[$0] }
            let line = "\(name) \(arguments)"
            guard let keys = reply.strings else {
                let isNone = reply.errorText?.contains("no key arguments") == true
                if isNone { #expect(own == [], "\(line)") }
                return
            }
            // Of keys that a pattern or an option names the server tells in an order of its own.
            #expect(own?.sorted() == keys.sorted(), "\(line): \(keys)")
        }

        @Test(arguments: [UInt64](1...5)) @Loop func keysAmongHostileNamesAreThoseOfTheServer(seed: UInt64) async throws
        {
            let random = RandomSource(seed: seed)
            try await withRedis { _, redis in
                for form in Self.forms {
                    let words = form.split(separator: " ").map(String.init)
                    for _ in 0..<12 {
                        let arguments = words.dropFirst().map { word -> String in
                            word == "''" ? "" : word != "#" ? word : Self.hostile[Int(random.next() % 17)]
                        }
                        try await expectAgreement(redis, words[0], arguments)
                    }
                }
            }
        }

        /// Each command that the server has is known, and has the keys that the server says.
        @Test @Loop func everyCommandOfTheServerHasItsKeys() async throws {
            let random = RandomSource(seed: 7)
            try await withRedis { _, redis in
                let infos = try await redis.send(RedisCommand("COMMAND")).array ?? []
                #expect(infos.count > 200)
                for info in infos {
                    guard let parts = info.array, let name = parts[0].string?.uppercased(), let arity = parts[1].int
                    else {
                        return #expect(Bool(false), "\(info)")
                    }
                    #expect(CommandKeys.positions(name, []) != nil || parts[3].int == 0 || abs(arity) > 1, "\(name)")
                    let isPlain = parts[2].array?.contains { $0.string == "movablekeys" } == false
                    // Too few is for the server to say.
                    for count in 0..<4 {
                        let arguments = (0..<count).map { _ in Self.hostile[Int(random.next() % 17)] }
                        let keys = RedisCommand(name, arguments).keys
                        #expect((keys?.count ?? 0) <= count, "\(name) \(arguments)")
                    }
                    guard isPlain, !Self.containers.union(Self.channels).contains(name) else { continue }
                    for more in 0..<3 {
                        let count = arity < 0 ? -arity - 1 + more : arity - 1
                        let arguments = (0..<count).map { _ in Self.hostile[Int(random.next() % 17)] }
                        #expect(CommandKeys.positions(name, arguments.map { .text($0) }) != nil, "\(name)")
                        try await expectAgreement(redis, name, arguments)
                    }
                }
            }
        }
    }
}

extension RedisCommand {
    fileprivate init(_ name: String, _ texts: [String]) {
        self.init(name, arguments: texts.map(RedisArgument.text))
    }
}
