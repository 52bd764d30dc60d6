// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCluster
import PomeloJSON
import PomeloLoop
import PomeloRedis

extension FakeRedis {
    /// Teaches this server the scripts of the cluster's registry.
    public func registerClusterScripts() {
        register(script: ClusterScripts.put, twin: ClusterScriptTwins.put)
        register(script: ClusterScripts.renew, twin: ClusterScriptTwins.renew)
        register(script: ClusterScripts.claim, twin: ClusterScriptTwins.claim)
        register(script: ClusterScripts.remove, twin: ClusterScriptTwins.remove)
        register(script: ClusterScripts.gone, twin: ClusterScriptTwins.gone)
        register(script: ClusterScripts.look, twin: ClusterScriptTwins.look)
        register(script: ClusterScripts.view, twin: ClusterScriptTwins.view)
        register(script: ClusterScripts.revisit, twin: ClusterScriptTwins.revisit)
        register(script: ClusterScripts.begin, twin: ClusterScriptTwins.begin)
        register(script: ClusterScripts.proceed, twin: ClusterScriptTwins.proceed)
        register(script: ClusterScripts.finish, twin: ClusterScriptTwins.finish)
        register(script: ClusterScripts.stand, twin: ClusterScriptTwins.stand)
        register(script: ClusterScripts.resign, twin: ClusterScriptTwins.resign)
    }
}

/// The scripts of PomeloCluster/Scripts once more, line by line, in Swift; a test holds each to its original.
@Loop private enum ClusterScriptTwins {
    static func put(
        _ redis: FakeRedisCommands, _ keys: [String], _ args: [String]
    ) throws(RedisError) -> RedisReply {
        let current = try redis(RedisCommand("HGET", keys[0], args[0])).string
        let holder = current.map(instance) ?? ""
        if holder != "", holder != args[2], holder != args[3] {
            return .array([.integer(0), .text(current ?? ""), .text(holder)])
        }
        if let current, args[5] == "missing" { return .array([.integer(0), .text(current), .text(holder)]) }

        let now = try now(redis)
        let end = now + (Int(args[4]) ?? 0)
        try redis(RedisCommand("SET", keys[6], now, "NX"))
        try redis(RedisCommand("ZADD", keys[1], end, args[0]))
        try redis(RedisCommand("SADD", keys[4], args[0]))
        if current == args[1] { return .array([.integer(1), .integer(try epoch(redis, keys[2]))]) }

        try redis(RedisCommand("HSET", keys[0], args[0], args[1]))
        let epoch = try redis(RedisCommand("INCR", keys[2])).int ?? 0
        try redis(
            RedisCommand(
                "XADD", keys[3], "MAXLEN", "~", 10_000, "*", "e", epoch, "op", "put", "id", args[0],
                "inst", args[2], "entry", args[1]))
        try redis(RedisCommand("PUBLISH", keys[5], epoch))
        return .array([.integer(1), .integer(Int64(epoch))])
    }

    static func renew(
        _ redis: FakeRedisCommands, _ keys: [String], _ args: [String]
    ) throws(RedisError) -> RedisReply {
        let current = try redis(RedisCommand("HGET", keys[0], args[0])).string
        let holder = current.map(instance) ?? ""
        if holder == "" { return .text("missing") }
        if holder != args[2] { return .text("taken") }
        let end = try now(redis) + (Int(args[3]) ?? 0)
        try redis(RedisCommand("ZADD", keys[1], end, args[0]))
        return .text(current == args[1] ? "renewed" : "differs")
    }

    static func claim(
        _ redis: FakeRedisCommands, _ keys: [String], _ args: [String]
    ) throws(RedisError) -> RedisReply {
        if try redis(RedisCommand("HGET", keys[0], "inst")).string == args[0] { return .integer(1) }
        try redis(RedisCommand("DEL", keys[0]))
        try redis(RedisCommand("HSET", keys[0], "inst", args[0]))
        return .integer(0)
    }

    static func remove(
        _ redis: FakeRedisCommands, _ keys: [String], _ args: [String]
    ) throws(RedisError) -> RedisReply {
        let current = try redis(RedisCommand("HGET", keys[0], args[0])).string
        let holder = current.map(instance) ?? ""
        if holder != args[1] { return .integer(0) }

        let lease = try redis(RedisCommand("ZSCORE", keys[1], args[0])).string.flatMap(Double.init)
        if current == nil, lease == nil { return .integer(0) }
        if args[2] == "expired", let lease, try lease > Double(now(redis)) { return .integer(0) }

        try redis(RedisCommand("HDEL", keys[0], args[0]))
        try redis(RedisCommand("ZREM", keys[1], args[0]))
        let epoch = try redis(RedisCommand("INCR", keys[2])).int ?? 0
        try redis(
            RedisCommand(
                "XADD", keys[3], "MAXLEN", "~", 10_000, "*", "e", epoch, "op", "remove", "id", args[0],
                "inst", args[1], "reason", args[2]))
        try redis(RedisCommand("PUBLISH", keys[4], epoch))
        return .integer(1)
    }

    static func gone(
        _ redis: FakeRedisCommands, _ keys: [String], _ args: [String]
    ) throws(RedisError) -> RedisReply {
        if try redis(RedisCommand("HGET", keys[0], args[0])).string ?? "" != args[1] { return .integer(0) }
        guard let lease = try redis(RedisCommand("ZSCORE", keys[1], args[0])).string.flatMap(Double.init) else {
            return .integer(0)
        }
        return .integer(try lease > Double(now(redis)) ? 0 : 1)
    }

