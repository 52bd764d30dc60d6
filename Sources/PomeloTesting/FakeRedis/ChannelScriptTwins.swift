// SPDX-License-Identifier: MIT
import PomeloGlobalChannel
import PomeloLoop
import PomeloRedis

extension FakeRedis {
    /// Teaches this server the scripts of the channel store.
    public func registerChannelScripts() {
        let twins = ["channel.publish": ChannelScriptTwins.publish, "channel.remove": ChannelScriptTwins.remove]
        for script in RedisChannelStore.scripts {
            if let twin = twins[script.name] { register(script: script, twin: twin) }
        }
    }
}

/// What the scripts of published state have in common.
@Loop enum LeaseMark {
    /// The instance whose state it is, by `inst` or else by a field of `<instance>/<sequence>`; and that field.
    static func read(
        _ redis: FakeRedisCommands, _ lease: String, _ field: String
    ) throws(RedisError) -> (mark: String?, written: RedisReply) {
        let held = try redis(RedisCommand("HMGET", lease, "inst", field)).array ?? [.null, .null]
        if let mark = held[0].string { return (mark, held[1]) }
        guard let text = held[1].string, let slash = text.utf8.lastIndex(of: UInt8(ascii: "/")) else {
            return (nil, held[1])
        }
        return (String(text[..<slash]), held[1])
    }
}

/// The scripts of PomeloGlobalChannel/Scripts once more, line by line, in Swift; a test holds each to its original.
@Loop private enum ChannelScriptTwins {
    static func publish(
        _ redis: FakeRedisCommands, _ keys: [String], _ args: [String]
    ) throws(RedisError) -> RedisReply {
        let (mark, written) = try LeaseMark.read(redis, keys[0], "seq")
        if let mark, mark != args[0] { return .array([.integer(0), .text(mark)]) }

        var failure: RedisError?
        func call(_ command: RedisCommand) -> RedisReply {
            do throws(RedisError) {
                return try redis(command)
            } catch {
                failure = error
                return .null
            }
        }
        var reply: [RedisReply] = [.integer(1), written]
        var at = 2
        func each(_ command: String, _ key: String, _ count: Int) {
            if count > 0 { _ = call(RedisCommand(command, key).appending(Array(args[at..<at + count]))) }
            at += count
        }
        for key in keys.dropFirst(2) {
            let (name, replaces, ends) = (args[at], args[at + 1] == "1", args[at + 2] == "1")
            let (added, removed) = (Int(args[at + 3]) ?? 0, Int(args[at + 4]) ?? 0)
            at += 5
            if replaces { try redis(RedisCommand("UNLINK", key)) }
            if added > 0 { try redis(RedisCommand("SADD", keys[1], name)) }
            each("SADD", key, added)
            each("SREM", key, removed)
            reply.append(call(RedisCommand("SCARD", key)))
            if ends {
                try redis(RedisCommand("UNLINK", key))
                try redis(RedisCommand("SREM", keys[1], name))
            }
        }
        if let failure { throw failure }
        let count = try redis(RedisCommand("SCARD", keys[1])).int ?? 0
        try redis(RedisCommand("HSET", keys[0], "seq", "\(args[0])/\(args[1])", "channels", count))
        return .array(reply)
    }

    static func remove(
        _ redis: FakeRedisCommands, _ keys: [String], _ args: [String]
    ) throws(RedisError) -> RedisReply {
        if let mark = try LeaseMark.read(redis, keys[0], "seq").mark, mark != args[0] {
            return .array([.integer(0), .text(mark)])
        }
        for (key, name) in zip(keys.dropFirst(2), args.dropFirst()) {
            try redis(RedisCommand("UNLINK", key))
            try redis(RedisCommand("SREM", keys[1], name))
        }
        return .array([.integer(1)])
    }
}
