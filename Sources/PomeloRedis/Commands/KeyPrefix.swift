// SPDX-License-Identifier: MIT
import PomeloBytes

/// What stands before every key and channel in Redis, and before none outside: so applications share one Redis.
///
/// Pure: commands and replies in, commands and replies out. A script's keys have it; what a script makes of its
/// arguments does not.
struct KeyPrefix: Sendable, Hashable {
    let text: String
    private let bytes: [UInt8]

    /// Without braces and wildcards, so that it changes neither slots nor what a pattern matches.
    init(_ text: String) {
        self.text = text
        bytes = Array(text.utf8)
    }

    // MARK: commands

    /// The command with the prefix before its keys, channels and patterns of both.
    ///
    /// - Throws: `.refused` for a command whose keys nobody knows, or that is about all keys.
    func applied(to command: RedisCommand) throws(RedisError) -> RedisCommand {
        let name = command.name.uppercased()
        var arguments = command.arguments
        if Self.ofAll.contains(name) {
            throw .refused("\(name) is about keys of others too, and there is a key prefix")
        }
        if name == "SCAN", Self.patterns(arguments).isEmpty { arguments += [.text("MATCH"), .text("*")] }
        if name == "PUBSUB", arguments.count == 1, Self.word(arguments[0]).hasSuffix("CHANNELS") {
            arguments.append(.text("*"))
        }
        guard let positions = positions(name, arguments, command.keyPositions) else {
            throw .refused("which arguments of \(name) are keys is not known, and there is a key prefix")
        }
        for position in positions where arguments.indices.contains(position) {
            arguments[position] = applied(to: arguments[position])
        }
        return RedisCommand(command.name, arguments: arguments, keyPositions: command.keyPositions)
    }

    func applied(to argument: RedisArgument) -> RedisArgument {
        switch argument {
        case .text(let key): .text(text + key)
        case .number(let key): .text(text + String(key))
        case .bytes(let key): .bytes(bytes + key)
        }
    }

    /// Commands that reach all keys of a database or a server, other databases or their keys, or tell of them.
    private static let ofAll: Set = [
        "CLUSTER", "DBSIZE", "DEBUG", "FAILOVER", "FLUSHALL", "FLUSHDB", "MONITOR", "PSYNC", "RANDOMKEY", "REPLICAOF",
        "RESET", "SELECT", "SHUTDOWN", "SLAVEOF", "SLOWLOG", "SWAPDB", "SYNC",
    ]

    private func positions(_ name: String, _ arguments: [RedisArgument], _ said: [Int]?) -> [Int]? {
        if let said { return said }
        switch name {
        case "KEYS", "PUBLISH":
            return [0]
        case "SUBSCRIBE", "UNSUBSCRIBE", "PSUBSCRIBE", "PUNSUBSCRIBE":
            return Array(arguments.indices)
        case "PUBSUB":
            return Array(arguments.indices.dropFirst())
        case "SCAN":
            return Self.patterns(arguments)
        case "SORT", "SORT_RO":
            return Self.sorted(arguments)
        case "CLIENT":
            guard let verb = arguments.first, Self.word(verb) == "TRACKING" else { return [] }
            return CommandKeys.options(arguments, from: 2, ["PREFIX": 1, "REDIRECT": 1])
                .filter { $0.word == "PREFIX" }.map { $0.at + 1 }
        default:
            return CommandKeys.positions(name, arguments)
        }
    }

    /// The key, the target, and the patterns of other keys: a BY without a `*` and `GET #` name none.
    private static func sorted(_ arguments: [RedisArgument]) -> [Int] {
        [0]
            + CommandKeys.options(arguments, from: 1, CommandKeys.sortOptions).compactMap { word, at in
                guard at + 1 < arguments.count else { return nil }
                let value = arguments[at + 1].utf8
                return switch word {
                case "BY": value.contains(UInt8(ascii: "*")) ? at + 1 : nil
                case "GET": value != [UInt8(ascii: "#")] ? at + 1 : nil
                case "STORE": at + 1
                default: nil
                }
            }
    }

    /// What follows each MATCH of a SCAN: all its options have a value.
    private static func patterns(_ arguments: [RedisArgument]) -> [Int] {
        stride(from: 1, to: arguments.count, by: 2).filter { word(arguments[$0]) == "MATCH" }.map { $0 + 1 }
    }

    private static func word(_ argument: RedisArgument) -> String {
        String(decoding: argument.utf8, as: UTF8.self).uppercased()
    }

    // MARK: replies

    /// The reply to a command without the prefix before the keys and channels that it names.
    func removed(from reply: RedisReply, of command: RedisCommand) -> RedisReply {
        guard case .array(var parts) = reply else { return reply }
        switch command.name.uppercased() {
        case "KEYS":
            parts = parts.map(removed)
        case "SCAN":
            if parts.count == 2, let keys = parts[1].array { parts[1] = .array(keys.map(removed)) }
        case "XREAD", "XREADGROUP":
            parts = parts.map { stream in
                guard case .array(var stream) = stream, !stream.isEmpty else { return stream }
                stream[0] = removed(from: stream[0])
                return .array(stream)
            }
        case "BLPOP", "BRPOP", "BZPOPMIN", "BZPOPMAX", "LMPOP", "BLMPOP", "ZMPOP", "BZMPOP":
            if !parts.isEmpty { parts[0] = removed(from: parts[0]) }
        case "SUBSCRIBE", "UNSUBSCRIBE", "PSUBSCRIBE", "PUNSUBSCRIBE", "SSUBSCRIBE", "SUNSUBSCRIBE":
            if parts.count == 3 { parts[1] = removed(from: parts[1]) }
        case "PUBSUB":
            // Of NUMSUB every other one is a number, which has no prefix.
            parts = parts.map(removed)
        default:
            return reply
        }
        return .array(parts)
    }

    /// The replies to commands that were sent together, among which there may be MULTI and EXEC.
    func removed(from replies: [RedisReply], of commands: [RedisCommand]) -> [RedisReply] {
        var queued: [RedisCommand]?
        return zip(commands, replies).map { command, reply in
            switch command.name.uppercased() {
            case "MULTI":
                queued = []
                return reply
            case "EXEC", "DISCARD":
                defer { queued = nil }
                guard let queued, case .array(let results) = reply, results.count == queued.count else { return reply }
                return .array(zip(queued, results).map { removed(from: $1, of: $0) })
            default:
                queued?.append(command)
                return removed(from: reply, of: command)
            }
        }
    }

    /// A key or channel as it is called outside.
    func removed(from key: String) -> String {
        guard key.utf8.starts(with: bytes) else { return key }
        return String(decoding: key.utf8.dropFirst(bytes.count), as: UTF8.self)
    }

    private func removed(from reply: RedisReply) -> RedisReply {
        guard case .bulk(let key) = reply, key.starts(with: bytes) else { return reply }
        return .bulk(Array(key.dropFirst(bytes.count)))
    }
}
