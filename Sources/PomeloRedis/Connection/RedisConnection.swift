// SPDX-License-Identifier: MIT
//
// PomeloRedis: a Redis client on the loop, over hiredis.
// Reading order: Address/RedisTopology, RedisConfiguration; Commands/RedisCommand, CommandEncoding, RedisReply,
// RedisError, RedisPort, RedisStep, RedisCall, RedisScan; then RedisClient; Connection/RedisConnection, +Calls,
// +Lifecycle, RedisLocator, RedisHandshake, WireBatch, PendingCommands, WaitingLine, ReplyReader;
// Sentinel/SentinelLocator, SentinelQuestion, SentinelWatch; Messages/RedisSubscriptions, MessageLink,
// RedisMessageSequence; Health/RedisHealth, HealthMonitor; Cluster/RedisClusterPort, ClusterBatch, ClusterNodes,
// SlotSurvey. RedisSocket and ReplyReader are the rim to C.
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
    public var isUp: Bool { serves }
    /// The run id of the server connected to last; empty when it does not tell.
    public internal(set) var runID = ""

    /// As `isUp`: each command asks for it, and what other modules cannot see is not looked at for overlap.
    var serves = false
    /// Why nothing can be started with the configuration.
    let objection: RedisError?
    let locator: any RedisLocator
    let resolver: Resolver
    let random: RandomSource
    let clock: any LoopClock
    var logger: Logger
    /// False for one of several, whose first time is told by who has them all.
    var tellsOfStart = true
    private let meter: RedisMeter
    let observers = RedisObservers()
    private let pending = PendingCommands()
    private var sweep: TimerID?
    private let line = WaitingLine()
    let scripts = KnownScripts()
    /// It is asked whether it can still serve.
    var isInDoubt = false
    /// The command timeout, without a `Duration` to divide for each command.
    private let commandNanoseconds: UInt64

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
    /// The pause before the next attempt.
    var resting: Task<Void, Never>?
    /// Receives what a subscribed connection is told unasked, and says whether it was that; without it, everything
    /// received is a reply.
    var onPush: (@Loop (RedisPush) -> Bool)?

    enum Phase { case idle, running, stopping, stopped }

    /// Does nothing until `start`.
    public convenience init(
        _ configuration: RedisConfiguration, name: String = "pomelo", resolver: Resolver = Resolver(),
        random: RandomSource = RandomSource(), logger: Logger = Logger(label: "pomelo.redis")
    ) {
        let locator = configuration.locator(resolver, logger)
        self.init(
            configuration, locator: locator, name: name, resolver: resolver, random: random, logger: logger,
            clock: SystemClock.shared)
    }

    init(
        _ configuration: RedisConfiguration, locator: any RedisLocator, name: String, resolver: Resolver,
        random: RandomSource, logger: Logger, clock: any LoopClock
    ) {
        self.configuration = configuration
        objection = configuration.objection
        commandNanoseconds = min(configuration.commandTimeout.clampedNanoseconds, .max / 2)
        self.locator = locator
        self.clock = clock
        self.name = name
        self.resolver = resolver
        self.random = random
        self.logger = logger
        meter = RedisMeter(name)
        self.logger[metadataKey: "redis.connection"] = "\(name)"
    }

    /// `redis at host:port`, and where that was configured: the beginning of every message.
    var place: String { (located.map { "redis at \($0)" } ?? locator.description) + configuration.sourceNote }

    /// Why a command cannot be sent now.
    var away: RedisError { lastFailure.flatMap(\.asNotSent) ?? .connection("\(place) is not connected") }

    // MARK: commands

    /// Sends commands together, in the order of the calls; those of others do not come between.
    ///
    /// What finds no room among the commands that wait for their replies waits in a line, within the command timeout.
    /// A batch that is more than half of what may wait is sent in parts, each when the one before is answered; between
    /// them others may come, and each has the command timeout. A transaction is never cut.
    ///
    /// - Complexity: one round trip; one a part.
    /// - Throws: `RedisError`: `.connection` when there is none or it broke, `.timeout`, `.overloaded`, `.closed`,
    ///   `.protocolError`; a command's own error is an `.error` reply.
    public func pipeline(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        let load = CommandLoad(commands[...])
        if load.fits(in: bounds.half) || commands.contains(where: { $0.name.uppercased() == "MULTI" }) {
            return try await exchange(commands, load)
        }
        return try await inParts(WireBatch(commands.map { .command($0) }) { _ in nil })
    }

    /// Sends one command; its error reply is thrown as `.reply`.
    ///
    /// - Throws: as `pipeline`.
    @discardableResult
    @inline(__always)
    public func send(_ command: RedisCommand) async throws(RedisError) -> RedisReply {
        let replies = try await exchange([command], CommandLoad(count: 1, bytes: command.size))
        return try replies[0].get()
    }

    /// Why commands are sent: a handshake goes before everybody, and the later parts of a batch may always wait.
    enum Purpose { case caller, part, handshake }

    /// Inlined: each function that waits costs a look for the executor of its caller.
    @inline(__always)
    func exchange(
        _ commands: [RedisCommand], _ load: CommandLoad, as purpose: Purpose = .caller
    ) async throws(RedisError) -> [RedisReply] {
        if commands.isEmpty { return [] }
        // REENTRANCY: a task without executor preference may be suspended before the body of the continuation runs,
        // so all is decided in there.
        let begun = meter.begun(clock)
        let outcome: PendingBatch.Outcome
        // Written out: a function that waits, inlined or not, costs two looks for the executor of its caller.
        switch await unsafe withUnsafeContinuation({ unsafe dispatch(commands, load, purpose, RedisWaiter($0)) }) {
        case .ended(let ended): outcome = ended
        case .waits(let batch): outcome = await ended(batch)
        }
        meter.answered(begun, pending: pending.count, clock)
        var replies = try outcome.get()
        guard replies.hasErrors else { return replies }
        // Redis does not always name the command that a user has no right to.
        for index in replies.indices where replies[index].isError && replies[index].errorCode == "NOPERM" {
            let user = configuration.username ?? "default"
            let what = "NOPERM \(commands[index].name) is not allowed to the redis user \"\(user)\""
            replies[index] = .error("\(what): \(replies[index].errorText ?? "")")
        }
        return replies
    }

    /// What becomes of commands in the line; who is cancelled leaves it.
    private func ended(_ batch: WaitingBatch) async -> PendingBatch.Outcome {
        let word = await withTaskCancellationHandler {
            await unsafe withUnsafeContinuation {
                unsafe batch.attach(RedisWaiter($0))
                admit()
            }
        } onCancel: {
            Loop.spawn {
                self.line.fail(batch, self.overload(batch.load))
                self.admit()
            }
        }
        guard case .ended(let outcome) = word else { return .failure(overload(batch.load)) }
        return outcome
    }

    var bounds: CommandLoad {
        CommandLoad(count: configuration.maxPendingCommands, bytes: configuration.maxPendingBytes)
    }

    private var waiting: CommandLoad { CommandLoad(count: pending.count, bytes: pending.bytes) }

    /// What cannot be cut may be longer than the bound: it passes while at most half of that waits.
    private func hasRoom(for load: CommandLoad) -> Bool {
        (waiting + load).fits(in: bounds) || !load.fits(in: bounds.half) && waiting.fits(in: bounds.half)
    }

    private func overload(_ load: CommandLoad) -> RedisError {
        waiting.count + load.count > bounds.count
            ? .overloaded(limit: bounds.count) : .overloaded(limit: bounds.bytes, key: "maxPendingBytes")
    }

    private func refusal(_ purpose: Purpose) -> RedisError? {
        if phase != .running { return .closed }
        if !serves, purpose != .handshake { return away }
        return end != nil ? loss(maybeExecuted: false) : nil
    }

    private func dispatch(
        _ commands: [RedisCommand], _ load: CommandLoad, _ purpose: Purpose,
        _ waiter: RedisWaiter
    ) {
        if let refusal = refusal(purpose) { return waiter.fail(refusal) }
        let deadline = clock.now + commandNanoseconds
        if purpose == .handshake || line.isEmpty && hasRoom(for: load) {
            return transmit(commands, load, deadline, waiter)
        }
        // As much may wait for room as for replies.
        guard purpose == .part || line.isEmpty || (line.load + load).fits(in: bounds) else {
            return waiter.fail(overload(load))
        }
        let batch = WaitingBatch(commands, load, deadline: deadline)
        line.append(batch)
        if sweep == nil { armSweep(at: deadline) }
        waiter.resume(.waits(batch))
    }

    private func transmit(
        _ commands: [RedisCommand], _ load: CommandLoad, _ deadline: UInt64,
        _ waiter: RedisWaiter
    ) {
        guard let socket else { return waiter.fail(away) }
        pending.append(
            PendingBatch(load, deadline: deadline, repliesBefore: pending.repliesSeen, waiter: waiter))
        socket.send(commands, size: load.bytes)
        if sweep == nil { armSweep(at: deadline) }
    }

    /// Sends those at the head of the line for which there is room by now.
    private func admit() {
        while let batch = line.first, batch.isAttached, hasRoom(for: batch.load) {
            _ = line.removeFirst()
            if let waiter = batch.detach() { transmit(batch.commands, batch.load, batch.deadline, waiter) }
        }
    }

    // MARK: observers

    func becameUp(reconnected: Bool) {
        serves = true
        if reconnected { meter.reconnected() }
        scripts.forget()
        observers.tell(.up(runID: runID, reconnected: reconnected))
    }

    func becameDown(_ reason: String) { observers.tell(.down(reason)) }

    // MARK: deadlines

    /// One timer for all commands: armed for the oldest, and again when it has fired and somebody waits.
    ///
    /// What is overdue gets one more poll before it fails: after a long turn of the loop itself, the replies may have
    /// been waiting in the socket all the time.
    private func armSweep(at deadline: UInt64) {
        sweep = clock.schedule(at: deadline) { [self] in
            let due = clock.now
            sweep = clock.schedule(after: .milliseconds(1)) { [self] in expire(due) }
        }
    }

    private func disarmSweep() {
        if let sweep { clock.cancel(sweep) }
        sweep = nil
    }

    private func expire(_ due: UInt64) {
        sweep = nil
        let milliseconds = Int(configuration.commandTimeout.clampedMilliseconds)
        line.expire(now: due, overload(line.load))
        if pending.expire(now: due, .timeout(milliseconds: milliseconds)) {
            reset("no answer for \(milliseconds) ms")
        }
        if let next = [pending.nextDeadline, line.nextDeadline].compactMap({ $0 }).min() { armSweep(at: next) }
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
        if end.cause == .malformed {
            // The error's own words begin with "redis".
            let address = located.map(\.description) ?? "it"
            return .protocolError("\(address)\(configuration.sourceNote): \(end.text)")
        }
        let text = end.cause == .encryption ? end.text : "connection lost: \(end.text)"
        return .connection("\(place): \(text)", maybeExecuted: maybeExecuted)
    }

    /// The first end counts: what follows is its echo.
    private func ending(_ end: SocketEnd) {
        guard self.end == nil else { return }
        self.end = end
        serves = false
        disarmSweep()
        pending.failAll(loss(maybeExecuted: true))
        line.failAll(loss(maybeExecuted: false))
        losing?.resume()
        losing = nil
    }
}

