// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloLoop
public import PomeloRedis

/// One participant's connections to a `FakeRedis`: commands in order, channels of its own, and its own outages.
@Loop public final class FakeRedisClient: RedisPort, RedisMessages {
    /// Whether commands are accepted now.
    public private(set) var isUp: Bool
    /// The run id of the server in memory.
    public var runID: String { server.runID }
    /// Told the channels on which messages may have been missed, once they are subscribed again.
    public var onGap: (@Loop ([String]) -> Void)?
    /// Calls whose callers wait.
    public var inFlight: Int { open.count }

    /// Whether the server in memory is a cluster.
    public var isCluster: Bool { server.isCluster }
    /// Its nodes.
    public var nodes: [any RedisPort] {
        isCluster ? (0..<FakeRedis.nodeCount).map { FakeRedisNode(self, $0) } : [self]
    }

    private let server: FakeRedis
    private let observers = RedisObservers()
    private var isCut = false
    private var open: [Int: FakeRedisRequest] = [:]
    private var begun = 0
    private var handlers: [Text: @Loop ([UInt8]) -> Void] = [:]
    private let readers = MessageReaders()
    private var subscribed: Set<ChannelID> = []

    /// One connection to each node.
    private lazy var requests = (0..<FakeRedis.nodeCount).map { _ in
        FakeRedisWire<FakeRedisRequest>(server.clock) { [weak self] in self?.arrive($0) }
    }
    private lazy var replies = (0..<FakeRedis.nodeCount).map { _ in
        FakeRedisWire<(FakeRedisRequest, FakeRedisRequest.Outcome)>(server.clock) {
            [weak self] in self?.complete($0.0, $0.1)
        }
    }
    private lazy var messages = FakeRedisWire<(channel: ChannelID, payload: [UInt8])>(server.clock) {
        [weak self] in self?.receive($0.channel, $0.payload)
    }

    init(_ server: FakeRedis) {
        self.server = server
        isUp = server.isUp
        readers.onAbandoned = { [weak self] in self?.abandoned($0) }
    }

    // MARK: RedisPort

    /// Sends the commands together, to a cluster those of each node; MULTI and EXEC must be in one call.
    ///
    /// - Throws: `.refused` for keys of two slots of a cluster in one command, and what only one node could do;
    ///   `.connection` while the server or this client is away, or when the outage begins before the reply;
    ///   `.timeout` by the server's clock; what `failCall` planned.
    public func pipeline(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        if commands.isEmpty { return [] }
        if isCluster { return try await execute(commands.map(RedisStep.command)) }
        return try await perform(.pipeline(commands), at: 0)
    }

    /// Sends the steps together, to a cluster those of each node.
    ///
    /// - Throws: as `pipeline`.
    public func execute(_ steps: [RedisStep]) async throws(RedisError) -> [RedisReply] {
        if steps.isEmpty { return [] }
        return isCluster ? try await executeAtNodes(steps) : try await perform(.batch(steps), at: 0)
    }

    /// Executes the commands at once.
    ///
    /// - Throws: as `pipeline`; `.reply` when one of them was refused: none was executed then.
    public func transaction(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        if commands.isEmpty { return [] }
        return try (try await execute([.transaction(commands)]).first ?? .null).get().array ?? []
    }

    /// Runs the script's twin.
    ///
    /// - Throws: as `pipeline`; `.reply` with the script's error.
    public func run(
        _ script: RedisScript, keys: [String], args: [RedisArgument]
    ) async throws(RedisError) -> RedisReply {
        let replies = try await execute([.script(script, keys: keys, args: args)])
        return try (replies.first ?? .null).get()
    }

    /// Calls `handler` at every later loss and return of this client's connection, within the call that causes it.
    @discardableResult
    public func observe(_ handler: @escaping @Loop (RedisEvent) -> Void) -> RedisObservation {
        observers.add(handler)
    }

    /// Forgets an observer; one already forgotten is ignored.
    public func unobserve(_ observation: RedisObservation) { observers.remove(observation) }

    // MARK: RedisMessages

    /// Calls `handler` for each message published from now on; a second call replaces the handler.
    ///
    /// - Guarantee: at most once, in the order of publication; the subscription outlives outages.
    /// - Throws: as `pipeline`; then nothing is subscribed.
    public func subscribe(
        _ channel: String, _ handler: @escaping @Loop ([UInt8]) -> Void
    ) async throws(RedisError) {
        let id = ChannelID(channel)
        // Before the confirmation: the first message may come right behind it.
        handlers[id.name] = handler
        do throws(RedisError) {
            try await confirm([id])
        } catch {
            handlers[id.name] = nil
            abandoned([id])
            throw error
        }
    }

    /// Stops calling the handler at once; an unknown channel is ignored.
    public func unsubscribe(_ channel: String) {
        handlers[Text(channel)] = nil
        abandoned([ChannelID(channel)])
    }

