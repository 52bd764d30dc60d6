// SPDX-License-Identifier: MIT
//
// PomeloRedis: a Redis client on the loop, over hiredis.
// Reading order: RedisConfiguration, RedisCommand, RedisReply, RedisError, RedisPort; then RedisClient,
// RedisConnection, RedisConnection+Lifecycle, RedisHandshake, PendingCommands, RedisSubscriptions; RedisSocket is the
// rim to C.
public import Logging
public import PomeloLoop
public import PomeloUV

/// One connection that is made again whenever it is lost.
///
/// - Guarantee: every call ends exactly once, at the latest after the command timeout; a command is never sent twice.
@Loop public final class RedisConnection: RedisPort {
    /// Where to connect, and the bounds.
    public let configuration: RedisConfiguration
    /// Shown by `CLIENT LIST` and in logs.
    public let name: String
    /// Whether the handshake is done and commands are accepted.
    public internal(set) var isUp = false
    /// The run id of the server connected to last; empty when it does not tell.
    public internal(set) var runID = ""

    let resolver: Resolver
    let random: RandomSource
    let clock = SystemClock.shared
    var logger: Logger
    private let observers = RedisObservers()
    private var pending = PendingCommands()
    private var sweep: TimerID?
    private var digests: [String: String] = [:]

    // The life of the connection: RedisConnection+Lifecycle.swift.
    var phase = Phase.idle
    var socket: RedisSocket?
    var isOpen = false
    var opening: CheckedContinuation<SocketEnd?, Never>?
    var losing: CheckedContinuation<Void, Never>?
    var end: SocketEnd?
    var starters: [CheckedContinuation<RedisError?, Never>] = []
    var lastFailure: RedisError?
    var life: Task<Void, Never>?
    /// Receives the messages of a subscribed connection; without it, everything received is a reply.
    var onMessage: (@Loop (_ channel: String, _ payload: [UInt8]) -> Void)?

    enum Phase { case idle, running, stopping, stopped }

    /// Does nothing until `start`.
    public init(
        _ configuration: RedisConfiguration, name: String = "pomelo", resolver: Resolver = Resolver(),
        random: RandomSource = RandomSource(), logger: Logger = Logger(label: "pomelo.redis")
    ) {
        self.configuration = configuration
        self.name = name
        self.resolver = resolver
        self.random = random
        self.logger = logger
        self.logger[metadataKey: "redis.connection"] = "\(name)"
    }

    /// `redis at host:port`, the beginning of every message.
    var place: String { "redis at \(configuration.host):\(configuration.port)" }

    /// Why a command cannot be sent now.
    var away: RedisError { lastFailure.flatMap(\.asNotSent) ?? .connection("\(place) is not connected") }

    /// Commands sent and not yet answered.
    public var pendingCommands: Int { pending.count }

    // MARK: commands

    /// Sends commands together, in the order of the calls.
    ///
    /// - Complexity: one round trip.
    /// - Throws: `RedisError`: `.connection` when there is none or it broke, `.timeout`, `.overloaded`, `.closed`,
    ///   `.protocolError`; a command's own error is an `.error` reply.
    public func pipeline(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        try await exchange(commands, shakingHands: false)
    }

    func exchange(_ commands: [RedisCommand], shakingHands: Bool) async throws(RedisError) -> [RedisReply] {
        if commands.isEmpty { return [] }
        // REENTRANCY: a task without executor preference may be suspended before the body of the continuation runs,
        // so all is decided in there.
        let outcome = await withCheckedContinuation { waiter in
            dispatch(commands, shakingHands, waiter)
        }
        return try outcome.get()
    }

    private func refusal(of count: Int, _ shakingHands: Bool) -> RedisError? {
        if phase != .running { return .closed }
        if !isUp, !shakingHands { return away }
        if end != nil { return loss(maybeExecuted: false) }
        let limit = configuration.maxPendingCommands
        return pending.count + count > limit ? .overloaded(limit: limit) : nil
    }

    private func dispatch(
        _ commands: [RedisCommand], _ shakingHands: Bool, _ waiter: CheckedContinuation<PendingBatch.Outcome, Never>
    ) {
        if let refusal = refusal(of: commands.count, shakingHands) {
            return waiter.resume(returning: .failure(refusal))
        }
        guard let socket else { return waiter.resume(returning: .failure(away)) }
        let deadline = clock.deadline(after: configuration.commandTimeout)
        pending.append(
            PendingBatch(
                expected: commands.count, deadline: deadline, repliesBefore: pending.repliesSeen, waiter: waiter))
        for command in commands { socket.send(command) }
        if sweep == nil { armSweep(at: deadline) }
    }

