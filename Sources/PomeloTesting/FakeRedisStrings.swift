// SPDX-License-Identifier: MIT
import PomeloRedis

// Keys of any type, and strings.

extension FakeKeyspace {
    mutating func executeGeneric(_ call: FakeCall) throws(FakeFailure) -> RedisReply? {
        switch call.name {
        case "PING": return call.arguments.isEmpty ? .status("PONG") : .bulk(call.key)
        case "ECHO": return .bulk(call.key)
        case "TIME":
            return .array([.text("\(now / 1000)"), .text("\(now % 1000 * 1000)")])
        case "DEL", "UNLINK":
            var removed = 0
            for key in call.arguments where remove(key) { removed += 1 }
            return .count(removed)
        case "EXISTS": return .count(call.arguments.count { self[$0] != nil })
        case "TYPE": return .status(self[call.key]?.typeName ?? "none")
        case "RENAME": return try rename(call)
        case "KEYS":
            let pattern = FakeGlob(call.key)
            return .bulks(keys.filter(pattern.matches))
        case "DBSIZE": return .count(keys.count)
        case "FLUSHALL", "FLUSHDB":
            removeAll()
            return .ok
        case "SCAN": return try scanKeys(call)
        case "EXPIRE", "PEXPIRE", "PEXPIREAT": return try expire(call)
        case "PERSIST":
            guard expiry(call.key) != nil else { return .integer(0) }
            setExpiry(call.key, nil)
            return .integer(1)
        case "TTL", "PTTL": return timeToLive(call)
        default: return nil
        }
    }

    private mutating func rename(_ call: FakeCall) throws(FakeFailure) -> RedisReply {
        guard let value = self[call.key] else { throw FakeFailure(text: "ERR no such key") }
        let expiry = expiry(call.key)
        _ = remove(call.key)
        _ = remove(call.arguments[1])
        self[call.arguments[1]] = value
        setExpiry(call.arguments[1], expiry)
        return .ok
    }

    private func scanKeys(_ call: FakeCall) throws(FakeFailure) -> RedisReply {
        var type: String?
        for index in stride(from: 1, to: call.arguments.count - 1, by: 2) where call.option(index) == "TYPE" {
            type = call.text(index + 1).lowercased()
        }
        let page = try scan(keys, call, from: 0) { key in type == nil || self[key]?.typeName == type }
        return .page(page)
    }

    private mutating func expire(_ call: FakeCall) throws(FakeFailure) -> RedisReply {
        guard call.arguments.count == 2 else { throw FakeFailure(text: "ERR Unsupported option \(call.text(2))") }
        let amount = try call.int(1)
        let moment: Int64
        switch call.name {
        case "EXPIRE": moment = now + amount * 1000
        case "PEXPIRE": moment = now + amount
        default: moment = amount
        }
        guard self[call.key] != nil else { return .integer(0) }
        if moment <= now { _ = remove(call.key) } else { setExpiry(call.key, moment) }
        return .integer(1)
    }

    private func timeToLive(_ call: FakeCall) -> RedisReply {
        guard self[call.key] != nil else { return .integer(-2) }
        guard let expiry = expiry(call.key) else { return .integer(-1) }
        return .integer(call.name == "TTL" ? (expiry - now + 500) / 1000 : expiry - now)
    }

    // MARK: strings

    mutating func executeString(_ call: FakeCall) throws(FakeFailure) -> RedisReply? {
        switch call.name {
        case "GET": return .optional(try string(call.key))
        case "MGET":
            return .array(
                call.arguments.map { key in
                    if case .string(let bytes)? = self[key] { .bulk(bytes) } else { .null }
                })
        case "STRLEN": return .count(try string(call.key)?.count ?? 0)
        case "SET": return try set(call)
        case "SETNX":
            if self[call.key] != nil { return .integer(0) }
            self[call.key] = .string(call.arguments[1])
            return .integer(1)
        case "GETDEL":
            let value = try string(call.key)
            _ = remove(call.key)
            return .optional(value)
        case "INCR": return try add(1, call)
        case "DECR": return try add(-1, call)
        case "INCRBY": return try add(try call.int(1), call)
        case "DECRBY":
            let amount = try call.int(1)
            if amount == .min { throw FakeFailure(text: "ERR decrement would overflow") }
            return try add(-amount, call)
        default: return nil
        }
    }

    func string(_ key: [UInt8]) throws(FakeFailure) -> [UInt8]? {
        guard let value = self[key] else { return nil }
        guard case .string(let bytes) = value else { throw .wrongType }
        return bytes
    }

    private mutating func add(_ amount: Int64, _ call: FakeCall) throws(FakeFailure) -> RedisReply {
        let bytes = try string(call.key) ?? [UInt8(ascii: "0")]
        guard let old = FakeCall.int(bytes) else { throw .notInteger }
        let (sum, overflow) = old.addingReportingOverflow(amount)
        if overflow { throw .overflow }
        self[call.key] = .string(Array(String(sum).utf8))
        return .integer(sum)
    }

    private mutating func set(_ call: FakeCall) throws(FakeFailure) -> RedisReply {
        var expiry: Int64?
        var condition: String?
        var keeps = false
        var answersOld = false
        var index = 2
        while index < call.arguments.count {
            let option = call.option(index)
            switch option {
            case "NX" where condition == nil, "XX" where condition == nil: condition = option
            case "KEEPTTL" where expiry == nil: keeps = true
            case "GET": answersOld = true
            case "EX" where expiry == nil && !keeps, "PX" where expiry == nil && !keeps,
                "PXAT" where expiry == nil && !keeps:
                index += 1
                guard index < call.arguments.count else { throw .syntax }
                let amount = try call.int(index)
                if amount <= 0 { throw FakeFailure(text: "ERR invalid expire time in 'set' command") }
                expiry = option == "EX" ? now + amount * 1000 : option == "PX" ? now + amount : amount
            default: throw .syntax
            }
            index += 1
        }
        let old: RedisReply = answersOld ? .optional(try string(call.key)) : .null
        let exists = self[call.key] != nil
        if condition == "NX" && exists || condition == "XX" && !exists { return old }
        let kept = self.expiry(call.key)
        self[call.key] = .string(call.arguments[1])
        setExpiry(call.key, keeps ? kept : expiry)
        return answersOld ? old : .ok
    }
}
