// SPDX-License-Identifier: MIT

/// One part of a batch, with one reply.
public enum RedisStep: Sendable, Hashable {
    /// A command; its own error is an `.error` reply.
    case command(RedisCommand)
    /// A script; an error of it is an `.error` reply that names its line.
    case script(RedisScript, keys: [String], args: [RedisArgument])
    /// Commands that are executed at once; the reply is an array of theirs, or the `.error` for which none was.
    case transaction([RedisCommand])

    /// The keys of all its commands; nil when a command is not known and did not say them.
    public var keys: [RedisArgument]? {
        switch self {
        case .command(let command): command.keys
        case .script(_, let keys, _): keys.map { .text($0) }
        case .transaction(let commands):
            commands.reduce(into: []) { keys, command in
                keys = command.keys.flatMap { more in keys.map { $0 + more } }
            }
        }
    }

    /// For messages: the name of its command, or what it is.
    var title: String {
        switch self {
        case .command(let command): command.name
        case .script(let script, _, _): "script \(script.name)"
        case .transaction: "a transaction"
        }
    }
}

extension RedisPort {
    /// Sends the steps one after the other, commands that follow each other together.
    ///
    /// For ports that have no way of their own to send a batch.
    public func execute(_ steps: [RedisStep]) async throws(RedisError) -> [RedisReply] {
        var replies: [RedisReply] = []
        do throws(RedisError) {
            var rest = steps[...]
            while let step = rest.first {
                let commands = rest.prefix { $0.command != nil }.compactMap(\.command)
                rest = rest.dropFirst(max(1, commands.count))
                if commands.isEmpty {
                    replies.append(try await reply(to: step))
                } else {
                    replies += try await pipeline(commands)
                }
            }
        } catch {
            throw replies.isEmpty ? error : error.afterOthers
        }
        return replies
    }

    private func reply(to step: RedisStep) async throws(RedisError) -> RedisReply {
        do throws(RedisError) {
            switch step {
            case .command(let command): return try await send(command)
            case .script(let script, let keys, let args): return try await run(script, keys: keys, args: args)
            case .transaction(let commands): return .array(try await transaction(commands))
            }
        } catch .reply(let text) {
            return .error(text)
        }
    }
}

extension RedisStep {
    fileprivate var command: RedisCommand? {
        if case .command(let command) = self { command } else { nil }
    }
}