    /// Calls a script by the digest the server gave for it, or by its text when the server has forgotten it.
    ///
    /// - Complexity: one round trip; one more for the first call of a script, and for one that was forgotten.
    /// - Throws: `RedisError`; an error of the script as `.reply`.
    public func run(
        _ script: RedisScript, keys: [String], args: [RedisArgument]
    ) async throws(RedisError) -> RedisReply {
        let digest = try await digest(of: script)
        let rest = [RedisArgument.number(keys.count)] + keys.map(RedisArgument.text) + args
        let called = try await pipeline([RedisCommand("EVALSHA", arguments: [.text(digest)] + rest)])
        guard let reply = called.first else { throw .protocolError("no reply") }
        guard let text = reply.errorText, text.hasPrefix("NOSCRIPT") else { return try reply.get() }
        // A new or flushed server; EVAL also makes it remember.
        return try await send(RedisCommand("EVAL", arguments: [.text(script.source)] + rest))
    }

    private func digest(of script: RedisScript) async throws(RedisError) -> String {
        if let known = digests[script.source] { return known }
        guard let digest = try await send(RedisCommand("SCRIPT", "LOAD", script.source)).string else {
            throw .protocolError("SCRIPT LOAD without a digest")
        }
        digests[script.source] = digest
        return digest
    }

    // MARK: observers

    /// Calls back at every later `up` and `down` of this connection.
    @discardableResult
    public func observe(_ handler: @escaping @Loop (RedisEvent) -> Void) -> RedisObservation { observers.add(handler) }

    /// Forgets an observer; one already forgotten is ignored.
    public func unobserve(_ observation: RedisObservation) { observers.remove(observation) }

    func becameUp(reconnected: Bool) {
        isUp = true
        observers.tell(.up(runID: runID, reconnected: reconnected))
    }

    func becameDown(_ reason: String) { observers.tell(.down(reason)) }

    // MARK: deadlines

    /// One timer for all commands: armed for the oldest, and again when it has fired.
    ///
    /// What is overdue gets one more poll before it fails: after a long turn of the loop itself, the replies may have
    /// been waiting in the socket all the time.
    private func armSweep(at deadline: UInt64) {
        sweep = clock.schedule(at: deadline) { [weak self] in
            guard let self else { return }
            let due = clock.now
            sweep = clock.schedule(after: .milliseconds(1)) { [weak self] in self?.expire(due) }
        }
    }

    private func expire(_ due: UInt64) {
        sweep = nil
        let milliseconds = Int(configuration.commandTimeout.clampedMilliseconds)
        if pending.expire(now: due, .timeout(milliseconds: milliseconds)) {
            reset("no answer for \(milliseconds) ms")
        }
        if let next = pending.nextDeadline { armSweep(at: next) }
    }

    /// Gives this connection up and makes a new one; commands without a reply fail.
    func reset(_ reason: String, _ cause: SocketEnd.Cause = .network) {
        guard let socket, end == nil else { return }
        ending(SocketEnd(cause: cause, text: reason))
        socket.close()
    }

    /// The error of a command that the present end has kept from its reply, or from being sent.
    private func loss(maybeExecuted: Bool) -> RedisError {
        guard let end else { return .connection("\(place) is not connected") }
        let text = "\(place): connection lost: \(end.text)"
        return end.cause == .malformed ? .protocolError(text) : .connection(text, maybeExecuted: maybeExecuted)
    }

    /// The first end counts: what follows is its echo.
    private func ending(_ end: SocketEnd) {
        guard self.end == nil else { return }
        self.end = end
        isUp = false
        if let sweep { clock.cancel(sweep) }
        sweep = nil
        pending.failAll(loss(maybeExecuted: true))
        opening?.resume(returning: end)
        opening = nil
        losing?.resume()
        losing = nil
    }
}

extension RedisConnection: RedisSocketOwner {
    func socketDidOpen() {
        isOpen = true
        opening?.resume(returning: nil)
        opening = nil
    }

    func socketDidReceive(_ reply: RedisReply) {
        if let onMessage, let (channel, payload) = reply.message { return onMessage(channel, payload) }
        guard pending.receive(reply) else {
            let text = reply.errorText ?? "a reply to nothing"
            return reset(text, reply.errorText == nil ? .malformed : .network)
        }
        // The server has become a replica: only a new connection can reach its successor.
        if case .error(let text) = reply, text.hasPrefix("READONLY") { reset(text) }
    }

    func socketDidEnd(_ end: SocketEnd) { ending(end) }
}

extension RedisError {
    /// The same reason for a command that was never sent.
    fileprivate var asNotSent: RedisError? {
        switch self {
        case .connection(let text, _), .reply(let text), .protocolError(let text): .connection(text)
        case .timeout, .overloaded, .closed: nil
        }
    }
}

extension RedisReply {
    /// Channel and payload of what a subscribed connection receives unasked.
    fileprivate var message: (String, [UInt8])? {
        guard case .array(let parts) = self, parts.count == 3, parts[0] == .text("message"),
            let channel = parts[1].string, let payload = parts[2].bytes
        else { return nil }
        return (channel, payload)
    }
}
