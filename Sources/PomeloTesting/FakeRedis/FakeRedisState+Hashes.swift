// SPDX-License-Identifier: MIT
import PomeloRedis

/// The value of a hash key.
private struct FakeRedisHash: FakeRedisContent {
    static let typeName = "hash"
    var fields: [[UInt8]: [UInt8]] = [:]
    var isEmpty: Bool { fields.isEmpty }
}

/// Commands on hashes.
extension FakeRedisState {
    static let hashCommands: [String: Command] = [
        "HSET": Command(atLeast: 3) { try $0.hashSet($1) },
        "HSETNX": Command(3) { try $0.hashSetNew($1) },
        "HGET": Command(2) { state, words in
            try state.fields(words[0])[words[1]].map { .bulk($0) } ?? .null
        },
        "HMGET": Command(atLeast: 2) { state, words in
            let fields = try state.fields(words[0])
            return .array(words.from(1).map { fields[$0].map { .bulk($0) } ?? .null })
        },
        "HGETALL": Command(1) { state, words in
            let sorted = try state.fields(words[0]).sorted { isBefore($0.key, $1.key) }
            return .list(sorted.flatMap { [$0.key, $0.value] })
        },
        "HEXISTS": Command(2) { state, words in
            .flag(try state.fields(words[0])[words[1]] != nil)
        },
        "HLEN": Command(1) { state, words in .count(try state.fields(words[0]).count) },
        "HDEL": Command(atLeast: 2) { try $0.hashDelete($1) },
        "HSCAN": Command(atLeast: 2) { try $0.hashScan($1) },
        "HINCRBY": Command(3) { try $0.hashIncrement($1) },
    ]

    private func fields(_ key: Word) throws(Refusal) -> [Word: Word] {
        try read(key, FakeRedisHash.self)?.fields ?? [:]
    }

    private mutating func hashSet(_ words: Words) throws(Refusal) -> RedisReply {
        if words.count.isMultiple(of: 2) { throw .arity("hset") }
        return try update(words[0], FakeRedisHash.self) { hash in
            let before = hash.fields.count
            for (field, value) in words.pairs(from: 1) { hash.fields[field] = value }
            return .count(hash.fields.count - before)
        }
    }

    private mutating func hashSetNew(_ words: Words) throws(Refusal) -> RedisReply {
        try update(words[0], FakeRedisHash.self) { hash in
            guard hash.fields[words[1]] == nil else { return .integer(0) }
            hash.fields[words[1]] = words[2]
            return .integer(1)
        }
    }

    private func hashScan(_ words: Words) throws(Refusal) -> RedisReply {
        // As Redis: a cursor that is none is told before the key is looked at.
        _ = try Scan.cursor(words[1])
        let fields = try fields(words[0])
        if fields.isEmpty { return .array([.text("0"), .array([])]) }
        guard case .array(let page) = try Scan(words, cursorAt: 1).page(of: fields.keys), let names = page[1].array
        else { return .null }
        return .array([page[0], .array(names.flatMap { [$0, .bulk(fields[$0.bytes ?? []] ?? [])] })])
    }

    private mutating func hashDelete(_ words: Words) throws(Refusal) -> RedisReply {
        try update(words[0], FakeRedisHash.self) { hash in
            .count(words.from(1).count { hash.fields.removeValue(forKey: $0) != nil })
        }
    }

    private mutating func hashIncrement(_ words: Words) throws(Refusal) -> RedisReply {
        let step = try words.integer(2)
        return try update(words[0], FakeRedisHash.self) { hash throws(Refusal) in
            guard let number = hash.fields[words[1]].map(Self.integer) ?? 0 else {
                throw Refusal("ERR hash value is not an integer")
            }
            let (sum, overflow) = number.addingReportingOverflow(step)
            if overflow { throw .overflow }
            hash.fields[words[1]] = Array(String(sum).utf8)
            return .integer(sum)
        }
    }
}
