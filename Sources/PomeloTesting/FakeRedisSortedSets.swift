// SPDX-License-Identifier: MIT
import PomeloRedis

/// One end of a range of scores: `5`, `(5`, `-inf`, `+inf`.
private struct ScoreBound {
    var value: Double
    var exclusive = false

    init(_ text: String) throws(FakeFailure) {
        exclusive = text.hasPrefix("(")
        guard let value = FakeKeyspace.score(exclusive ? String(text.dropFirst()) : text) else {
            throw FakeFailure(text: "ERR min or max is not a float")
        }
        self.value = value
    }

    func isBelow(_ score: Double) -> Bool { exclusive ? value < score : value <= score }
    func isAbove(_ score: Double) -> Bool { exclusive ? value > score : value >= score }
}

extension FakeKeyspace {
    mutating func executeSorted(_ call: FakeCall) throws(FakeFailure) -> RedisReply? {
        switch call.name {
        case "ZADD": return try addScores(call)
        case "ZINCRBY":
            guard let amount = Self.score(call.text(1)) else { throw .notFloat }
            var scores = try scores(call.key)
            let sum = (scores[call.arguments[2]] ?? 0) + amount
            scores[call.arguments[2]] = sum
            self[call.key] = .sorted(scores)
            return .text(Self.text(sum))
        case "ZREM":
            var scores = try scores(call.key)
            let removed = call.arguments.dropFirst().count { scores.removeValue(forKey: $0) != nil }
            if removed > 0 { self[call.key] = .sorted(scores) }
            return .count(removed)
        case "ZREMRANGEBYSCORE":
            let bounds = (low: try ScoreBound(call.text(1)), high: try ScoreBound(call.text(2)))
            let scores = try scores(call.key)
            let kept = scores.filter { !(bounds.low.isBelow($0.value) && bounds.high.isAbove($0.value)) }
            if kept.count < scores.count { self[call.key] = .sorted(kept) }
            return .count(scores.count - kept.count)
        case "ZCARD": return .count(try scores(call.key).count)
        case "ZCOUNT":
            let bounds = (low: try ScoreBound(call.text(1)), high: try ScoreBound(call.text(2)))
            return .count(try scores(call.key).values.count { bounds.low.isBelow($0) && bounds.high.isAbove($0) })
        case "ZSCORE": return try scores(call.key)[call.arguments[1]].map { .text(Self.text($0)) } ?? .null
        case "ZRANGEBYSCORE": return try rangeByScore(call)
        case "ZRANGE": return try rangeByIndex(call)
        default: return nil
        }
    }

    private func scores(_ key: [UInt8]) throws(FakeFailure) -> [[UInt8]: Double] {
        guard let value = self[key] else { return [:] }
        guard case .sorted(let scores) = value else { throw .wrongType }
        return scores
    }

    private func ordered(_ key: [UInt8]) throws(FakeFailure) -> [(member: [UInt8], score: Double)] {
        try scores(key).map { (member: $0.key, score: $0.value) }
            .sorted { $0.score != $1.score ? $0.score < $1.score : $0.member.lexicographicallyPrecedes($1.member) }
    }

    private mutating func addScores(_ call: FakeCall) throws(FakeFailure) -> RedisReply {
        var index = 1
        var options: Set<String> = []
        while index < call.arguments.count, ["NX", "XX", "GT", "LT", "CH"].contains(call.option(index)) {
            options.insert(call.option(index))
            index += 1
        }
        guard index < call.arguments.count, (call.arguments.count - index) % 2 == 0 else { throw .syntax }
        if options.contains("NX"), options.contains("XX") {
            throw FakeFailure(text: "ERR XX and NX options at the same time are not compatible")
        }
        var pairs: [(member: [UInt8], score: Double)] = []
        for place in stride(from: index, to: call.arguments.count, by: 2) {
            guard let score = Self.score(call.text(place)) else { throw .notFloat }
            pairs.append((call.arguments[place + 1], score))
        }
        var scores = try scores(call.key)
        var added = 0
        var changed = 0
        for (member, score) in pairs {
            if let old = scores[member] {
                if options.contains("NX") || options.contains("GT") && score <= old { continue }
                if options.contains("LT") && score >= old || score == old { continue }
                changed += 1
            } else {
                if options.contains("XX") { continue }
                added += 1
            }
            scores[member] = score
        }
        if added + changed > 0 { self[call.key] = .sorted(scores) }
        return .count(options.contains("CH") ? added + changed : added)
    }

    private func rangeByScore(_ call: FakeCall) throws(FakeFailure) -> RedisReply {
        let bounds = (low: try ScoreBound(call.text(1)), high: try ScoreBound(call.text(2)))
        var withScores = false
        var skip: Int64 = 0
        var limit: Int64 = -1
        var index = 3
        while index < call.arguments.count {
            switch call.option(index) {
            case "WITHSCORES": withScores = true
            case "LIMIT" where index + 2 < call.arguments.count:
                skip = try call.int(index + 1)
                limit = try call.int(index + 2)
                index += 2
            default: throw .syntax
            }
            index += 1
        }
        var found = try ordered(call.key).filter { bounds.low.isBelow($0.score) && bounds.high.isAbove($0.score) }[...]
        if skip < 0 { found = [] } else { found = found.dropFirst(Int(skip)) }
        if limit >= 0 { found = found.prefix(Int(limit)) }
        return reply(found, withScores)
    }

    private func rangeByIndex(_ call: FakeCall) throws(FakeFailure) -> RedisReply {
        var withScores = false
        var reversed = false
        for index in 3..<max(3, call.arguments.count) {
            switch call.option(index) {
            case "WITHSCORES": withScores = true
            case "REV": reversed = true
            default: throw .syntax
            }
        }
        var all = try ordered(call.key)
        if reversed { all.reverse() }
        let first = try call.int(1)
        let last = try call.int(2)
        let start = Int(max(0, first < 0 ? first + Int64(all.count) : first))
        let end = Int(min(Int64(all.count) - 1, last < 0 ? last + Int64(all.count) : last))
        return start > end ? .array([]) : reply(all[start...end], withScores)
    }

    private func reply(_ found: ArraySlice<(member: [UInt8], score: Double)>, _ withScores: Bool) -> RedisReply {
        .array(
            found.flatMap { item in
                withScores ? [.bulk(item.member), .text(Self.text(item.score))] : [RedisReply.bulk(item.member)]
            })
    }

    static func score(_ text: String) -> Double? {
        guard let value = Double(text.lowercased()), !value.isNaN, text.first?.isWhitespace == false else { return nil }
        return value
    }

    /// Whole numbers as Redis writes them; fractions in their shortest form, where older servers write 17 digits.
    private static func text(_ score: Double) -> String {
        if score.isInfinite { return score < 0 ? "-inf" : "inf" }
        return Int64(exactly: score).map(String.init) ?? "\(score)"
    }
}
