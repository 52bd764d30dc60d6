// SPDX-License-Identifier: MIT
import Logging
import PomeloLoop
import PomeloUV

/// Access to all primaries of a Redis Cluster as to one server.
///
/// A batch is divided by node, sent to all of them at once, and put together again in its order. Redirections are
/// followed; what a node did not execute is sent again within the command timeout, what it may have executed never.
///
/// - Guarantee: steps of one slot are executed in the order of the batch, except behind one that was answered TRYAGAIN,
///   and where a slot comes back to a node in the middle of the batch.
/// - Source: Redis Cluster specification, https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/.
@Loop final class RedisClusterPort: RedisRoute {
    let configuration: RedisConfiguration
    private let nodesOfCluster: ClusterNodes
    private let clock: any LoopClock
    private let random: RandomSource
    private let commandTimeout: Duration
    private let observers = RedisObservers()
    private var starters: [RedisStarter] = []
    private var phase = Phase.idle
    private var wasUp = false
    /// Whose only key comes first, as it was found last.
    private var plainCommand: String?
    private(set) var isUp = false
    private(set) var runID = ""

    private enum Phase { case idle, running, stopped }

    init(
        _ configuration: RedisConfiguration, seeds: [SocketAddress], name: String, resolver: Resolver,
        random: RandomSource, logger: Logger, clock: any LoopClock = SystemClock.shared
    ) {
        self.configuration = configuration
        self.clock = clock
        self.random = random
        commandTimeout = configuration.commandTimeout
        nodesOfCluster = ClusterNodes(configuration, seeds: seeds, clock: clock, logger: logger) { place, isProbe in
            RedisConnection(
                configuration, locator: FixedLocator(place, isProbe ? .anyClusterNode : .clusterPrimary),
                name: isProbe ? "\(name):slots" : name, resolver: resolver, random: random, logger: logger,
                clock: clock)
        }
        nodesOfCluster.onChange = { [weak self] in self?.changed() }
        nodesOfCluster.onMap = { [weak self] in self?.onNodesChange?() }
    }

    /// Where some node of the cluster might be.
    var places: [SocketAddress] { nodesOfCluster.places }
    /// The primaries that have slots, as far as is known.
    var primaryPlaces: [SocketAddress] { nodesOfCluster.map.places }
    /// Called when the primaries, or what they have, have changed.
    var onNodesChange: (@Loop () -> Void)?

    /// Whether the last answer of a node has named the place.
    func isKnown(_ place: SocketAddress) -> Bool { nodesOfCluster.isKnown(place) }
    /// The primary that has a slot.
    func place(of slot: KeySlot) -> SocketAddress? { nodesOfCluster.map[slot] }
    /// Notes what a redirection has told.
    func moved(_ slot: KeySlot, to place: SocketAddress) { nodesOfCluster.moved(slot, to: place) }
    /// Asks who has which slots.
    func markStale() { nodesOfCluster.markStale() }

    var isCluster: Bool { true }
    var away: RedisError { nodesOfCluster.reason }
    var nodes: [any RedisPort] { nodesOfCluster.primaries }

    @discardableResult
    func observe(_ handler: @escaping @Loop (RedisEvent) -> Void) -> RedisObservation { observers.add(handler) }
    func unobserve(_ observation: RedisObservation) { observers.remove(observation) }

    // MARK: life

    func startInBackground() {
        guard phase == .idle else { return }
        phase = .running
        nodesOfCluster.markStale()
    }

    func start(within patience: Duration?) async throws(RedisError) {
        startInBackground()
        let starter = RedisStarter(deadline: clock.deadline(after: patience ?? configuration.startTimeout))
        let failure = await withTaskCancellationHandler {
            begin(starter)
            return await starter.outcome.wait()
        } onCancel: {
            Loop.spawn { self.tell(starter, .closed) }
        }
        guard let failure else { return }
        await stop()
        throw failure
    }

