// SPDX-License-Identifier: MIT
public import PomeloLoop
public import PomeloRedis

/// What a script's twin may call: commands that are executed at once.
@Loop public struct FakeRedisCommands {
    private let server: FakeRedis
    private let node: Int
    /// Those the script names.
    private let keys: Set<[UInt8]>

    init(_ server: FakeRedis, _ keys: [String], at node: Int) {
        self.server = server
        self.node = node
        self.keys = Set(keys.map { Array($0.utf8) })
    }

    /// Executes a command; as with `redis.call`, an error ends the script, and what it wrote before stays.
    ///
    /// - Throws: `.reply` with the text of the error; in a cluster also for a key that the script does not name.
    @discardableResult
    public func callAsFunction(_ command: RedisCommand) throws(RedisError) -> RedisReply {
        if server.isCluster, let key = command.keys?.first(where: { !keys.contains($0.utf8) }) {
            let name = String(decoding: key.utf8, as: UTF8.self)
            throw .reply("ERR Script attempted to access a key that it does not name: \(name)")
        }
        return try server.execute(command, at: node).get()
    }
}

extension FakeRedis {
    /// The commands it executes, MULTI, EXEC and DISCARD apart.
    public nonisolated static var commandNames: Set<String> { Set(FakeRedisState.commands.keys) }
}

extension FakeRedisState {
    /// One row of the table of commands.
    struct Command: Sendable {
        typealias Body = @Sendable (inout FakeRedisState, Words) throws -> RedisReply

        let arity: ClosedRange<Int>
        let body: Body

        /// `count` is that of the arguments, the name apart.
        init(_ count: Int, _ body: @escaping Body) {
            arity = count...count
            self.body = body
        }

        init(atLeast count: Int, _ body: @escaping Body) {
            arity = count...Int.max
            self.body = body
        }
    }

    static let commands: [String: Command] = [
        keyCommands, stringCommands, hashCommands, setCommands, sortedSetCommands, streamCommands,
    ].reduce(into: [:]) { all, some in all.merge(some) { first, _ in first } }

    /// Executes one command at the instant `now`.
    mutating func execute(_ command: RedisCommand) -> RedisReply {
        do {
            return try Self.row(of: command).body(&self, Words(command))
        } catch let refusal as Refusal {
            return .error(refusal.text)
        } catch {
            return .error("ERR \(error)")
        }
    }

    /// The command's row, when it has as many arguments as that demands.
    static func row(of command: RedisCommand) throws(Refusal) -> Command {
        guard let row = commands[command.name.uppercased()] else {
            let args = command.arguments.map { "'\(String(decoding: $0.utf8, as: UTF8.self))' " }.joined()
            throw Refusal("ERR unknown command '\(command.name)', with args beginning with: \(args)")
        }
        guard row.arity.contains(command.arguments.count) else { throw .arity(command.name) }
        return row
    }
}

extension FakeRedisState {
    /// The arguments of one command.
    struct Words {
        let all: [Word]

        init(_ command: RedisCommand) { all = command.arguments.map(\.utf8) }

        var count: Int { all.count }
        subscript(index: Int) -> Word { all[index] }
        func from(_ index: Int) -> ArraySlice<Word> { all[min(index, all.count)...] }

        /// For options, which are known in small and capital letters.
        func option(_ index: Int) -> String { String(decoding: all[index], as: UTF8.self).uppercased() }

        /// The argument of an option.
        func integer(after index: Int) throws(Refusal) -> Int64 {
            guard index + 1 < all.count else { throw .syntax }
            return try integer(index + 1)
        }

        func integer(_ index: Int) throws(Refusal) -> Int64 {
            guard let number = FakeRedisState.integer(all[index]) else { throw .notInteger }
            return number
        }

        /// Field and value, score and member, …, from one index on.
        func pairs(from start: Int) -> [(Word, Word)] {
            stride(from: start, to: all.count - 1, by: 2).map { (all[$0], all[$0 + 1]) }
        }
    }

    /// Redis reads an integer only as it would write it.
    static func integer(_ word: Word) -> Int64? {
        let text = String(decoding: word, as: UTF8.self)
        guard let number = Int64(text), String(number) == text else { return nil }
        return number
    }
}

extension RedisReply {
    /// An integer reply.
    static func count(_ count: Int) -> RedisReply { .integer(Int64(count)) }

    /// Bulk replies in an array.
    static func list(_ words: some Sequence<[UInt8]>) -> RedisReply { .array(words.map { .bulk($0) }) }

    /// 1 or 0.
    static func flag(_ isTrue: Bool) -> RedisReply { .integer(isTrue ? 1 : 0) }
}

/// MULTI, EXEC and DISCARD among the commands that one client sends together.
struct FakeRedisTransaction {
    /// Why a node does not execute what has these keys.
    let refusal: ([RedisArgument]) -> String?
    private var queued: [RedisCommand]?
    private var isRefused = false

    init(_ refusal: @escaping ([RedisArgument]) -> String?) { self.refusal = refusal }

    /// Executes a command, or queues it.
    mutating func take(_ command: RedisCommand, _ execute: (RedisCommand) -> RedisReply) -> RedisReply {
        switch (command.name.uppercased(), queued) {
        case ("MULTI", nil):
            queued = []
            isRefused = false
            return .status("OK")
        case ("MULTI", _): return .error("ERR MULTI calls can not be nested")
        case ("EXEC", nil), ("DISCARD", nil):
            return .error("ERR \(command.name.uppercased()) without MULTI")
        case ("DISCARD", _):
            queued = nil
            return .status("OK")
        case ("EXEC", let commands?):
            queued = nil
            if isRefused { return .error("EXECABORT Transaction discarded because of previous errors.") }
            if let text = refusal(commands.flatMap { $0.keys ?? [] }) { return .error(text) }
            return .array(commands.map(execute))
        case (_, nil): return execute(command)
        case (_, let commands?):
            do throws(FakeRedisState.Refusal) {
                _ = try FakeRedisState.row(of: command)
            } catch {
                isRefused = true
                return .error(error.text)
            }
            if let text = refusal(command.keys ?? []) {
                isRefused = true
                return .error(text)
            }
            queued = commands + [command]
            return .status("QUEUED")
        }
    }
}
