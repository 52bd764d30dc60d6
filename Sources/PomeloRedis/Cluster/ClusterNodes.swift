// SPDX-License-Identifier: MIT
import Logging
import PomeloLoop
import PomeloUV

// stale ─► ask a primary that is up, else a seed, else whoever was known ─► adopt ─► stale again while not all are up

/// The primaries of a cluster: who they are, and one connection to each.
///
/// Which slots are whose is asked at the start, after a redirection (at most ten times a second), and again and again
/// while a primary cannot be reached.
@Loop final class ClusterNodes {
    /// Redirections that come together are one reason to ask.
    private static let debounce = Duration.milliseconds(100)
    private static let whileAway = (first: Duration.milliseconds(100), limit: Duration.seconds(1))

    /// Who has which slot, as far as is known.
    private(set) var map = SlotMap()
    /// Why the map could not be had at the last attempt.
    private(set) var lastFailure: RedisError?
    /// Called when a connection, or the map, has changed.
    var onChange: (@Loop () -> Void)?

    private let seeds: [SocketAddress]
    private let configuration: RedisConfiguration
    private let make: @Loop (SocketAddress, _ isProbe: Bool) -> RedisConnection
    private let clock: any LoopClock
    private let logger: Logger
    private var connections: [SocketAddress: RedisConnection] = [:]
    private var retired: [ObjectIdentifier: RedisConnection] = [:]
    private var probe: RedisConnection?
    private var asking: Task<Void, Never>?
    private var timer: TimerID?
    private var lastAsked: UInt64?
    private var backoff = Backoff(first: whileAway.first, limit: whileAway.limit, settled: .zero)
    private var isStopped = false

    init(
        _ configuration: RedisConfiguration, seeds: [SocketAddress], clock: any LoopClock, logger: Logger,
        make: @escaping @Loop (SocketAddress, _ isProbe: Bool) -> RedisConnection
    ) {
        self.configuration = configuration
        self.seeds = seeds
        self.clock = clock
        self.logger = logger
        self.make = make
    }

    /// Whether every slot has a primary that is connected.
    var areUp: Bool { map.isComplete && primaries.allSatisfy { $0.isUp } && primaries.count == map.places.count }

    /// The connections to the primaries, in the order of their places.
    var primaries: [RedisConnection] { map.places.compactMap { connections[$0] } }

    /// Where any node might be, for who needs just one.
    var places: [SocketAddress] { map.places + seeds.filter { !map.places.contains($0) } }

    /// Some primary that is connected, or could be.
    var anyPlace: SocketAddress? { map.places.first { connections[$0]?.isUp == true } ?? map.places.first }

    /// Why one of them cannot be reached.
    var reason: RedisError {
        if let down = primaries.first(where: { !$0.isUp }) { return down.away }
        if let lastFailure { return lastFailure }
        return .connection("redis: some slots of the cluster are at no node")
    }

    /// The connection to a node; one that is not in the map is made, for a redirection knew it.
    func connection(to place: SocketAddress) -> RedisConnection {
        if let connection = connections[place] { return connection }
        let connection = make(place, false)
        connections[place] = connection
        connection.observe { [weak self, weak connection] event in
            guard let self, let connection, connections[place] === connection else { return }
            if case .down = event { markStale() }
            onChange?()
        }
        connection.startInBackground()
        return connection
    }

    /// Notes what a redirection has told, and asks for the rest.
    func moved(_ slot: KeySlot, to place: SocketAddress) {
        map.move(slot, to: place)
        markStale()
    }

    // MARK: asking

    /// Asks who has which slots: at once, or when the last answer is old enough.
    func markStale() {
        guard !isStopped, asking == nil, timer == nil else { return }
        let earliest = lastAsked.map { $0 + Self.debounce.clampedNanoseconds } ?? clock.now
        timer = clock.schedule(at: max(earliest, clock.now)) { [weak self] in
            guard let self else { return }
            timer = nil
            asking = Loop.spawn { await self.ask() }
        }
    }

    private func ask() async {
        lastAsked = clock.now
        let known = map.places + connections.keys.sorted { "\($0)" < "\($1)" }
        var left = known.filter { connections[$0]?.isUp == true }
        left += (seeds + known).filter { !left.contains($0) }
        var tried: Set<SocketAddress> = []
        var failure: RedisError?
        for place in left where tried.insert(place).inserted && !isStopped {
            do throws(RedisError) {
                adopt(try await answer(of: place))
                failure = nil
                break
            } catch {
                failure = failure ?? error
                // Another node would refuse the same password.
                if case .reply = error { break }
            }
        }
        asking = nil
        if isStopped { return }
        lastFailure = failure
        if areUp { backoff.succeeded() } else { askLater() }
        onChange?()
    }

    /// While something is missing.
    private func askLater() {
        guard timer == nil else { return }
        timer = clock.schedule(after: backoff.failed()) { [weak self] in
            guard let self else { return }
            timer = nil
            asking = Loop.spawn { await self.ask() }
        }
    }

    private func answer(of place: SocketAddress) async throws(RedisError) -> SlotMap {
        let question = RedisCommand("CLUSTER", "SLOTS")
        let reply: RedisReply
        if let connection = connections[place], connection.isUp {
            reply = try await connection.send(question)
        } else {
            let connection = make(place, true)
            probe = connection
            defer { probe = nil }
            do throws(RedisError) {
                try await connection.start(within: configuration.connectTimeout)
                reply = try await connection.send(question)
            } catch {
                await connection.stop()
                throw error
            }
            await connection.stop()
        }
        guard let map = SlotMap(reply, saidBy: place), !map.places.isEmpty else {
            throw .connection("redis at \(place) knows no slots of its cluster")
        }
        return map
    }

    private func adopt(_ map: SlotMap) {
        guard !isStopped else { return }
        if map != self.map {
            logger.notice("redis cluster", metadata: ["redis.nodes": "\(map.places)"])
        }
        self.map = map
        for place in map.places { _ = connection(to: place) }
        for (place, connection) in connections where !map.places.contains(place) {
            connections[place] = nil
            retire(connection)
        }
    }

    /// What is under way there is still answered.
    private func retire(_ connection: RedisConnection) {
        retired[ObjectIdentifier(connection)] = connection
        _ = clock.schedule(after: configuration.commandTimeout) { [weak self] in
            self?.retired[ObjectIdentifier(connection)] = nil
            Loop.spawn { await connection.stop() }
        }
    }

    func stop() async {
        isStopped = true
        if let timer { clock.cancel(timer) }
        timer = nil
        asking?.cancel()
        let all = Array(connections.values) + Array(retired.values) + [probe].compactMap { $0 }
        for connection in all { await connection.stop() }
        await asking?.value
        connections = [:]
        retired = [:]
    }
}
