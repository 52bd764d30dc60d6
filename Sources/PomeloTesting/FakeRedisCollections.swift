// SPDX-License-Identifier: MIT
import PomeloRedis

// Hashes and sets. Replies that have no order are sorted, so that equal runs are equal.

extension FakeKeyspace {
    mutating func executeHash(_ call: FakeCall) throws(FakeFailure) -> RedisReply? {
        switch call.name {
        case "HSET", "HMSET":
            guard call.arguments.count % 2 == 1 else { throw .arity(call.name) }
            var fields = try hash(call.key)
            var added = 0
            for index in stride(from: 1, to: call.arguments.count, by: 2) {
                if fields.updateValue(call.arguments[index + 1], forKey: call.arguments[index]) == nil { added += 1 }
            }
            self[call.key] = .hash(fields)
            return call.name == "HSET" ? .count(added) : .ok
        case "HSETNX":
            var fields = try hash(call.key)
            if fields[call.arguments[1]] != nil { return .integer(0) }
            fields[call.arguments[1]] = call.arguments[2]
            self[call.key] = .hash(fields)
            return .integer(1)
        case "HDEL":
            var fields = try hash(call.key)
            let removed = call.arguments.dropFirst().count { fields.removeValue(forKey: $0) != nil }
            if removed > 0 { self[call.key] = .hash(fields) }
            return .count(removed)
        case "HINCRBY": return try addToField(call)
        case "HSCAN":
            let fields = try hash(call.key)
            let (next, page) = try scan(Array(fields.keys), call, from: 1)
            return .page((next, page.flatMap { [$0, fields[$0] ?? []] }))
        default: return try readHash(call)
        }
    }

    private func readHash(_ call: FakeCall) throws(FakeFailure) -> RedisReply? {
        switch call.name {
        case "HGET": return .optional(try hash(call.key)[call.arguments[1]])
        case "HMGET":
            let fields = try hash(call.key)
            return .array(call.arguments.dropFirst().map { .optional(fields[$0]) })
        case "HGETALL":
            let fields = try hash(call.key).sorted { $0.key.lexicographicallyPrecedes($1.key) }
            return .bulks(fields.flatMap { [$0.key, $0.value] })
        case "HKEYS": return .bulks(sorted(try hash(call.key).keys))
        case "HLEN": return .count(try hash(call.key).count)
        case "HEXISTS": return .count(try hash(call.key)[call.arguments[1]] == nil ? 0 : 1)
        default: return nil
        }
    }

    private func hash(_ key: [UInt8]) throws(FakeFailure) -> [[UInt8]: [UInt8]] {
        guard let value = self[key] else { return [:] }
        guard case .hash(let fields) = value else { throw .wrongType }
        return fields
    }

    private mutating func addToField(_ call: FakeCall) throws(FakeFailure) -> RedisReply {
        let amount = try call.int(2)
        var fields = try hash(call.key)
        guard let old = FakeCall.int(fields[call.arguments[1]] ?? [UInt8(ascii: "0")]) else {
            throw FakeFailure(text: "ERR hash value is not an integer")
        }
        let (sum, overflow) = old.addingReportingOverflow(amount)
        if overflow { throw .overflow }
        fields[call.arguments[1]] = Array(String(sum).utf8)
        self[call.key] = .hash(fields)
        return .integer(sum)
    }

    private func sorted(_ elements: some Sequence<[UInt8]>) -> [[UInt8]] {
        elements.sorted { $0.lexicographicallyPrecedes($1) }
    }

    // MARK: sets

    mutating func executeSet(_ call: FakeCall) throws(FakeFailure) -> RedisReply? {
        switch call.name {
        case "SADD":
            var members = try set(call.key)
            let added = call.arguments.dropFirst().count { members.insert($0).inserted }
            if added > 0 { self[call.key] = .set(members) }
            return .count(added)
        case "SREM":
            var members = try set(call.key)
            let removed = call.arguments.dropFirst().count { members.remove($0) != nil }
            if removed > 0 { self[call.key] = .set(members) }
            return .count(removed)
        case "SCARD": return .count(try set(call.key).count)
        case "SMEMBERS": return .bulks(sorted(try set(call.key)))
        case "SISMEMBER": return .count(try set(call.key).contains(call.arguments[1]) ? 1 : 0)
        case "SMISMEMBER":
            let members = try set(call.key)
            return .array(call.arguments.dropFirst().map { .count(members.contains($0) ? 1 : 0) })
        case "SSCAN": return .page(try scan(Array(try set(call.key)), call, from: 1))
        default: return nil
        }
    }

    private func set(_ key: [UInt8]) throws(FakeFailure) -> Set<[UInt8]> {
        guard let value = self[key] else { return [] }
        guard case .set(let members) = value else { throw .wrongType }
        return members
    }
}
