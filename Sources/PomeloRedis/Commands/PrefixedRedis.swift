// SPDX-License-Identifier: MIT
public import PomeloLoop

/// A part of another port's keys and channels: those that begin with a prefix, which nobody who uses it sees.
///
/// - Guarantee: every key of every command, script and transaction, and every channel, has the prefix in Redis; keys
///   and channels that replies name come back without it. What a script makes of its arguments is left as it is. A
///   command whose keys are not known, or that is about all keys, is refused before anything is sent.
@Loop public final class PrefixedRedis: RedisPort, RedisMessages {
    private let port: any RedisPort
    private let messages: (any RedisMessages)?
    private let prefix: KeyPrefix

    /// The part of `port`, and of `messages` when it also delivers some; a text without blanks, braces and wildcards.
    public convenience init(_ port: any RedisPort, messages: (any RedisMessages)? = nil, prefix: String) {
        precondition(RedisConfiguration.isKeyPrefix(prefix), "a key prefix must be \(RedisConfiguration.keyPrefixForm)")
        self.init(port, messages: messages, prefix: KeyPrefix(prefix))
    }

    /// With a prefix whose form was looked at, or whose port is never started.
    init(_ port: any RedisPort, messages: (any RedisMessages)? = nil, prefix: KeyPrefix) {
        self.port = port
        self.messages = messages
        self.prefix = prefix
    }

    /// Whether the port accepts commands now.
    public var isUp: Bool { port.isUp }
    /// The run id of the port's server.
    public var runID: String { port.runID }
    /// Whether the port's keys are divided into slots.
    public var isCluster: Bool { port.isCluster }
    /// The port's nodes, each with this prefix.
    public var nodes: [any RedisPort] { port.nodes.map { PrefixedRedis($0, prefix: prefix) } }

    /// Sends commands together.
    ///
    /// - Complexity: as the port's.
    /// - Throws: as the port; `.refused` for a command that is not possible with a prefix, and then nothing was sent.
    public func pipeline(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        prefix.removed(from: try await port.pipeline(try applied(commands)), of: commands)
    }

    /// Executes commands at once.
    ///
    /// - Throws: as `pipeline`.
    public func transaction(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        prefix.removed(from: try await port.transaction(try applied(commands)), of: commands)
    }

    /// Sends commands, scripts and transactions together.
    ///
    /// - Throws: as `pipeline`.
    public func execute(_ steps: [RedisStep]) async throws(RedisError) -> [RedisReply] {
        var inside: [RedisStep] = []
        for step in steps {
            switch step {
            case .command(let command):
                inside.append(.command(try prefix.applied(to: command)))
            case .script(let script, let keys, let args):
                inside.append(.script(script, keys: keys.map { prefix.text + $0 }, args: args))
            case .transaction(let commands):
                inside.append(.transaction(try applied(commands)))
            }
        }
        return zip(steps, try await port.execute(inside)).map { step, reply in
            switch step {
            case .command(let command): prefix.removed(from: reply, of: command)
            case .script: reply
            case .transaction(let commands):
                reply.array.map { .array(prefix.removed(from: $0, of: commands)) } ?? reply
            }
        }
    }

    /// Calls a script, whose keys have the prefix.
    ///
    /// - Throws: as the port.
    public func run(
        _ script: RedisScript, keys: [String], args: [RedisArgument]
    ) async throws(RedisError) -> RedisReply {
        try await port.run(script, keys: keys.map { prefix.text + $0 }, args: args)
    }

    /// Calls back at every `up` and `down` of the port.
    @discardableResult
    public func observe(_ handler: @escaping @Loop (RedisEvent) -> Void) -> RedisObservation { port.observe(handler) }

    /// Forgets an observer; one already forgotten is ignored.
    public func unobserve(_ observation: RedisObservation) { port.unobserve(observation) }

    private func applied(_ commands: [RedisCommand]) throws(RedisError) -> [RedisCommand] {
        var inside: [RedisCommand] = []
        inside.reserveCapacity(commands.count)
        for command in commands { inside.append(try prefix.applied(to: command)) }
        return inside
    }

    // MARK: messages

    /// Calls `handler` for each message published to the channel of this part.
    ///
    /// - Throws: as the port that delivers messages; `.closed` when none was given.
    public func subscribe(
        _ channel: String, _ handler: @escaping @Loop ([UInt8]) -> Void
    ) async throws(RedisError) {
        guard let messages else { throw .closed }
        try await messages.subscribe(prefix.text + channel, handler)
    }

    /// Stops calling the channel's handler at once; an unknown channel is ignored.
    public func unsubscribe(_ channel: String) { messages?.unsubscribe(prefix.text + channel) }
}