    /// Subscribes channels, and returns what is published to them from now on; as `RedisClient.messages`.
    ///
    /// - Throws: as `pipeline`; then nothing is read.
    public func messages(
        on channels: [String], bounds: RedisMessageBounds = RedisMessageBounds()
    ) async throws(RedisError) -> RedisMessageSequence {
        try await read(channels.map { ChannelID($0) }, bounds)
    }

    /// The same for channels that are published to with SPUBLISH.
    ///
    /// - Throws: as `pipeline`; then nothing is read.
    public func shardedMessages(
        on channels: [String], bounds: RedisMessageBounds = RedisMessageBounds()
    ) async throws(RedisError) -> RedisMessageSequence {
        try await read(channels.map { ChannelID($0, isSharded: true) }, bounds)
    }

    /// Ends all sequences of messages, as the stop of a client does; they are read to their end.
    public func stopMessages() { readers.finish() }

    private func read(
        _ channels: [ChannelID], _ bounds: RedisMessageBounds
    ) async throws(RedisError) -> RedisMessageSequence {
        let reader = MessageReader(channels, bounds)
        let sequence = RedisMessageSequence(reader)
        readers.add(reader)
        do throws(RedisError) {
            try await confirm(channels)
        } catch {
            reader.end()
            throw error
        }
        return sequence
    }

    private func confirm(_ channels: [ChannelID]) async throws(RedisError) {
        let new = channels.filter { !subscribed.contains($0) }
        if new.isEmpty { return }
        let call = FakeRedisCall.subscription { [weak self] in
            guard let self else { return }
            subscribed.formUnion(new.filter(isWanted))
        }
        _ = try await perform(call, at: 0)
    }

    private func isWanted(_ id: ChannelID) -> Bool {
        readers.has(id) || !id.isSharded && handlers[id.name] != nil
    }

    private func abandoned(_ ids: [ChannelID]) {
        for id in ids where !isWanted(id) { subscribed.remove(id) }
    }

    private func receive(_ id: ChannelID, _ payload: [UInt8]) {
        readers.receive(id, payload)
        if !id.isSharded { handlers[id.name]?(payload) }
    }

    /// Sends a message on its way; returns false when this client has not subscribed.
    func publish(_ payload: [UInt8], on channel: ChannelID) -> Bool {
        guard isUp, subscribed.contains(channel) else { return false }
        messages.send((channel, payload), after: server.drawDelay())
        return true
    }

    // MARK: faults

    /// Separates this participant, and no other, from the server.
    public func cut() {
        isCut = true
        lose(FakeRedis.lost)
    }

    /// Ends the separation.
    public func mend() {
        isCut = false
        serverCameUp()
    }

    func serverWentDown() { lose(FakeRedis.lost) }

    func serverCameUp() {
        guard !isUp, !isCut, server.isUp, !server.isPaused else { return }
        isUp = true
        observers.tell(.up(runID: server.runID, reconnected: true))
        readers.tellGap(subscribed)
        let told = subscribed.filter { !$0.isSharded && handlers[$0.name] != nil }
        if !told.isEmpty { onGap?(told.map(\.name).sorted().map(\.string)) }
    }

    private func lose(_ reason: String) {
        guard isUp else { return }
        isUp = false
        for wire in requests { wire.cut() }
        for wire in replies { wire.cut() }
        messages.cut()
        for (_, request) in open.sorted(by: { $0.key < $1.key }) {
            complete(request, .failure(.connection(reason, maybeExecuted: true)))
        }
        observers.tell(.down(reason))
    }

    // MARK: calls

    func perform(_ call: FakeRedisCall, at node: Int) async throws(RedisError) -> [RedisReply] {
        try await outcome(of: call, at: node).get()
    }

    func outcome(of call: FakeRedisCall, at node: Int) async -> FakeRedisRequest.Outcome {
        await withCheckedContinuation { waiter in
            begun += 1
            let request = FakeRedisRequest(begun, call, at: node, waiter)
            guard isUp else {
                return request.complete(.failure(.connection("redis at fake:6379 is not connected")))
            }
            open[request.number] = request
            let limit = server.commandTimeout
            request.limit = server.clock.schedule(after: limit) { [weak self] in self?.expire(request, limit) }
            requests[node].send(request, after: server.drawDelay())
        }
    }

    private func arrive(_ request: FakeRedisRequest) {
        if server.isPaused { return server.hold { self.arrive(request) } }
        let outcome = server.serve(request.call, at: request.node)
        let delay = server.drawDelay()
        // Without a delay there is nothing to wait for, unless it would overtake another reply.
        if delay == .zero, replies[request.node].isIdle { return complete(request, outcome) }
        replies[request.node].send((request, outcome), after: delay)
    }

    private func complete(_ request: FakeRedisRequest, _ outcome: FakeRedisRequest.Outcome) {
        if let limit = request.limit { server.clock.cancel(limit) }
        open[request.number] = nil
        request.complete(outcome)
    }

    private func expire(_ request: FakeRedisRequest, _ limit: Duration) {
        complete(request, .failure(.timeout(milliseconds: Int(limit.clampedMilliseconds))))
        // As the real client does: a server that answers nothing at all is left.
        if server.isPaused { lose("redis at fake:6379 does not answer") }
    }
}
