// SPDX-License-Identifier: MIT
import Logging
import PomeloLoop
import PomeloUV

// stale ─► ask a primary that is up, else a seed, else whoever was known ─► adopt ─► stale again while not all are up

/// The primaries of a cluster: who they are, and one connection to each.
///
/// Which slots are whose is asked at the start, after a redirection (at most ten times a second), and again and again
/// while a primary cannot be reached. Nodes that only redirections have told of are strangers: few at once, and not for
/// longer than they are needed.
@Loop final class ClusterNodes {
    /// Redirections that come together are one reason to ask.
    private static let debounce = Duration.milliseconds(100)
    private static let whileAway = (first: Duration.milliseconds(100), limit: Duration.seconds(1))
    /// A stranger that nobody has used for so long is left.
    private static let strangersStay = Duration.seconds(5)
    /// Of nodes that are no seeds, as many are asked in one round.
    private static let maxAsked = 8

    /// Who has which slot, as far as is known.
    private(set) var map = SlotMap()
    /// Why the map could not be had at the last attempt.
    private(set) var lastFailure: RedisError?
    /// Whether some node was there at the last attempt, though it may have told nothing.
    private(set) var isAnybodyThere = false
    /// Called when a connection, or the map, has changed.
    var onChange: (@Loop () -> Void)?
    /// Called when the map has changed, by an answer or a redirection.
    var onMap: (@Loop () -> Void)?
    /// Whether a connection to a new primary tells of its start: those of the cluster's own are told together.
    var tellsOfNew = false

    private let seeds: [SocketAddress]
    private let configuration: RedisConfiguration
    private let make: @Loop (SocketAddress, _ isProbe: Bool) -> RedisConnection
    private let clock: any LoopClock
    private let logger: Logger
    private var connections: [SocketAddress: RedisConnection] = [:]
    private var retired: [ObjectIdentifier: RedisConnection] = [:]
    /// Places of the last answer.
    private var told: Set<SocketAddress> = []
    /// Places of the map that are connected.
    private var up: Set<SocketAddress> = []
    /// By whom they are used, and since when by nobody.
    private var strangers: [SocketAddress: (users: Int, since: UInt64)] = [:]
    private var strangersTimer: TimerID?
    private var probes: [ObjectIdentifier: RedisConnection] = [:]
    private var survey: SlotSurvey?
    private var rounds = 0
    /// Some node was there in the present round.
    private var sign = false
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
    var areUp: Bool { map.isComplete && up.count == map.places.count }

    /// The connections to the primaries, in the order of their places.
    var primaries: [RedisConnection] { map.places.compactMap { connections[$0] } }

    /// Where any node might be, for who needs just one: who is connected comes first, and behind the seeds who is not.
    var places: [SocketAddress] {
        var seen: Set<SocketAddress> = []
        return (map.places.filter(up.contains) + seeds + map.places).filter { seen.insert($0).inserted }
    }

    /// Whether the map is asked for, or will be without another reason.
    var isAsking: Bool { asking != nil || timer != nil }

    /// Some primary that is connected, or could be.
    var anyPlace: SocketAddress? { map.places.first(where: up.contains) ?? map.places.first }

    /// Why one of them cannot be reached.
    var reason: RedisError {
        if let down = primaries.first(where: { !$0.isUp }) { return down.away }
        if let lastFailure { return lastFailure }
        return .connection("redis: some slots of the cluster are at no node")
    }

    /// Whether the last answer has named the place.
    func isKnown(_ place: SocketAddress) -> Bool { told.contains(place) }

    // MARK: connections

    /// The connection to a primary of the last answer, if it is up: of those nobody keeps an account.
    func connected(to place: SocketAddress) -> RedisConnection? {
        guard let connection = connections[place], connection.isUp, strangers.isEmpty || told.contains(place) else {
            return nil
        }
        return connection
    }

    /// A connection that somebody uses.
    struct Loan {
        let connection: RedisConnection
        fileprivate let stranger: SocketAddress?
    }

    /// The connection to a node, to be given back; one that is not in the map is made, for a redirection knew it.
    ///
    /// - Throws: `.connection` when too many strangers are used already; `.closed` once it is stopped.
    func lend(_ place: SocketAddress) throws(RedisError) -> Loan {
        if isStopped { throw .closed }
        if told.contains(place) { return Loan(connection: connection(to: place), stranger: nil) }
        try welcome(place)
        return Loan(connection: connection(to: place), stranger: place)
    }

    /// Takes it back, once; one that was left meanwhile is nobody's, whoever is at its place now.
    func giveBack(_ loan: Loan) {
        if let place = loan.stranger, connections[place] === loan.connection { part(from: place) }
    }

    private func connection(to place: SocketAddress) -> RedisConnection {
        if let connection = connections[place] { return connection }
        let connection = make(place, false)
        connection.tellsOfStart = tellsOfNew
        connections[place] = connection
        connection.observe { [weak self, weak connection] event in
            guard let self, let connection, connections[place] === connection else { return }
            switch event {
            case .up:
                if map.contains(place) { up.insert(place) }
            case .down:
                up.remove(place)
                markStale()
            }
            onChange?()
        }
        connection.startInBackground()
        return connection
    }

