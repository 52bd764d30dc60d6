// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloRedis

/// Commands on keys of any type, and on the server.
extension FakeRedisState {
    static let keyCommands: [String: Command] = [
        "PING": Command(atLeast: 0) { try $0.ping($1) },
        "TIME": Command(0) { state, _ in state.time() },
        "PUBLISH": Command(2) { _, _ in .integer(0) },  // the server counts who receives it
        "SPUBLISH": Command(2) { _, _ in .integer(0) },
        "FLUSHALL": Command(atLeast: 0) { try $0.flushAll($1) },
        "DEL": Command(atLeast: 1) { $0.delete($1) },
        "UNLINK": Command(atLeast: 1) { $0.delete($1) },
        "EXISTS": Command(atLeast: 1) { state, words in
            .count(words.all.count { state.content($0) != nil })
        },
        "TYPE": Command(1) { .status($0.typeName($1[0])) },
        "RENAMENX": Command(2) { try $0.renameToNew($1) },
        "PEXPIRE": Command(atLeast: 2) { try $0.expire($1) },
        "PTTL": Command(1) { .integer($0.timeToLive($1[0])) },
        "SCAN": Command(atLeast: 1) { try $0.scan($1) },
    ]

    private func ping(_ words: Words) throws(Refusal) -> RedisReply {
        if words.count > 1 { throw .arity("ping") }
        return words.count == 0 ? .status("PONG") : .bulk(words[0])
    }

    /// Each answer is a microsecond after the one before, because time goes on between two commands of Redis.
    private mutating func time() -> RedisReply {
        let microseconds = now * 1000 + nextMicrosecond()
        return .array([.text(String(microseconds / 1_000_000)), .text(String(microseconds % 1_000_000))])
    }

    private mutating func flushAll(_ words: Words) throws(Refusal) -> RedisReply {
        if words.count > 1 || words.count == 1 && !["SYNC", "ASYNC"].contains(words.option(0)) { throw .syntax }
        removeAll()
        return .status("OK")
    }

    private mutating func delete(_ words: Words) -> RedisReply {
        var removed = 0
        for key in words.all where remove(key) { removed += 1 }
        return .count(removed)
    }

    private func typeName(_ key: Word) -> String { content(key).map { type(of: $0).typeName } ?? "none" }

    private mutating func renameToNew(_ words: Words) throws(Refusal) -> RedisReply {
        guard content(words[0]) != nil else { throw Refusal("ERR no such key") }
        if content(words[1]) != nil { return .integer(0) }
        rename(words[0], to: words[1])
        return .integer(1)
    }

    private mutating func expire(_ words: Words) throws(Refusal) -> RedisReply {
        if words.count > 2 { throw Refusal("ERR Unsupported option \(words.option(2).lowercased())") }
        let (end, overflow) = now.addingReportingOverflow(try words.integer(1))
        if overflow { throw .expireTime("pexpire") }
        guard content(words[0]) != nil else { return .integer(0) }
        if end <= now { remove(words[0]) } else { setEnd(of: words[0], end) }
        return .integer(1)
    }

    private func timeToLive(_ key: Word) -> Int64 {
        guard content(key) != nil else { return -2 }
        return end(of: key).map { $0 - now } ?? -1
    }

    private func scan(_ words: Words) throws(Refusal) -> RedisReply {
        try Scan(words, cursorAt: 0).page(of: keys)
    }
}

extension FakeRedisState {
    /// A page of SCAN or SSCAN.
    ///
    /// Names come in the order of their hashes, and the cursor is a hash: so a name that is there from the first page
    /// to the last is found, whatever is added or removed between them.
    struct Scan {
        private let cursor: UInt64
        private var pattern: Glob?
        private var count: Int64 = 10

        /// Reads the cursor only: Redis looks at options no earlier than at the key.
        static func cursor(_ word: Word) throws(Refusal) -> UInt64 {
            let text = String(decoding: word, as: UTF8.self)
            if let cursor = UInt64(text) { return cursor }
            if let cursor = Int64(text) { return UInt64(bitPattern: cursor) }
            throw Refusal("ERR invalid cursor")
        }

        init(_ words: Words, cursorAt index: Int) throws(Refusal) {
            cursor = try Self.cursor(words[index])
            for option in stride(from: index + 1, to: words.count, by: 2) {
                guard option + 1 < words.count else { throw .syntax }
                switch words.option(option) {
                case "MATCH": pattern = Glob(words[option + 1])
                case "COUNT":
                    count = try words.integer(option + 1)
                    if count < 1 { throw .syntax }
                default: throw .syntax
                }
            }
        }

        func page(of names: some Sequence<Word>) -> RedisReply {
            let rest: [(hash: UInt64, name: Word)] = names.map { (Self.hash($0), $0) }
                .filter { $0.hash >= cursor }
                .sorted { $0.hash != $1.hash ? $0.hash < $1.hash : isBefore($0.name, $1.name) }
            guard Int64(rest.count) > count else { return reply(0, rest.map(\.name)) }
            let next = rest[Int(count)].hash
            // Names of one hash come together, also when they are more than were asked for.
            guard next > rest[0].hash else { return reply(0, rest.map(\.name)) }
            return reply(next, rest.prefix { $0.hash < next }.map(\.name))
        }

        private func reply(_ next: UInt64, _ names: [Word]) -> RedisReply {
            let matching = names.filter { pattern?.matches($0) ?? true }
            return .array([.text(String(next)), .list(matching)])
        }

        /// FNV-1a: the same in every process.
        private static func hash(_ word: Word) -> UInt64 {
            word.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
        }
    }

    /// As Redis compares members: byte by byte.
    static func isBefore(_ one: Word, _ other: Word) -> Bool { one.lexicographicallyPrecedes(other) }
}
