// SPDX-License-Identifier: MIT
//
// PomeloRedis: a Redis client on the loop, over hiredis.
// Reading order: RedisConfiguration, RedisCommand, RedisReply, RedisError, RedisPort, RedisScan; then RedisClient,
// RedisConnection, RedisConnection+Lifecycle, RedisHandshake, PendingCommands, RedisSubscriptions;
// RedisSocket is the rim to C.
public import Logging
import PomeloBytes
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

    let locator: any RedisLocator
    let resolver: Resolver
    let random: RandomSource
    let clock: any LoopClock
    var logger: Logger
    private let observers = RedisObservers()
    private var pending = PendingCommands()
    private var sweep: TimerID?
    /// How many long batches are under way.
    private var batchesInParts = 0
    private var digests: [String: String] = [:]

    // The life of the connection: RedisConnection+Lifecycle.swift.
    var phase = Phase.idle
    /// Where the last attempt went.
    var located: SocketAddress?
    var socket: RedisSocket?
    var dial: Dial?
    var isShakingHands = false
    /// When a server was there last that could not be used yet.
    var lastSign: UInt64?
    var losing: CheckedContinuation<Void, Never>?
    var end: SocketEnd?
    var starters: [RedisStarter] = []
    var lastFailure: RedisError?
    var life: Task<Void, Never>?
    /// Receives the messages of a subscribed connection; without it, everything received is a reply.
    var onMessage: (@Loop (_ channel: String, _ payload: [UInt8]) -> Void)?

    enum Phase { case idle, running, stopping, stopped }

    /// Does nothing until `start`.
    public convenience init(
        _ configuration: RedisConfiguration, name: String = "pomelo", resolver: Resolver = Resolver(),
        random: RandomSource = RandomSource(), logger: Logger = Logger(label: "pomelo.redis")
    ) {
        self.init(
            configuration, locator: configuration.topology.locator(), name: name, resolver: resolver,
            random: random, logger: logger, clock: SystemClock.shared)
    }

    init(
        _ configuration: RedisConfiguration, locator: any RedisLocator, name: String, resolver: Resolver,
        random: RandomSource, logger: Logger, clock: any LoopClock
    ) {
        self.configuration = configuration
        self.locator = locator
        self.clock = clock
        self.name = name
        self.resolver = resolver
        self.random = random
        self.logger = logger
        self.logger[metadataKey: "redis.connection"] = "\(name)"
    }

    /// `redis at host:port`, the beginning of every message.
    var place: String { located.map { "redis at \($0)" } ?? locator.description }

    /// Why a command cannot be sent now.
    var away: RedisError { lastFailure.flatMap(\.asNotSent) ?? .connection("\(place) is not connected") }

    // MARK: commands

    /// Sends commands together, in the order of the calls; those of others do not come between.
    ///
    /// A batch that is more than half of what may wait is sent in parts, each when the one before is answered; between
    /// them others may come, and each has the command timeout, the wait for room included. A transaction is never cut.
    ///
    /// - Complexity: one round trip; one a part.
    /// - Throws: `RedisError`: `.connection` when there is none or it broke, `.timeout`, `.overloaded`, `.closed`,
    ///   `.protocolError`; a command's own error is an `.error` reply.
    public func pipeline(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        let load = CommandLoad(commands)
        if load.fits(in: bounds.half) || commands.first?.name == "MULTI" {
            return try await exchange(commands, load)
        }
        return try await pipelineInParts(commands)
    }

    private func pipelineInParts(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        let limit = configuration.commandTimeout
        var replies: [RedisReply] = []
        replies.reserveCapacity(commands.count)
        var deadline = clock.deadline(after: limit)
        batchesInParts += 1
        defer { batchesInParts -= 1 }
        while replies.count < commands.count {
            let rest = commands[replies.count...]
            // What others leave, so that they and the batch go on side by side.
            let room = bounds.half.half.least(bounds - waiting)
            let part = Array(rest.prefix(room.holds(rest)))
            do throws(RedisError) {
                replies += try await exchange(part, CommandLoad(part), as: .part)
                deadline = clock.deadline(after: limit)
            } catch .overloaded where clock.now < deadline && !Task.isCancelled {
                // Its turn comes: nobody else takes the room that is kept for parts.
                await clock.sleep(for: .milliseconds(5))
            } catch {
                throw replies.isEmpty ? error : error.afterOthers
            }
        }
        return replies
    }

    /// Why commands are sent, which decides how much may wait before them.
    enum Purpose { case caller, part, handshake }

    func exchange(
        _ commands: [RedisCommand], _ load: CommandLoad, as purpose: Purpose = .caller
    ) async throws(RedisError) -> [RedisReply] {
        if commands.isEmpty { return [] }
        // REENTRANCY: a task without executor preference may be suspended before the body of the continuation runs,
        // so all is decided in there.
        let outcome = await withCheckedContinuation { waiter in
            dispatch(commands, load, purpose, waiter)
        }
        var replies = try outcome.get()
        // Redis does not always name the command that a user has no right to.
        for (index, reply) in replies.enumerated() where reply.errorCode == "NOPERM" {
            let user = configuration.username ?? "default"
            let what = "NOPERM \(commands[index].name) is not allowed to the redis user \"\(user)\""
            replies[index] = .error("\(what): \(reply.errorText ?? "")")
        }
        return replies
    }

    private var bounds: CommandLoad {
        CommandLoad(count: configuration.maxPendingCommands, bytes: configuration.maxPendingBytes)
    }

    private var waiting: CommandLoad { CommandLoad(count: pending.count, bytes: pending.bytes) }

    private func refusal(of load: CommandLoad, _ purpose: Purpose) -> RedisError? {
        if phase != .running { return .closed }
        if !isUp, purpose != .handshake { return away }
        if end != nil { return loss(maybeExecuted: false) }
        // While batches go on in parts, a quarter is kept for them: others would fill each place as it becomes free.
        let isKept = batchesInParts > 0 && purpose == .caller
        let bounds = isKept ? self.bounds - self.bounds.half.half : self.bounds
        // What cannot be cut may be longer than the bound: it passes while at most half of that waits.
        if (waiting + load).fits(in: bounds) || !load.fits(in: bounds.half) && waiting.fits(in: bounds.half) {
            return nil
        }
        return waiting.count + load.count > bounds.count
            ? .overloaded(limit: self.bounds.count)
            : .overloaded(limit: self.bounds.bytes, key: "maxPendingBytes")
    }

    private func dispatch(
        _ commands: [RedisCommand], _ load: CommandLoad, _ purpose: Purpose,
        _ waiter: CheckedContinuation<PendingBatch.Outcome, Never>
    ) {
        if let refusal = refusal(of: load, purpose) {
            return waiter.resume(returning: .failure(refusal))
        }
        guard let socket else { return waiter.resume(returning: .failure(away)) }
        let deadline = clock.deadline(after: configuration.commandTimeout)
        pending.append(
            PendingBatch(load, deadline: deadline, repliesBefore: pending.repliesSeen, waiter: waiter))
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
        guard var reply = called.first else { throw .protocolError("no reply") }
        if reply.errorCode == "NOSCRIPT" {
            // A new or flushed server; EVAL also makes it remember.
            let again = try await pipeline([RedisCommand("EVAL", arguments: [.text(script.source)] + rest)])
            guard let answer = again.first else { throw .protocolError("no reply") }
            reply = answer
        }
        if let text = reply.errorText { throw .reply("\(text) (\(script.place(of: text)))") }
        return reply
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

    /// One timer for all commands: armed for the oldest, and again when it has fired; none while nobody waits.
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

    private func disarmSweep() {
        if let sweep { clock.cancel(sweep) }
        sweep = nil
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
        disarmSweep()
        pending.failAll(loss(maybeExecuted: true))
        losing?.resume()
        losing = nil
    }
}

extension RedisConnection: RedisSocketOwner {
    func socketDidReceive(_ reply: RedisReply) {
        if let onMessage, let (channel, payload) = reply.message { return onMessage(channel, payload) }
        guard pending.receive(reply) else {
            let text = reply.errorText ?? "a reply to nothing"
            return reset(text, reply.errorText == nil ? .malformed : .network)
        }
        if pending.count == 0 { disarmSweep() }
        // The server has become a replica, or has lost its data: only a new connection can reach its successor. A
        // handshake judges for itself.
        if isUp, let code = reply.errorCode, RedisError.lostServer.contains(Text(code)) {
            reset(reply.errorText ?? code)
        }
    }

    func socketDidEnd(_ end: SocketEnd) { ending(end) }
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