    private func begin(_ starter: RedisStarter) {
        if isUp { return tell(starter, nil) }
        guard phase == .running, !Task.isCancelled else { return tell(starter, .closed) }
        starters.append(starter)
        starter.timer = clock.schedule(at: starter.deadline) { [weak self] in
            guard let self else { return }
            tell(starter, nodesOfCluster.reason)
        }
    }

    private func tell(_ starter: RedisStarter, _ failure: RedisError?) {
        starters.removeAll { $0 === starter }
        if let timer = starter.timer { clock.cancel(timer) }
        starter.outcome.end(with: failure)
    }

    func stop() async {
        guard phase != .stopped else { return }
        phase = .stopped
        isUp = false
        for starter in starters { tell(starter, .closed) }
        await nodesOfCluster.stop()
    }

    /// Up means all of it; while a part is away commands to the others still go through.
    private func changed() {
        guard phase == .running else { return }
        // What a node refuses it would refuse again; and where nobody is, nobody is waited for.
        switch nodesOfCluster.lastFailure {
        case .reply(let text)?: for starter in starters { tell(starter, .reply(text)) }
        case let failure? where !nodesOfCluster.isAnybodyThere: for starter in starters { tell(starter, failure) }
        default: break
        }
        let areUp = nodesOfCluster.areUp
        let id = areUp ? nodesOfCluster.primaries.map(\.runID).sorted().joined(separator: "+") : ""
        if areUp, !isUp || id != runID {
            (isUp, runID) = (true, id)
            observers.tell(.up(runID: id, reconnected: wasUp))
            wasUp = true
            nodesOfCluster.tellsOfNew = true
            for starter in starters { tell(starter, nil) }
        } else if !areUp, isUp {
            isUp = false
            observers.tell(.down("\(nodesOfCluster.reason)"))
        }
    }

    // MARK: commands

    func pipeline(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        let begun = clock.now
        if commands.count == 1, let slot = ClusterBatch.plainSlot(of: commands[0], &plainCommand),
            let connection = connected(to: slot)
        {
            do throws(RedisError) {
                let load = CommandLoad(count: 1, bytes: commands[0].size)
                let replies = try await connection.exchange(commands, load)
                if !ClusterBatch.isOfNode(replies[0], slot, runsCode: false) { return replies }
            } catch {
                guard error.isNotSent else { throw error }
            }
        }
        return try await carry(commands.map { .command($0) }, since: begun)
    }

    /// Whoever has a slot, when nothing has to be waited for.
    ///
    /// What has one key, as most, goes there without a batch, and into one when it was not executed there.
    private func connected(to slot: KeySlot) -> RedisConnection? {
        guard phase == .running, let place = nodesOfCluster.map[slot] else { return nil }
        return nodesOfCluster.connected(to: place)
    }

    func transaction(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        if commands.isEmpty { return [] }
        let reply = try await execute([.transaction(commands)]).first?.get()
        guard let results = reply?.array else { throw .protocolError("EXEC without results") }
        return results
    }

    func run(
        _ script: RedisScript, keys: [String], args: [RedisArgument]
    ) async throws(RedisError) -> RedisReply {
        let replies = try await execute([.script(script, keys: keys, args: args)])
        guard let reply = replies.first else { throw .protocolError("no reply") }
        return try reply.get()
    }

    func execute(_ steps: [RedisStep]) async throws(RedisError) -> [RedisReply] {
        let begun = clock.now
        if steps.count == 1, let slot = ClusterBatch.plainSlot(of: steps[0], &plainCommand),
            let connection = connected(to: slot)
        {
            do throws(RedisError) {
                let replies = try await connection.execute(steps, asking: false)
                if !ClusterBatch.isOfNode(replies[0], slot, runsCode: steps[0].runsCode) { return replies }
            } catch {
                guard error.isNotSent else { throw error }
            }
        }
        return try await carry(steps, since: begun)
    }

