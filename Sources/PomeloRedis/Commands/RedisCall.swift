// SPDX-License-Identifier: MIT

/// A type that a reply can be read as.
public protocol RedisReplyDecodable {
    /// Reads a reply that is no error; nil when it is something else than this.
    init?(redis reply: RedisReply)
}

/// A step of a batch and the type of its reply.
///
/// ```
/// let (name, visits) = try await redis.pipeline(
///     RedisCommand("GET", "name").returning(String?.self), RedisCommand("INCR", "visits").returning(Int.self))
/// print(try name.get() ?? "nobody", try visits.get())
/// ```
public struct RedisCall<Reply: RedisReplyDecodable>: Sendable {
    /// What is sent.
    public let step: RedisStep

    /// A step whose reply is to be read as this type.
    public init(_ step: RedisStep, returning type: Reply.Type = Reply.self) { self.step = step }

    /// Reads the step's reply.
    ///
    /// - Throws: `.reply` with the server's own error; `.protocolError` when the reply is something else.
    func value(of reply: RedisReply) -> Result<Reply, RedisError> {
        if let text = reply.errorText { return .failure(.reply(text)) }
        guard let value = Reply(redis: reply) else {
            return .failure(.protocolError("\(step.title) did not answer with \(Reply.self)"))
        }
        return .success(value)
    }
}

extension RedisCommand {
    /// The command, its reply read as a type.
    public func returning<Reply>(_ type: Reply.Type) -> RedisCall<Reply> { RedisCall(.command(self)) }
}

extension RedisScript {
    /// A call of the script, its reply read as a type.
    public func call<Reply>(
        keys: [String], args: [RedisArgument] = [], returning type: Reply.Type
    ) -> RedisCall<Reply> { RedisCall(.script(self, keys: keys, args: args)) }
}

extension RedisPort {
    /// Sends one call, and reads its reply.
    ///
    /// - Complexity: one round trip.
    /// - Throws: `RedisError`: `.reply` with the server's own error, `.protocolError` for a reply of another type.
    public func call<Reply>(_ call: RedisCall<Reply>) async throws(RedisError) -> Reply {
        guard let reply = try await execute([call.step]).first else { throw .protocolError("no reply") }
        return try call.value(of: reply).get()
    }

    /// Sends calls together, and reads each reply as its type; each has its own outcome.
    ///
    /// - Complexity: one round trip.
    /// - Throws: as `execute`, when there are no replies at all.
    public func pipeline<each Reply: RedisReplyDecodable>(
        _ calls: repeat RedisCall<each Reply>
    ) async throws(RedisError) -> (repeat Result<each Reply, RedisError>) {
        var steps: [RedisStep] = []
        for call in repeat each calls { steps.append(call.step) }
        var replies = try await execute(steps)[...]
        return (repeat (each calls).value(of: replies.popFirst() ?? .error("no reply")))
    }

    /// Sends any number of calls of one type together, and reads each reply.
    ///
    /// - Complexity: one round trip.
    /// - Throws: as `execute`, when there are no replies at all.
    public func pipeline<Reply>(
        _ calls: [RedisCall<Reply>]
    ) async throws(RedisError) -> [Result<Reply, RedisError>] {
        let replies = try await execute(calls.map(\.step))
        return zip(calls, replies).map { $0.value(of: $1) }
    }
}

extension RedisReply: RedisReplyDecodable {
    /// The reply itself.
    public init(redis reply: RedisReply) { self = reply }
}

extension String: RedisReplyDecodable {
    /// The text of a status or bulk reply; malformed UTF-8 is repaired.
    public init?(redis reply: RedisReply) {
        guard let text = reply.string else { return nil }
        self = text
    }
}

extension Int: RedisReplyDecodable {
    /// An integer, or a text of decimal digits.
    public init?(redis reply: RedisReply) {
        guard let number = reply.int else { return nil }
        self = number
    }
}

extension Double: RedisReplyDecodable {
    /// A text that is a number, as scores are.
    public init?(redis reply: RedisReply) {
        guard let number = reply.string.flatMap(Double.init) else { return nil }
        self = number
    }
}

extension Bool: RedisReplyDecodable {
    /// True for 1 and `OK`, false for 0 and for nothing, as SET with NX answers.
    public init?(redis reply: RedisReply) {
        switch reply {
        case .integer(0), .null: self = false
        case .integer(1), .status("OK"): self = true
        default: return nil
        }
    }
}

extension Optional: RedisReplyDecodable where Wrapped: RedisReplyDecodable {
    /// Nil for nothing.
    public init?(redis reply: RedisReply) {
        if reply == .null {
            self = .none
        } else if let value = Wrapped(redis: reply) {
            self = .some(value)
        } else {
            return nil
        }
    }
}

extension Array: RedisReplyDecodable where Element: RedisReplyDecodable {
    /// An array of such; for `[UInt8]` the bytes of a bulk reply.
    public init?(redis reply: RedisReply) {
        if let bytes = reply.bytes as? [Element] {
            self = bytes
            return
        }
        guard let replies = reply.array else { return nil }
        let elements = replies.compactMap { Element(redis: $0) }
        guard elements.count == replies.count else { return nil }
        self = elements
    }
}

extension UInt8: RedisReplyDecodable {
    /// A number that fits.
    public init?(redis reply: RedisReply) {
        guard let number = reply.int.flatMap(UInt8.init(exactly:)) else { return nil }
        self = number
    }
}
