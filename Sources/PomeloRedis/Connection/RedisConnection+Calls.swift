// SPDX-License-Identifier: MIT
import PomeloLoop

// What a port has that sends steps.

extension RedisConnection {
    /// Sends the commands between MULTI and EXEC.
    ///
    /// - Throws: `.reply` when the server refused a command before executing any.
    public func transaction(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        if commands.isEmpty { return [] }
        let reply = try await execute([.transaction(commands)]).first?.get()
        guard let results = reply?.array else { throw .protocolError("EXEC without results") }
        return results
    }

    /// Calls a script by its digest, or by its text when the server does not know it yet.
    ///
    /// - Complexity: one round trip; one more when the server has forgotten it.
    /// - Throws: `RedisError`; an error of the script as `.reply`.
    public func run(
        _ script: RedisScript, keys: [String], args: [RedisArgument]
    ) async throws(RedisError) -> RedisReply {
        let replies = try await execute([.script(script, keys: keys, args: args)])
        guard let reply = replies.first else { throw .protocolError("no reply") }
        return try reply.get()
    }

    // MARK: observers

    /// Calls back at every later `up` and `down` of this connection.
    @discardableResult
    public func observe(_ handler: @escaping @Loop (RedisEvent) -> Void) -> RedisObservation { observers.add(handler) }

    /// Forgets an observer; one already forgotten is ignored.
    public func unobserve(_ observation: RedisObservation) { observers.remove(observation) }
}
