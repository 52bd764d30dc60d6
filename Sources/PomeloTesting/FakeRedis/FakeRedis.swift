// SPDX-License-Identifier: MIT
//
// Redis in memory. Reading order: FakeRedis (the server and its faults), FakeRedisClient (one participant's
// connections), FakeRedisNode (how keys are divided when it is a cluster), FakeRedisWire (their delays); FakeRedisState
// (the data), FakeRedisCommands (the table of commands), the commands of each type: +Keys, +Strings, +Hashes, +Sets,
// +SortedSets, +Streams; ClusterScriptTwins, ChannelScriptTwins and StatusScriptTwins (Lua
// scripts once more in Swift).
public import PomeloLoop
public import PomeloRedis

/// A Redis server in memory, on any clock, with faults; for tests and simulations of whole clusters.
///
/// Each participant takes a `client()` of its own. The server is a port too, for tests that look at the data: every
/// call of it is a connection of its own. What it knows of Redis is held to a real server by tests, command by
/// command; other commands and options are refused as unknown. Replies that Redis gives in no order are sorted, so
/// that a run repeats exactly. Scripts run as their Swift twins.
///
/// As a cluster it divides its keys among three nodes, and refuses what a real one refuses: keys of two slots in one
/// command, script or transaction. A script that uses a key it does not name finds none.
@Loop public final class FakeRedis: RedisPort {
    /// A script in Swift: what it may call, its keys and its arguments; malformed UTF-8 in arguments is repaired.
    public typealias Twin =
        @Loop (_ redis: FakeRedisCommands, _ keys: [String], _ args: [String]) throws(RedisError) -> RedisReply

    /// Times expiry, delays and time-outs.
    public let clock: any LoopClock
    /// One way; each request, reply and message draws its own, and none overtakes another of its client.
    public var delay = Duration.zero...Duration.zero
    /// Whether it is a cluster.
    public let isCluster: Bool
    /// How long a client waits for a reply.
    public var commandTimeout = Duration.milliseconds(1500)
    /// The data now; a copy of it is what a replica had at this moment.
    public private(set) var state = FakeRedisState()
    /// Changes with every `up(empty: true)` and `failOver(to:)`.
    public private(set) var runID = "fake-1"
    /// Calls that arrived: pipelines, transactions, scripts and subscriptions.
    public private(set) var calls = 0
    /// Whether calls can be made; see `down`.
    public private(set) var isUp = true
    /// Whether it accepts requests and answers none.
    public private(set) var isPaused = false

    private let random: RandomSource
    private let observers = RedisObservers()
    private var twins: [RedisScript: Twin] = [:]
    private var clients: [WeakClient] = []
    private var runs = 1
    private var plannedFailure: PlannedFailure?
    private var held: [@Loop () -> Void] = []

    private struct WeakClient {
        weak var client: FakeRedisClient?
    }

    private struct PlannedFailure {
        var callsBefore: Int
        let executes: Bool
        let error: RedisError
        let reached: @Loop () -> Void
    }

    /// An empty server that is up and knows the scripts of the framework.
    public init(clock: any LoopClock, random: RandomSource = RandomSource(seed: 1), isCluster: Bool = false) {
        self.clock = clock
        self.random = random
        self.isCluster = isCluster
        registerClusterScripts()
        registerChannelScripts()
        registerStatusScripts()
    }

    /// The connections of one more participant; they end when the client is dropped.
    public func client() -> FakeRedisClient {
        let client = FakeRedisClient(self)
        clients.removeAll { $0.client == nil }
        clients.append(WeakClient(client: client))
        return client
    }

    /// Teaches the server a script; a script it was not taught is answered with an error that names it.
    public func register(script: RedisScript, twin: @escaping Twin) { twins[script] = twin }

    // MARK: faults

    /// Ends all connections; calls fail until `up`, and those under way may have been executed.
    public func down() {
        guard isUp else { return }
        isUp = false
        isPaused = false
        held = []
        for entry in clients { entry.client?.serverWentDown() }
        observers.tell(.down(Self.lost))
    }

    /// Ends an outage: of the network when nothing was lost, else of a server that came back without its data.
    public func up(empty: Bool = false) {
        guard !isUp else { return }
        if empty {
            state = FakeRedisState()
            nextRun()
        }
        isUp = true
        for entry in clients { entry.client?.serverCameUp() }
        observers.tell(.up(runID: runID, reconnected: true))
    }

    /// A replica takes over with the data it had; with `state` itself, a restart that loses nothing.
    ///
    /// With a node only its part of the keys is what the replica had.
    public func failOver(to replica: FakeRedisState, node: Int? = nil) {
        down()
        if let node { state.replace(Self.slots(of: node), by: replica) } else { state = replica }
        nextRun()
        up()
    }

    /// Accepts requests and answers none, as a stopped process does; they are executed at `resume`.
    public func pause() { isPaused = isUp }

    /// Goes on after `pause`.
    public func resume() {
        guard isPaused else { return }
        isPaused = false
        let waiting = held
        held = []
        for arrival in waiting { arrival() }
        for entry in clients { entry.client?.serverCameUp() }
    }

