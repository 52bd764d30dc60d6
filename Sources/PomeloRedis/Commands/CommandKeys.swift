// SPDX-License-Identifier: MIT
import PomeloBytes

/// Which arguments of a command are keys, by its name.
///
/// - Source: the answer of `COMMAND` of Redis 7.0 (first key, last key, step), and for commands that count their keys
///   https://redis.io/docs/latest/develop/reference/key-specs/; for those that have them among options `xreadGetKeys`,
///   `sortGetKeys`, `georadiusGetKeys` and `migrateGetKeys` of `src/db.c`.
enum CommandKeys {
    /// Positions count from 0 behind the command's name; a last one below 0 counts from behind the end.
    private enum Rule {
        case none
        case range(first: Int, last: Int, step: Int = 1)
        /// A number at `at` says how many follow it; `fixed` are keys too.
        case counted(at: Int, fixed: Int? = nil)
        /// The first half of what follows the option STREAMS.
        case streams
        /// The first, and the value of the last of some options, which begin at `from`.
        case stored(from: Int, options: [Text: Int], targets: Set<Text>)
        /// The third, or what follows the option KEYS when that is empty.
        case migrate
    }

    /// The positions of a command's keys; nil when nobody here knows the command.
    static func positions(_ name: String, _ arguments: [RedisArgument]) -> [Int]? {
        guard let rule = rules[Text(name.uppercased())] else { return nil }
        switch rule {
        case .none:
            return []
        case .range(let first, let last, let step):
            let end = last < 0 ? arguments.count + last : last
            return end < first || end >= arguments.count ? [] : Array(stride(from: first, through: end, by: step))
        case .counted(let at, let fixed):
            guard at < arguments.count, let many = number(arguments[at]), many >= 0 else { return fixed.map { [$0] } }
            let end = min(arguments.count, at + 1 + min(many, arguments.count))
            return (fixed.map { [$0] } ?? []) + Array((at + 1)..<max(at + 1, end))
        case .streams:
            let options = options(arguments, from: 0, ["BLOCK": 1, "COUNT": 1, "GROUP": 2], until: "STREAMS")
            guard let last = options.last, last.word == "STREAMS" else { return [] }
            let many = (arguments.count - last.at - 1) / 2
            return Array((last.at + 1)..<(last.at + 1 + many))
        case .stored(let from, let values, let targets):
            if arguments.isEmpty { return [] }
            let target = options(arguments, from: from, values).last { targets.contains(Text($0.word)) }
            return [0] + (target.map { [$0.at + 1] } ?? []).filter { $0 < arguments.count }
        case .migrate:
            guard arguments.count > 2 else { return [] }
            if !arguments[2].utf8.isEmpty { return [2] }
            let options = options(arguments, from: 5, ["AUTH": 1, "AUTH2": 2], until: "KEYS")
            guard let last = options.last, last.word == "KEYS" else { return [] }
            return Array((last.at + 1)..<arguments.count)
        }
    }

    /// Whether the first argument of a command, spelled in capitals, is its only key.
    static func isFirstAlone(_ name: String) -> Bool {
        if case .range(first: 0, last: 0, step: _)? = rules[Text(name)] { true } else { false }
    }

    /// The options of a command, each with as many values behind it as are told, none of any other: a value may be
    /// spelled like an option.
    static func options(
        _ arguments: [RedisArgument], from start: Int, _ values: [Text: Int], until end: String? = nil
    ) -> [(word: String, at: Int)] {
        var found: [(word: String, at: Int)] = []
        var at = start
        while at < arguments.count {
            let word = String(decoding: arguments[at].utf8, as: UTF8.self).uppercased()
            found.append((word, at))
            if word == end { break }
            at += 1 + (values[Text(word)] ?? 0)
        }
        return found
    }

    private static func number(_ argument: RedisArgument) -> Int? {
        if case .number(let number) = argument { return number }
        return Int(String(decoding: argument.utf8, as: UTF8.self))
    }

    /// How many values the options of SORT have.
    static let sortOptions: [Text: Int] = ["BY": 1, "GET": 1, "LIMIT": 2, "STORE": 1]