    static func look(
        _ redis: FakeRedisCommands, _ keys: [String], _ args: [String]
    ) throws(RedisError) -> RedisReply {
        let now = try now(redis)
        let ended = try redis(RedisCommand("ZRANGEBYSCORE", keys[0], "-inf", now, "LIMIT", 0, args[0]))
        return .array(
            [
                .integer(try epoch(redis, keys[1])), try redis(RedisCommand("ZCARD", keys[0])),
                try redis(RedisCommand("ZCOUNT", keys[0], "-inf", now)),
                .text(try redis(RedisCommand("GET", keys[2])).string ?? ""),
            ] + (ended.array ?? []))
    }

    static func view(
        _ redis: FakeRedisCommands, _ keys: [String], _ args: [String]
    ) throws(RedisError) -> RedisReply {
        let now = try now(redis)
        let last = try redis(RedisCommand("XREVRANGE", keys[3], "+", "-", "COUNT", 1)).array?.first?.array?.first
        let born = RedisReply.text(try redis(RedisCommand("GET", keys[4])).string ?? "")
        let leased = Set(try redis(RedisCommand("ZRANGE", keys[1], 0, -1)).strings ?? [])
        let entries = try redis(RedisCommand("HGETALL", keys[0])).array ?? []
        for index in stride(from: 0, to: entries.count, by: 2) {
            let id = entries[index].string ?? ""
            if leased.contains(id) { continue }
            try redis(RedisCommand("ZADD", keys[1], now + (Int(args[0]) ?? 0), id))
        }
        return .array([.integer(try epoch(redis, keys[2])), last ?? .text("0-0"), born] + entries)
    }

    static func revisit(
        _ redis: FakeRedisCommands, _ keys: [String], _ args: [String]
    ) throws(RedisError) -> RedisReply {
        var count: Int64 = 0
        for id in args {
            guard try redis(RedisCommand("HGET", keys[0], id)).isNull,
                try redis(RedisCommand("ZSCORE", keys[1], id)).isNull
            else { continue }
            count += Int64(try redis(RedisCommand("ZADD", keys[1], 0, id)).int ?? 0)
        }
        return .integer(count)
    }

    static func proceed(
        _ redis: FakeRedisCommands, _ keys: [String], _ args: [String]
    ) throws(RedisError) -> RedisReply {
        if try redis(RedisCommand("GET", keys[0])).string != args[0] { return .integer(0) }
        return try redis(RedisCommand("PEXPIRE", keys[0], args[1]))
    }

    static func begin(
        _ redis: FakeRedisCommands, _ keys: [String], _ args: [String]
    ) throws(RedisError) -> RedisReply {
        if try redis(RedisCommand("GET", keys[0])).string != args[0] { return .integer(0) }
        try redis(RedisCommand("HSET", keys[1], "inst", args[1]))
        return .integer(1)
    }

    static func finish(
        _ redis: FakeRedisCommands, _ keys: [String], _ args: [String]
    ) throws(RedisError) -> RedisReply {
        if try redis(RedisCommand("GET", keys[0])).string != args[0] { return .integer(0) }
        try redis(RedisCommand("DEL", keys[1]))
        if args[1] != "" { try redis(RedisCommand("HSET", keys[1], "inst", args[1])) }
        return try redis(RedisCommand("DEL", keys[0]))
    }

    static func stand(
        _ redis: FakeRedisCommands, _ keys: [String], _ args: [String]
    ) throws(RedisError) -> RedisReply {
        let fields = try redis(RedisCommand("HMGET", keys[0], "owner", "token")).array ?? []
        let owner = fields.first?.string
        var token = fields.last?.int ?? 0
        if let owner, owner != args[0] {
            let left = try redis(RedisCommand("PTTL", keys[0])).int ?? 0
            if left < 0 { try redis(RedisCommand("PEXPIRE", keys[0], args[1])) }
            return .array([.integer(0), .integer(Int64(token)), .text(owner)])
        }
        let known = try max(redis(RedisCommand("GET", keys[1])).int ?? 0, Int(args[2]) ?? 0)
        if owner == nil || token < known { token = try max(known + 1, now(redis)) }
        try redis(RedisCommand("HSET", keys[0], "owner", args[0], "token", token))
        try redis(RedisCommand("PEXPIRE", keys[0], args[1]))
        try redis(RedisCommand("SET", keys[1], token))
        return .array([.integer(1), .integer(Int64(token))])
    }

    static func resign(
        _ redis: FakeRedisCommands, _ keys: [String], _ args: [String]
    ) throws(RedisError) -> RedisReply {
        if try redis(RedisCommand("HGET", keys[0], "owner")).string != args[0] { return .integer(0) }
        return try redis(RedisCommand("DEL", keys[0]))
    }

    // MARK: what several of them do

    /// An entry that nobody can read holds nothing.
    private static func instance(_ text: String) -> String {
        do {
            return try JSON.parse(Bytes(text.utf8))["inst"]?.string ?? ""
        } catch {
            return ""
        }
    }

    /// Unix milliseconds.
    private static func now(_ redis: FakeRedisCommands) throws(RedisError) -> Int {
        let time = try redis(RedisCommand("TIME")).array?.compactMap(\.int) ?? []
        return time.count == 2 ? time[0] * 1000 + time[1] / 1000 : 0
    }

    private static func epoch(_ redis: FakeRedisCommands, _ key: String) throws(RedisError) -> Int64 {
        Int64(try redis(RedisCommand("GET", key)).int ?? 0)
    }
}
