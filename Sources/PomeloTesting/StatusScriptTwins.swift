// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloRedis
import PomeloStatus

extension FakeRedis {
    /// Teaches this server the scripts of the status store.
    public func registerStatusScripts() {
        let twins = ["status.claim": StatusScriptTwins.claim, "status.release": StatusScriptTwins.release]
        for script in RedisStatusStore.scripts {
            if let twin = twins[script.name] { register(script: script, twin: twin) }
        }
    }
}

/// The scripts of PomeloStatus/Scripts once more, line by line, in Swift; a test holds each to its original.
@Loop private enum StatusScriptTwins {
    static func claim(
        _ redis: FakeRedisCommands, _ keys: [String], _ args: [String]
    ) throws(RedisError) -> RedisReply {
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
        let held = try redis(RedisCommand("HMGET", keys[0], "sid", "inst")).array ?? []
        guard held[0].string == args[0], args[1] == "*" || held[1].string == args[1] else { return .integer(0) }
        try redis(RedisCommand("UNLINK", keys[0]))
        return .integer(1)
    }
}