    private static let rules: [Text: Rule] = {
        var rules: [Text: Rule] = [:]
        func add(_ names: String, _ rule: Rule) {
            for name in names.split(whereSeparator: \.isWhitespace) { rules[Text(String(name))] = rule }
        }
        add(
            """
            ACL ASKING AUTH BGREWRITEAOF BGSAVE CLIENT CLUSTER COMMAND CONFIG DBSIZE DEBUG DISCARD ECHO EXEC FAILOVER
            FLUSHALL FLUSHDB FUNCTION HELLO INFO KEYS LASTSAVE LATENCY LOLWUT MODULE MONITOR MULTI PFSELFTEST PING
            PSUBSCRIBE PSYNC PUBLISH PUBSUB PUNSUBSCRIBE QUIT RANDOMKEY READONLY READWRITE REPLCONF REPLICAOF RESET ROLE
            SAVE SCAN SCRIPT SELECT SHUTDOWN SLAVEOF SLOWLOG SUBSCRIBE SWAPDB SYNC TIME UNSUBSCRIBE UNWATCH WAIT
            WAITAOF SENTINEL
            """, .none)
        add(
            """
            APPEND BITCOUNT BITFIELD BITFIELD_RO BITPOS DECR DECRBY DUMP EXPIRE EXPIREAT EXPIRETIME GEOADD GEODIST
            GEOHASH GEOPOS GEORADIUSBYMEMBER_RO GEORADIUS_RO GEOSEARCH GET GETBIT GETDEL GETEX GETRANGE GETSET HDEL
            HEXISTS HGET HGETALL HINCRBY HINCRBYFLOAT HKEYS HLEN HMGET HMSET HRANDFIELD HSCAN HSET HSETNX HSTRLEN HVALS
            INCR INCRBY INCRBYFLOAT LINDEX LINSERT LLEN LPOP LPOS LPUSH LPUSHX LRANGE LREM LSET LTRIM MOVE PERSIST
            PEXPIRE PEXPIREAT PEXPIRETIME PFADD PSETEX PTTL RESTORE RESTORE-ASKING RPOP RPUSH RPUSHX SADD SCARD SET
            SETBIT SETEX SETNX SETRANGE SISMEMBER SMEMBERS SMISMEMBER SPOP SPUBLISH SRANDMEMBER SREM SSCAN STRLEN SUBSTR
            TTL TYPE XACK XADD XAUTOCLAIM XCLAIM XDEL XLEN XPENDING XRANGE XREVRANGE XSETID XTRIM ZADD ZCARD ZCOUNT
            ZINCRBY ZLEXCOUNT ZMSCORE ZPOPMAX ZPOPMIN ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANK ZREM
            ZREMRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN
            ZSCORE SORT_RO HEXPIRE HEXPIREAT HEXPIRETIME HPERSIST HPEXPIRE HPEXPIREAT HPEXPIRETIME HPTTL HTTL HGETDEL
            HGETEX HSETEX
            """, .range(first: 0, last: 0))
        add(
            """
            DEL EXISTS MGET PFCOUNT PFMERGE SDIFF SDIFFSTORE SINTER SINTERSTORE SSUBSCRIBE SUNION SUNIONSTORE
            SUNSUBSCRIBE TOUCH UNLINK WATCH
            """, .range(first: 0, last: -1))
        add("MSET MSETNX", .range(first: 0, last: -1, step: 2))
        add("BLPOP BRPOP BZPOPMAX BZPOPMIN", .range(first: 0, last: -2))
        add(
            """
            BLMOVE BRPOPLPUSH COPY GEOSEARCHSTORE LCS LMOVE RENAME RENAMENX RPOPLPUSH SMOVE ZRANGESTORE
            """, .range(first: 0, last: 1))
        add("BITOP", .range(first: 1, last: -1))
        add("PFDEBUG MEMORY OBJECT XGROUP XINFO", .range(first: 1, last: 1))
        add("EVAL EVALSHA EVALSHA_RO EVAL_RO FCALL FCALL_RO BLMPOP BZMPOP", .counted(at: 1))
        add("LMPOP SINTERCARD ZDIFF ZINTER ZINTERCARD ZMPOP ZUNION", .counted(at: 0))
        add("ZDIFFSTORE ZINTERSTORE ZUNIONSTORE", .counted(at: 1, fixed: 0))
        add("XREAD XREADGROUP", .streams)
        add("SORT", .stored(from: 1, options: sortOptions, targets: ["STORE"]))
        let radius: [Text: Int] = ["COUNT": 1, "STORE": 1, "STOREDIST": 1]
        add("GEORADIUS", .stored(from: 5, options: radius, targets: ["STORE", "STOREDIST"]))
        add("GEORADIUSBYMEMBER", .stored(from: 4, options: radius, targets: ["STORE", "STOREDIST"]))
        add("MIGRATE", .migrate)
        return rules
    }()
}

extension RedisCommand {
    /// The arguments that are keys, in their order; nil for a command that is not known here and did not say them.
    public var keys: [RedisArgument]? {
        let positions = keyPositions ?? CommandKeys.positions(name, arguments)
        return positions?.filter(arguments.indices.contains).map { arguments[$0] }
    }
}
