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

    /// Sends the steps together, as `pipeline` does.
    ///
    /// - Complexity: one round trip; one more when the server has forgotten a script, which is run last then.
    /// - Throws: as `pipeline`.
    public func execute(_ steps: [RedisStep]) async throws(RedisError) -> [RedisReply] {
        try await execute(steps, asking: false)
    }

    /// Sends the steps, or some of them, together; with `asking`, to a node that a slot is on its way to.
    func execute(_ steps: [RedisStep], at some: [Int]? = nil, asking: Bool) async throws(RedisError) -> [RedisReply] {
        let batch = WireBatch(steps, at: some, asking: asking) { scripts.knownDigest(of: $0) }
        var replies = batch.replies(try await inParts(batch))
        scripts.note(batch.given)
        guard replies.hasErrors else { return replies }
        let forgotten = replies.indices.filter {
            // In the server's own words: a script of that error has been executed.
            replies[$0].isError && replies[$0].errorText?.hasPrefix("NOSCRIPT No matching script") == true
                && batch.step($0).isScript
        }
        if forgotten.isEmpty { return replies }
        let again = WireBatch(forgotten.map { batch.step($0) }, asking: asking) { _ in nil }
        do throws(RedisError) {
            for (index, reply) in zip(forgotten, again.replies(try await inParts(again))) { replies[index] = reply }
        } catch {
            throw replies.count == forgotten.count ? error : error.afterOthers
        }
        return replies
    }

    /// Inlined, as `exchange`.
    @inline(__always)
    func inParts(_ batch: WireBatch) async throws(RedisError) -> [RedisReply] {
        let load = CommandLoad(batch.commands[...])
        if load.fits(in: bounds.half) || batch.lengths.count == 1 { return try await exchange(batch.commands, load) }
        return try await inSeveralParts(batch)
    }

    private func inSeveralParts(_ batch: WireBatch) async throws(RedisError) -> [RedisReply] {
        var replies: [RedisReply] = []
        replies.reserveCapacity(batch.commands.count)
        var step = 0
        while step < batch.lengths.count {
            let many = batch.steps(from: step, at: replies.count, within: bounds.half.half)
            let length = batch.lengths[step..<(step + many)].reduce(0, +)
            let part = batch.commands[replies.count..<(replies.count + length)]
            do throws(RedisError) {
                replies += try await exchange(Array(part), CommandLoad(part), as: step == 0 ? .caller : .part)
            } catch {
                throw replies.isEmpty ? error : error.afterOthers
            }
            step += many
        }
        return replies
    }

    // MARK: observers

    /// Calls back at every later `up` and `down` of this connection.
    @discardableResult
    public func observe(_ handler: @escaping @Loop (RedisEvent) -> Void) -> RedisObservation { observers.add(handler) }

    /// Forgets an observer; one already forgotten is ignored.
    public func unobserve(_ observation: RedisObservation) { observers.remove(observation) }
}