    private func welcome(_ place: SocketAddress) throws(RedisError) {
        if strangers[place] == nil, strangers.count >= SlotMap.maxStrangers {
            guard let idle = strangers.filter({ $0.value.users == 0 }).min(by: { $0.value.since < $1.value.since })
            else { throw .connection("redis: redirections lead to too many nodes that no other knows") }
            leave(idle.key)
        }
        strangers[place, default: (0, 0)].users += 1
    }

    private func part(from place: SocketAddress) {
        guard let users = strangers[place]?.users else { return }
        strangers[place] = (users - 1, clock.now)
        if users == 1, isStopped { return leave(place) }
        if strangersTimer == nil { armStrangers() }
    }

    private func armStrangers() {
        strangersTimer = clock.schedule(after: Self.strangersStay) { [weak self] in
            guard let self else { return }
            strangersTimer = nil
            let now = clock.now
            // Those of the map are left when an answer does not name them.
            for (place, use) in strangers where use.users == 0 && !map.contains(place) {
                if clock.deadline(after: Self.strangersStay, from: use.since) <= now { leave(place) }
            }
            if !strangers.isEmpty { armStrangers() }
        }
    }

    /// Ends the connection to a stranger that nobody uses.
    private func leave(_ place: SocketAddress) {
        strangers[place] = nil
        up.remove(place)
        guard let connection = connections.removeValue(forKey: place) else { return }
        Loop.spawn { await connection.stop() }
    }

    /// Notes what a redirection has told, and asks for the rest.
    func moved(_ slot: KeySlot, to place: SocketAddress) {
        if map[slot] != place {
            map.move(slot, to: place)
            if map.contains(place), connections[place]?.isUp == true { up.insert(place) }
            onMap?()
        }
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
        if isStopped { return asking = nil }
        lastAsked = clock.now
        rounds += 1
        sign = !told.isEmpty
        let survey = SlotSurvey(candidates, clock) { [self] place throws(RedisError) in try await answer(of: place) }
        self.survey = survey
        let result = await survey.run()
        self.survey = nil
        for probe in probes.values { Loop.spawn { await probe.stop() } }
        asking = nil
        if isStopped { return }
        isAnybodyThere = sign
        switch result {
        case .success(let map):
            lastFailure = nil
            adopt(map)
        case .failure(let error):
            lastFailure = error
        }
        if areUp { backoff.succeeded() } else { askLater() }
        onChange?()
    }

    /// Whom to ask: who is connected, seeds and others in turn, so that none of these keeps another kind waiting.
    private var candidates: [SocketAddress] {
        let connected = rotated(map.places.filter(up.contains), Self.maxAsked)
        let others = rotated(map.places.filter { !up.contains($0) }, Self.maxAsked)
        var seen: Set<SocketAddress> = []
        var all: [SocketAddress] = []
        for index in 0..<max(connected.count, seeds.count, others.count) {
            for list in [connected, seeds, others] where index < list.count && seen.insert(list[index]).inserted {
                all.append(list[index])
            }
        }
        return all
    }

    /// Others at each round.
    private func rotated(_ places: [SocketAddress], _ many: Int) -> [SocketAddress] {
        guard !places.isEmpty else { return [] }
        return (0..<min(many, places.count)).map { places[(rounds + $0) % places.count] }
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
        guard !isStopped else { throw .closed }
        let reply: RedisReply
        if let connection = connections[place], connection.isUp {
            sign = true
            reply = try await slots(of: connection, at: place)
        } else {
            let probe = make(place, true)
            probe.tellsOfStart = false
            probes[ObjectIdentifier(probe)] = probe
            defer { probes[ObjectIdentifier(probe)] = nil }
            do throws(RedisError) {
                try await probe.start(within: configuration.connectTimeout)
                sign = true
                reply = try await slots(of: probe, at: place)
            } catch {
                if probe.lastSign != nil || probe.isShakingHands { sign = true }
                await probe.stop()
                throw error
            }
            await probe.stop()
        }
        guard let map = SlotMap(reply, saidBy: place), !map.places.isEmpty else {
            throw .connection("redis at \(place) knows no slots of its cluster")
        }
        return map
    }

    private func slots(of connection: RedisConnection, at place: SocketAddress) async throws(RedisError) -> RedisReply {
        do throws(RedisError) {
            return try await connection.send(RedisCommand("CLUSTER", "SLOTS"))
        } catch {
            guard case .timeout(let milliseconds) = error else { throw error }
            throw .connection("redis at \(place) does not answer CLUSTER SLOTS within \(milliseconds) ms")
        }
    }

    private func adopt(_ map: SlotMap) {
        guard !isStopped else { return }
        let isNew = map != self.map
        if isNew { logger.notice("redis cluster", metadata: ["redis.nodes": "\(map.places)"]) }
        let former = told
        self.map = map
        told = Set(map.places)
        for place in map.places {
            strangers[place] = nil
            _ = connection(to: place)
        }
        for (place, use) in strangers where use.users == 0 { leave(place) }
        for place in former where !told.contains(place) {
            if let connection = connections.removeValue(forKey: place) { retire(connection) }
        }
        up = Set(map.places.filter { connections[$0]?.isUp == true })
        if isNew { onMap?() }
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
        if let strangersTimer { clock.cancel(strangersTimer) }
        strangersTimer = nil
        survey?.cancel()
        let all = Array(connections.values) + Array(retired.values) + Array(probes.values)
        for connection in all { await connection.stop() }
        await asking?.value
        connections = [:]
        retired = [:]
        strangers = [:]
    }
}
