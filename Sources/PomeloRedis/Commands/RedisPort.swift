// SPDX-License-Identifier: MIT
public import PomeloLoop

/// What happens to a connection.
public enum RedisEvent: Sendable, Equatable {
    /// Commands are accepted; another run id than before means another server process, whose data may be older.
    case up(runID: String, reconnected: Bool)
    /// Commands fail at once until the next `up`; the text says why.
    case down(String)
}

/// A handle to one observer; see `RedisPort.observe`.
public struct RedisObservation: Sendable, Hashable {
    private let number: Int

    /// A handle with a number that its port has not given before.
    public init(number: Int) { self.number = number }
}

/// Something that executes Redis commands: a connection, a client, or a server in memory.
@Loop public protocol RedisPort: AnyObject {
    /// Whether commands are accepted now.
    var isUp: Bool { get }
    /// The run id of the server connected to last, another one after each of its starts; empty when it does not tell.
    var runID: String { get }
    /// Whether keys are divided into slots: those of one script or transaction must share one.
    var isCluster: Bool { get }
    /// The servers that have a part of the keys each, for walks over all of them; this port itself when it has them
    /// all. Known once the port is up.
    var nodes: [any RedisPort] { get }

    /// Sends the commands together and returns their replies in order; a command's own error is an `.error` reply.
    ///
    /// - Complexity: one round trip.
    /// - Throws: `RedisError` when there is no reply; then none, some or all commands may have been executed, as its
    ///   `maybeExecuted` says.
    func pipeline(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply]

    /// Sends one command; its error reply is thrown as `.reply`.
    @discardableResult
    func send(_ command: RedisCommand) async throws(RedisError) -> RedisReply

    /// Executes all commands at once, with nothing of others in between; returns their replies.
    ///
    /// - Complexity: one round trip.
    /// - Throws: `.reply` when the server refused a command before executing any.
    func transaction(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply]

    /// Sends commands, scripts and transactions together and returns one reply for each, in order.
    ///
    /// - Complexity: one round trip, for ports that have a way to send a batch.
    /// - Throws: as `pipeline`.
    func execute(_ steps: [RedisStep]) async throws(RedisError) -> [RedisReply]

    /// Calls a script by its digest, and sends its text only when the server does not know it.
    func run(_ script: RedisScript, keys: [String], args: [RedisArgument]) async throws(RedisError) -> RedisReply

    /// Calls `handler` at every later `up` and `down`, outside any callback from C.
    @discardableResult
    func observe(_ handler: @escaping @Loop (RedisEvent) -> Void) -> RedisObservation

    /// Forgets an observer; one already forgotten is ignored.
    func unobserve(_ observation: RedisObservation)
}

extension RedisPort {
    /// Does not tell.
    public var runID: String { "" }
    /// All keys are in one place.
    public var isCluster: Bool { false }
    /// This port itself.
    public var nodes: [any RedisPort] { [self] }

    /// Sends one command as a pipeline of one.
    @discardableResult
    public func send(_ command: RedisCommand) async throws(RedisError) -> RedisReply {
        guard let reply = try await pipeline([command]).first else { throw .protocolError("no reply") }
        return try reply.get()
    }

    /// Sends the commands between MULTI and EXEC, as one pipeline.
    public func transaction(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        if commands.isEmpty { return [] }
        let replies = try await pipeline([RedisCommand("MULTI")] + commands + [RedisCommand("EXEC")])
        switch replies.last {
        case .array(let results):
            return results
        case .error(let text):
            throw .reply(replies.lazy.compactMap(\.errorText).first ?? text)
        default:
            throw .protocolError("EXEC without results")
        }
    }
}

/// Something that delivers messages published to channels.
@Loop public protocol RedisMessages: AnyObject {
    /// Calls `handler` for each message published to the channel from now on; a second call replaces the handler.
    ///
    /// - Guarantee: at most once, in the order of publication; after a loss of the connection the channel is subscribed
    ///   again and the gap is told.
    /// - Throws: `RedisError` when the server did not confirm in time; then nothing is subscribed.
    func subscribe(_ channel: String, _ handler: @escaping @Loop ([UInt8]) -> Void) async throws(RedisError)

    /// Stops calling the handler at once; an unknown channel is ignored.
    func unsubscribe(_ channel: String)
}

/// The observers of one port, called in the order they came.
@Loop public final class RedisObservers {
    private var handlers: [(id: RedisObservation, handler: @Loop (RedisEvent) -> Void)] = []
    private var last = 0

    /// Observed by nobody.
    public init() {}

    /// Adds an observer.
    public func add(_ handler: @escaping @Loop (RedisEvent) -> Void) -> RedisObservation {
        last += 1
        let id = RedisObservation(number: last)
        handlers.append((id, handler))
        return id
    }

    /// Forgets an observer.
    public func remove(_ id: RedisObservation) { handlers.removeAll { $0.id == id } }

    /// Calls those present now; one that leaves meanwhile is still called for this event.
    public func tell(_ event: RedisEvent) {
        for (_, handler) in handlers { handler(event) }
    }
}