extension RedisConnection: RedisSocketOwner {
    func socketDidRead(_ replies: ReplyReader) {
        if let onPush { return read(replies, onPush) }
        while end == nil {
            let received = pending.receive(from: replies)
            draw(from: received)
            if received.isMalformed { reset(replies.errorText, .malformed) }
            if !received.isMore { break }
        }
        settle()
    }

    /// Unasked words and replies, one by one.
    private func read(_ replies: ReplyReader, _ onPush: @Loop (RedisPush) -> Bool) {
        var next: [RedisReply] = []
        while end == nil {
            next.removeAll(keepingCapacity: true)
            let taken = replies.take(1, into: &next)
            if taken.isMalformed { reset(replies.errorText, .malformed) }
            guard let reply = next.first else { break }
            if let push = RedisPush(reply), onPush(push) { continue }
            draw(from: pending.receive(reply))
        }
        settle()
    }

    private func draw(from received: PendingCommands.Received) {
        if let error = received.lostServer, serves { doubt(error) }  // A handshake judges for itself.
        if let reply = received.unasked {
            let error = reply.errorText
            reset(error ?? "a reply to nothing", error == nil ? .malformed : .network)
        }
    }

    /// There may be room for others.
    private func settle() { if !line.isEmpty { admit() } }

    func socketDidEnd(_ end: SocketEnd) { ending(end) }
}