    /// Inlined, as all that waits on its way: each function that waits costs a look for the executor of its caller.
    @inline(__always)
    private func carry(_ steps: [RedisStep], since begun: UInt64) async throws(RedisError) -> [RedisReply] {
        if steps.isEmpty { return [] }
        guard phase == .running else { throw .closed }
        var batch = try ClusterBatch(steps, plain: &plainCommand)
        let deadline = clock.deadline(after: commandTimeout, from: begun)
        var pauses = Backoff(first: .milliseconds(10), limit: .milliseconds(100), settled: .zero)
        while true {
            let (parts, homeless) = batch.parts(nodesOfCluster.map, anyPlace: self.nodesOfCluster.anyPlace)
            var mustPause = !homeless.isEmpty
            var failure: RedisError?
            for (part, outcome) in await outcomes(of: parts, batch, by: deadline) {
                switch outcome {
                case .success(let replies):
                    let turn = batch.take(replies, of: part)
                    for (slot, place) in turn.moved { nodesOfCluster.moved(slot, to: place) }
                    if turn.pauses { nodesOfCluster.markStale() }
                    mustPause = mustPause || turn.pauses
                case .failure(let error):
                    if error.isNotSent {
                        batch.retry(part.indices)
                        nodesOfCluster.markStale()
                        mustPause = true
                    }
                    failure = worse(failure, error)
                }
            }
            if batch.open == 0 { return batch.replies }
            if let failure, !mustPause || failure.maybeExecuted { throw batch.isBegun ? failure.afterOthers : failure }
            if mustPause, phase == .running {
                let pause = random.jittered(pauses.failed())
                guard clock.deadline(after: pause) < deadline, !Task.isCancelled else {
                    return try ended(&batch, failure)
                }
                await clock.sleep(for: pause)
            }
            if phase != .running { throw batch.isBegun ? RedisError.closed.afterOthers : .closed }
            // However long nodes take to send it to each other.
            if clock.now >= deadline { return try ended(&batch, failure) }
        }
    }

    /// What is left when the time is up has the words of the node that refused it, if there are any.
    private func ended(_ batch: inout ClusterBatch, _ failure: RedisError?) throws(RedisError) -> [RedisReply] {
        if failure == nil, batch.giveUp() { return batch.replies }
        let error = failure ?? nodesOfCluster.reason
        throw batch.isBegun ? error.afterOthers : error
    }

    private func worse(_ one: RedisError?, _ other: RedisError) -> RedisError {
        guard let one else { return other }
        return one.maybeExecuted ? one : other
    }

    private typealias Outcome = (ClusterBatch.Part, Result<[RedisReply], RedisError>)

    @inline(__always)
    private func outcomes(of parts: [ClusterBatch.Part], _ batch: ClusterBatch, by deadline: UInt64) async -> [Outcome]
    {
        if parts.count > 1 { return await outcomes(ofSeveral: parts, batch, by: deadline) }
        guard let only = parts.first else { return [] }
        return [(only, await send(only, batch, by: deadline))]
    }

    private func outcomes(
        ofSeveral parts: [ClusterBatch.Part], _ batch: ClusterBatch, by deadline: UInt64
    ) async -> [Outcome] {
        await withTaskGroup(of: Outcome.self) { group in
            for part in parts.dropFirst() {
                group.addTask { @Loop @Sendable in (part, await self.send(part, batch, by: deadline)) }
            }
            var outcomes = [(parts[0], await send(parts[0], batch, by: deadline))]
            for await outcome in group { outcomes.append(outcome) }
            return outcomes
        }
    }

    @inline(__always)
    private func send(
        _ part: ClusterBatch.Part, _ batch: ClusterBatch, by deadline: UInt64
    ) async -> Result<[RedisReply], RedisError> {
        do throws(RedisError) {
            let loan = try nodesOfCluster.lend(part.place)
            defer { nodesOfCluster.giveBack(loan) }
            if !loan.connection.isUp {
                // In short waits: meanwhile another node may have taken over.
                let patience = min(.milliseconds(100), clock.left(until: deadline))
                try await loan.connection.startAndWait(within: patience)
            }
            return .success(
                try await loan.connection.execute(batch.steps, at: part.indices, asking: part.asking))
        } catch {
            return .failure(error)
        }
    }
}
