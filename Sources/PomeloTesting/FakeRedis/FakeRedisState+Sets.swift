// SPDX-License-Identifier: MIT
import PomeloRedis

/// The value of a set key.
private struct FakeRedisSet: FakeRedisContent {
    static let typeName = "set"
    var members: Set<[UInt8]> = []
    var isEmpty: Bool { members.isEmpty }
}

/// Commands on sets.
extension FakeRedisState {
    static let setCommands: [String: Command] = [
        "SADD": Command(atLeast: 2) { state, words in
            try state.update(words[0], FakeRedisSet.self) { set in
                .count(words.from(1).count { set.members.insert($0).inserted })
            }
        },
        "SREM": Command(atLeast: 2) { state, words in
            try state.update(words[0], FakeRedisSet.self) { set in
                .count(words.from(1).count { set.members.remove($0) != nil })
            }
        },
        "SCARD": Command(1) { state, words in .count(try state.members(words[0]).count) },
        "SMEMBERS": Command(1) { state, words in
            .list(try state.members(words[0]).sorted(by: isBefore))
        },
        "SISMEMBER": Command(2) { state, words in
            .flag(try state.members(words[0]).contains(words[1]))
        },
        "SSCAN": Command(atLeast: 2) { try $0.setScan($1) },
    ]

    private func members(_ key: Word) throws(Refusal) -> Set<Word> {
        try read(key, FakeRedisSet.self)?.members ?? []
    }

    private func setScan(_ words: Words) throws(Refusal) -> RedisReply {
        _ = try Scan.cursor(words[1])
        guard let set = try read(words[0], FakeRedisSet.self) else { return .array([.text("0"), .array([])]) }
        return try Scan(words, cursorAt: 1).page(of: set.members)
    }
}