    /// Fails one call that is to come, the next one being 0: its caller gets `error` at once.
    ///
    /// With `executes` only the answer is lost. A second plan replaces one that was not reached.
    public func failCall(
        _ index: Int, executes: Bool = false, error: RedisError = .timeout(milliseconds: 1500),
        _ reached: @escaping @Loop () -> Void = {}
    ) {
        plannedFailure = PlannedFailure(callsBefore: index, executes: executes, error: error, reached: reached)
    }

    private func nextRun() {
        runs += 1
        runID = "fake-\(runs)"
    }

    // MARK: RedisPort, each call on a connection of its own

    /// Executes the commands together.
    ///
    /// - Throws: as a client's call does.
    public func pipeline(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        try await client().pipeline(commands)
    }

    /// Executes the steps together.
    ///
    /// - Throws: as a client's call does.
    public func execute(_ steps: [RedisStep]) async throws(RedisError) -> [RedisReply] {
        try await client().execute(steps)
    }

    /// Executes the commands at once.
    ///
    /// - Throws: as a client's call does.
    public func transaction(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        try await client().transaction(commands)
    }

    /// Runs the script's twin.
    ///
    /// - Throws: as a client's call does.
    public func run(
        _ script: RedisScript, keys: [String], args: [RedisArgument]
    ) async throws(RedisError) -> RedisReply {
        try await client().run(script, keys: keys, args: args)
    }

    /// Calls `handler` at every later `up` and `down` of the server.
    @discardableResult
    public func observe(_ handler: @escaping @Loop (RedisEvent) -> Void) -> RedisObservation {
        observers.add(handler)
    }

    /// Forgets an observer; one already forgotten is ignored.
    public func unobserve(_ observation: RedisObservation) { observers.remove(observation) }
}

// MARK: what arrives from clients

extension FakeRedis {
    static let lost = "the connection to redis at fake:6379 was lost"

    func drawDelay() -> Duration {
        guard delay.upperBound > .zero else { return .zero }
        let low = delay.lowerBound.clampedNanoseconds
        let width = delay.upperBound.clampedNanoseconds - low
        let drawn = low + (width == 0 ? 0 : random.next() % (width + 1))
        return .nanoseconds(Int64(clamping: drawn))
    }

    /// Keeps an arrival until the server goes on.
    func hold(_ arrival: @escaping @Loop () -> Void) { held.append(arrival) }

    /// Executes one call, unless it is the one that was to fail.
    func serve(_ call: FakeRedisCall, at node: Int) -> Result<[RedisReply], RedisError> {
        calls += 1
        guard var plan = plannedFailure else { return .success(execute(call, at: node)) }
        plan.callsBefore -= 1
        plannedFailure = plan.callsBefore < 0 ? nil : plan
        if plan.callsBefore >= 0 { return .success(execute(call, at: node)) }
        if plan.executes { _ = execute(call, at: node) }
        plan.reached()
        return .failure(plan.error)
    }

    private func execute(_ call: FakeRedisCall, at node: Int) -> [RedisReply] {
        switch call {
        case .pipeline(let commands):
            var transaction = FakeRedisTransaction { self.refusal(of: $0, at: node) }
            return commands.map { transaction.take($0) { self.execute($0, at: node) } }
        case .batch(let steps):
            return steps.map { execute($0, at: node) }
        case .subscription(let confirm):
            confirm()
            return [.status("OK")]
        }
    }

    private func execute(_ step: RedisStep, at node: Int) -> RedisReply {
        switch step {
        case .command(let command):
            return execute(command, at: node)
        case .script(let script, let keys, let args):
            if let text = refusal(of: keys.map(RedisArgument.text), at: node) { return .error(text) }
            return execute(script, keys, args, at: node)
        case .transaction(let commands):
            let replies = execute(.pipeline([RedisCommand("MULTI")] + commands + [RedisCommand("EXEC")]), at: node)
            guard case .array = replies.last else {
                return replies.first { $0.errorText != nil } ?? .error("ERR EXEC without results")
            }
            return replies.last ?? .null
        }
    }

    private func execute(
        _ script: RedisScript, _ keys: [String], _ args: [RedisArgument], at node: Int
    ) -> RedisReply {
        guard let twin = twins[script] else { return .error("ERR FakeRedis has no twin of script \(script.name)") }
        let texts = args.map { String(decoding: $0.utf8, as: UTF8.self) }
        do throws(RedisError) {
            return try twin(FakeRedisCommands(self, keys, at: node), keys, texts)
        } catch {
            return .error(error.description)
        }
    }

    /// Executes one command now.
    func execute(_ command: RedisCommand, at node: Int) -> RedisReply {
        if let text = refusal(of: command.keys ?? [], at: node) { return .error(text) }
        state.now = clock.wallMilliseconds
        state.scope = isCluster ? Self.slots(of: node) : nil
        let reply = state.execute(command)
        let name = command.name.uppercased()
        if name == "PUBLISH" || name == "SPUBLISH", reply.errorText == nil {
            return publish(command, isSharded: name == "SPUBLISH")
        }
        return reply
    }

    private func publish(_ command: RedisCommand, isSharded: Bool) -> RedisReply {
        let channel = ChannelID(String(decoding: command.arguments[0].utf8, as: UTF8.self), isSharded: isSharded)
        let payload = command.arguments[1].utf8
        let receivers = clients.count { $0.client?.publish(payload, on: channel) == true }
        return .integer(Int64(receivers))
    }
}
