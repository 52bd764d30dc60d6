// SPDX-License-Identifier: MIT
import PomeloRedis

/// The value of a string key; an empty one exists.
private struct FakeRedisText: FakeRedisContent {
    static let typeName = "string"
    var bytes: [UInt8] = []
    var isEmpty: Bool { false }
}

/// Commands on strings.
extension FakeRedisState {
    static let stringCommands: [String: Command] = [
        "GET": Command(1) { state, words in
            try state.read(words[0], FakeRedisText.self).map { .bulk($0.bytes) } ?? .null
        },
        "SET": Command(atLeast: 2) { try $0.set($1) },
        "INCR": Command(1) { try $0.increment($1[0], by: 1) },
        "INCRBY": Command(2) { state, words in
            try state.increment(words[0], by: try words.integer(1))
        },
    ]

    private struct SetOptions {
        var mustExist: Bool?
        var keepsEnd = false
        private var lifetime: (option: String, index: Int)?

        init(_ words: Words) throws(Refusal) {
            var index = 2
            while index < words.count {
                let option = words.option(index)
                switch option {
                case "NX" where mustExist != true: mustExist = false
                case "XX" where mustExist != false: mustExist = true
                case "KEEPTTL" where lifetime == nil: keepsEnd = true
                case "PX", "EX":
                    index += 1
                    let isOther = keepsEnd || lifetime.map { $0.option != option } ?? false
                    if isOther || index == words.count { throw .syntax }
                    lifetime = (option, index)
                default: throw .syntax
                }
                index += 1
            }
        }

        /// Redis looks at the number only when it knows all options.
        func end(_ words: Words, from now: Int64) throws(Refusal) -> Int64? {
            guard let lifetime else { return nil }
            let number = try words.integer(lifetime.index)
            let unit: Int64 = lifetime.option == "PX" ? 1 : 1000
            let (length, isTooLong) = number.multipliedReportingOverflow(by: unit)
            let (end, overflow) = now.addingReportingOverflow(length)
            if number <= 0 || isTooLong || overflow { throw .expireTime("set") }
            return end
        }
    }

    private mutating func set(_ words: Words) throws(Refusal) -> RedisReply {
        let options = try SetOptions(words)
        let end = try options.end(words, from: now)
        let isThere = content(words[0]) != nil
        if let mustExist = options.mustExist, mustExist != isThere { return .null }
        let kept = options.keepsEnd ? self.end(of: words[0]) : nil
        put(FakeRedisText(bytes: words[1]), at: words[0], until: end ?? kept)
        return .status("OK")
    }

    private mutating func increment(_ key: Word, by step: Int64) throws(Refusal) -> RedisReply {
        let text = try read(key, FakeRedisText.self)
        guard let number = text.map({ Self.integer($0.bytes) }) ?? 0 else { throw .notInteger }
        let (sum, overflow) = number.addingReportingOverflow(step)
        if overflow { throw .overflow }
        put(FakeRedisText(bytes: Array(String(sum).utf8)), at: key, until: end(of: key))
        return .integer(sum)
    }
}
