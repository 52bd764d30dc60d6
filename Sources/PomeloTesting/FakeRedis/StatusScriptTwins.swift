// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloRedis
import PomeloStatus

extension FakeRedis {
    /// Teaches this server the scripts of the status store.
    public func registerStatusScripts() {
        let twins = [
            "status.claim": StatusScriptTwins.claim, "status.publish": StatusScriptTwins.publish,
            "status.release": StatusScriptTwins.release, "status.remove": StatusScriptTwins.remove,
            "status.unbind": StatusScriptTwins.unbind, "status.name": StatusScriptTwins.name,
        ]
        for script in RedisStatusStore.scripts {
            if let twin = twins[script.name] { register(script: script, twin: twin) }
        }
    }
}

/// The scripts of PomeloStatus/Scripts once more, line by line, in Swift; a test holds each to its original.
@Loop private enum StatusScriptTwins {
    static func publish(
        _ redis: FakeRedisCommands, _ keys: [String], _ args: [String]
    ) throws(RedisError) -> RedisReply {
        let (mark, written) = try LeaseMark.read(redis, keys[0], "status")
        if let mark, mark != args[0] { return .array([.integer(0), .text(mark)]) }

        let online = args.count - 3
        if online > 0 { try redis(RedisCommand("SADD", keys[2]).appending(Array(args[3...]))) }
        var failure: RedisError?
        for (index, key) in keys.dropFirst(3).enumerated() {
            do throws(RedisError) {
                try redis(RedisCommand(index < online ? "SADD" : "SREM", key, args[2]))
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        let revoked = try redis(RedisCommand("SSCAN", keys[1], "0", "COUNT", 500)).array?.last?.array ?? []
        if args[1] == "" { return .array([.integer(1), written] + revoked) }
        let count = try redis(RedisCommand("SCARD", keys[2])).int ?? 0
        try redis(RedisCommand("HSET", keys[0], "status", "\(args[0])/\(args[1])", "users", count))
        return .array([.integer(1), written] + revoked)
    }

    static func claim(
        _ redis: FakeRedisCommands, _ keys: [String], _ args: [String]
    ) throws(RedisError) -> RedisReply {
        if keys.count > 1 {
            if let mark = try LeaseMark.read(redis, keys[1], "status").mark, mark != args[1] {
                return .array([.integer(-1), .text(mark)])
            }
            try redis(RedisCommand("SADD", keys[2], args[4]))
        }
        let held = try redis(RedisCommand("HMGET", keys[0], "sid", "inst", "session", "tok")).array ?? []
        let isOurs = held.prefix(3).map(\.string) == args.prefix(3).map(Optional.some)
        if !held[0].isNull, !isOurs, held[3].string != args[3] {
            return .array([.integer(0), held[3], held[0], held[1], held[2]])
        }

        let time = try redis(RedisCommand("TIME")).array?.compactMap(\.int) ?? []
        let token = max(time[0] * 1_000_000 + time[1], (held[3].int ?? 0) + 1)
        try redis(
            RedisCommand("HSET", keys[0], "sid", args[0], "inst", args[1], "session", args[2], "tok", token))
        return .array([.integer(1), .text(String(token))])
    }

    static func release(
        _ redis: FakeRedisCommands, _ keys: [String], _ args: [String]
    ) throws(RedisError) -> RedisReply {
        let (mark, written) = try LeaseMark.read(redis, keys[0], "status")
        var removed: Int64 = 0
        for key in keys.dropFirst(2) {
            let held = try redis(RedisCommand("HMGET", key, "sid", "inst")).array ?? []
            guard held[0].string == args[0], held[1].string == args[1] || mark == args[1] else { continue }
            removed += Int64(try redis(RedisCommand("UNLINK", key)).int ?? 0)
        }
        if let mark, mark != args[1] { return .integer(removed) }
        if args.count > 2 { try redis(RedisCommand("SREM", keys[1]).appending(Array(args[2...]))) }
        if !written.isNull {
            let count = try redis(RedisCommand("SCARD", keys[1])).int ?? 0
            try redis(RedisCommand("HSET", keys[0], "users", count))
        }
        return .integer(removed)
    }

    static func remove(
        _ redis: FakeRedisCommands, _ keys: [String], _ args: [String]
    ) throws(RedisError) -> RedisReply {
        let mark = try LeaseMark.read(redis, keys[0], "status").mark
        if let mark, mark != args[1] { return .array([.integer(0), .text(mark)]) }
        for (index, uid) in args.dropFirst(2).enumerated() {
            if keys.count > 3 {
                let (bind, status) = (keys[3 + 2 * index], keys[4 + 2 * index])
                let held = try redis(RedisCommand("HMGET", bind, "sid", "inst")).array ?? []
                if held[0].string == args[0], mark != nil || held[1].string == args[1] {
                    try redis(RedisCommand("UNLINK", bind))
                }
                try redis(RedisCommand("SREM", status, args[0]))
            }
            try redis(RedisCommand("SREM", keys[2], uid))
        }
        try redis(RedisCommand("UNLINK", keys[1]))
        return .array([.integer(1)])
    }

    static func name(
        _ redis: FakeRedisCommands, _ keys: [String], _ args: [String]
    ) throws(RedisError) -> RedisReply {
        let lease = try redis(RedisCommand("HMGET", keys[0], "inst", "status")).array ?? []
        if lease.allSatisfy(\.isNull) { return .integer(0) }
        for uid in args.dropFirst() where try redis(RedisCommand("SADD", keys[1], uid)).int == 1 {
            try redis(RedisCommand("SADD", keys[2], uid))
            try redis(RedisCommand("PEXPIRE", keys[2], args[0]))
        }
        return .integer(1)
    }

    static func unbind(
        _ redis: FakeRedisCommands, _ keys: [String], _ args: [String]
    ) throws(RedisError) -> RedisReply {
        let held = try redis(RedisCommand("HMGET", keys[0], "sid", "inst")).array ?? []
        if held[0].string != args[0] { return .text("") }
        if held[1].string != args[1] { return .text(held[1].string ?? "") }
        try redis(RedisCommand("UNLINK", keys[0]))
        return .text("")
    }
}
