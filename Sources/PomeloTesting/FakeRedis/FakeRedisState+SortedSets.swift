// SPDX-License-Identifier: MIT
import PomeloRedis

/// The value of a sorted set key.
private struct FakeRedisSortedSet: FakeRedisContent {
    static let typeName = "zset"
    var scores: [[UInt8]: Double] = [:]
    var isEmpty: Bool { scores.isEmpty }

    /// By score, then byte by byte.
    var ranking: [(member: [UInt8], score: Double)] {
        scores.map { (member: $0.key, score: $0.value) }.sorted {
            $0.score != $1.score ? $0.score < $1.score : FakeRedisState.isBefore($0.member, $1.member)
        }
    }
}

/// Commands on sorted sets.
extension FakeRedisState {
    static let sortedSetCommands: [String: Command] = [
        "ZADD": Command(atLeast: 3) { try $0.rankAdd($1) },
        "ZREM": Command(atLeast: 2) { state, words in
            try state.update(words[0], FakeRedisSortedSet.self) { set in
                .count(words.from(1).count { set.scores.removeValue(forKey: $0) != nil })
            }
        },
        "ZSCORE": Command(2) { state, words in
            try state.read(words[0], FakeRedisSortedSet.self)?.scores[words[1]].map { .text(text($0)) } ?? .null
        },
        "ZCARD": Command(1) { state, words in
            .count(try state.read(words[0], FakeRedisSortedSet.self)?.scores.count ?? 0)
        },
        "ZCOUNT": Command(3) { state, words in
            let bounds = try Bounds(words[1], words[2])
            return .count(try state.ranking(words[0]).count { bounds.contain($0.score) })
        },
        "ZRANGE": Command(atLeast: 3) { try $0.rankRange($1) },
        "ZRANGEBYSCORE": Command(atLeast: 3) { try $0.rankRangeByScore($1) },
    ]

    /// A score as recent Redis writes it: the shortest text that is read as the same number.
    private static func text(_ score: Double) -> String {
        if let whole = Int64(exactly: score), abs(score) < 1e17 { return String(whole) }
        return score.isInfinite ? (score < 0 ? "-inf" : "inf") : "\(score)"
    }

    private static func number(_ word: some Collection<UInt8>) -> Double? {
        guard let number = Double(String(decoding: word, as: UTF8.self)), !number.isNaN else { return nil }
        return number
    }

    /// `min` and `max` of a range of scores; `(` before one excludes it.
    private struct Bounds {
        private let low: Double
        private let high: Double
        private let excludesLow: Bool
        private let excludesHigh: Bool

        init(_ low: Word, _ high: Word) throws(Refusal) {
            (self.low, excludesLow) = try Self.parse(low)
            (self.high, excludesHigh) = try Self.parse(high)
        }

        private static func parse(_ word: Word) throws(Refusal) -> (Double, Bool) {
            if word.isEmpty { return (0, false) }
            let isExcluded = word.first == UInt8(ascii: "(")
            guard let number = number(word.dropFirst(isExcluded ? 1 : 0)) else {
                throw Refusal("ERR min or max is not a float")
            }
            return (number, isExcluded)
        }

        func contain(_ score: Double) -> Bool {
            (excludesLow ? score > low : score >= low) && (excludesHigh ? score < high : score <= high)
        }
    }

    private typealias Ranked = (member: Word, score: Double)

    private func ranking(_ key: Word) throws(Refusal) -> [Ranked] {
        try read(key, FakeRedisSortedSet.self)?.ranking ?? []
    }

    private static func reply(_ ranked: some Sequence<Ranked>, withScores: Bool) -> RedisReply {
        .array(ranked.flatMap { withScores ? [.bulk($0.member), .text(text($0.score))] : [.bulk($0.member)] })
    }

    // MARK: adding

    private mutating func rankAdd(_ words: Words) throws(Refusal) -> RedisReply {
        var options: Set<String> = []
        var first = 1
        while first < words.count, ["NX", "XX", "GT", "LT", "CH"].contains(words.option(first)) {
            options.insert(words.option(first))
            first += 1
        }
        let entries = words.pairs(from: first)
        if entries.isEmpty || !(words.count - first).isMultiple(of: 2) { throw .syntax }
        if options.isSuperset(of: ["NX", "XX"]) {
            throw Refusal("ERR XX and NX options at the same time are not compatible")
        }
        if options.intersection(["GT", "LT", "NX"]).count > 1 {
            throw Refusal("ERR GT, LT, and/or NX options at the same time are not compatible")
        }
        var ranked: [Ranked] = []
        for (text, member) in entries {
            guard let score = Self.number(text) else { throw .notFloat }
            ranked.append((member, score))
        }
        return try update(words[0], FakeRedisSortedSet.self) { set in
            var added = 0
            var changed = 0
            for (member, score) in ranked {
                guard let old = set.scores[member] else {
                    if options.contains("XX") { continue }
                    set.scores[member] = score
                    added += 1
                    continue
                }
                let isKept =
                    options.contains("NX") || options.contains("GT") && score <= old
                    || options.contains("LT") && score >= old || score == old
                if isKept { continue }
                set.scores[member] = score
                changed += 1
            }
            return .count(options.contains("CH") ? added + changed : added)
        }
    }

    // MARK: ranges

    private func rankRange(_ words: Words) throws(Refusal) -> RedisReply {
        for index in 3..<max(3, words.count) where words.option(index) != "WITHSCORES" { throw .syntax }
        var (first, last) = (try words.integer(1), try words.integer(2))
        let ranking = try ranking(words[0])
        let count = Int64(ranking.count)
        if first < 0 { first = max(0, first + count) }
        if last < 0 { last += count }
        last = min(last, count - 1)
        if first > last { return .array([]) }
        return Self.reply(ranking[Int(first)...Int(last)], withScores: words.count > 3)
    }

    private func rankRangeByScore(_ words: Words) throws(Refusal) -> RedisReply {
        var withScores = false
        var limit: (offset: Int64, count: Int64) = (0, -1)
        var index = 3
        while index < words.count {
            switch words.option(index) {
            case "WITHSCORES":
                withScores = true
                index += 1
            case "LIMIT" where index + 2 < words.count:
                limit = (try words.integer(index + 1), try words.integer(index + 2))
                index += 3
            default: throw .syntax
            }
        }
        let bounds = try Bounds(words[1], words[2])
        let found = try ranking(words[0]).filter { bounds.contain($0.score) }
        if limit.offset < 0 { return .array([]) }
        let rest = found.dropFirst(Int(clamping: limit.offset))
        let count = limit.count < 0 ? rest.count : Int(clamping: limit.count)
        return Self.reply(rest.prefix(count), withScores: withScores)
    }
}
