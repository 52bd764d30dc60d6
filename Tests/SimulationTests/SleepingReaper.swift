// SPDX-License-Identifier: MIT
import PomeloCluster
import PomeloCore
import PomeloGlobalChannel
import PomeloLoop
import PomeloRedis
import PomeloStatus
import PomeloTesting

/// Where a process stands still: each of its words with Redis waits here, before it is sent and after its reply.
@Loop final class Gate {
    private(set) var isClosed = false
    /// Replies that may pass yet; nil while nobody is to stop.
    var left: Int?
    /// Told of each reply, before it is let through.
    var heard: @Loop (String) -> Void = { _ in }
    private var waiters: [CheckedContinuation<Void, Never>] = []

    func close() { isClosed = true }

    func open() {
        isClosed = false
        left = nil
        let ready = waiters
        waiters = []
        for waiter in ready { waiter.resume() }
    }

    func pass() async {
        while isClosed {
            await withCheckedContinuation { if isClosed { waiters.append($0) } else { $0.resume() } }
        }
    }

    func passReply(_ what: String) async {
        heard(what)
        if let count = left {
            left = count - 1
            if count == 0 { isClosed = true }
        }
        await pass()
    }
}

/// A client of Redis whose process may stand still.
@Loop final class GatedClient: RedisPort, RedisMessages {
    let client: FakeRedisClient
    let gate = Gate()

    init(_ client: FakeRedisClient) { self.client = client }

    var isUp: Bool { client.isUp }
    var isCluster: Bool { client.isCluster }
    var nodes: [any RedisPort] { client.nodes }

    func pipeline(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        await gate.pass()
        let replies = try await client.pipeline(commands)
        let key = commands.first?.arguments.first.map { String(decoding: $0.utf8, as: UTF8.self) } ?? ""
        await gate.passReply("\(commands.first?.name ?? "") \(key) \(replies.first?.string ?? "-")")
        return replies
    }

    func execute(_ steps: [RedisStep]) async throws(RedisError) -> [RedisReply] {
        await gate.pass()
        let replies = try await client.execute(steps)
        await gate.passReply("\(steps.count) steps")
        return replies
    }

    func transaction(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        await gate.pass()
        let replies = try await client.transaction(commands)
        await gate.passReply("\(commands.count) commands at once")
        return replies
    }

    func run(
        _ script: RedisScript, keys: [String], args: [RedisArgument]
    ) async throws(RedisError) -> RedisReply {
        await gate.pass()
        let reply = try await client.run(script, keys: keys, args: args)
        await gate.passReply(script.name)
        return reply
    }

    func observe(_ handler: @escaping @Loop (RedisEvent) -> Void) -> RedisObservation { client.observe(handler) }
    func unobserve(_ observation: RedisObservation) { client.unobserve(observation) }
    func subscribe(_ channel: String, _ handler: @escaping @Loop ([UInt8]) -> Void) async throws(RedisError) {
        try await client.subscribe(channel, handler)
    }
    func unsubscribe(_ channel: String) { client.unsubscribe(channel) }
}

/// A connector dies, and whoever cleans up after it falls asleep at one of its steps.
///
/// The connector is back, its users log in again and enter rooms; then the sleeper wakes up.
///
/// The seed decides the step, the delays of Redis, who comes back where and how long the sleep is.
@Loop final class SleepingReaper: Simulation {
    let cluster: TestCluster
    let redis: FakeRedis
    var random: SplitMix64
    var failures: [String] = []
    var trail: [String] = []
    /// Where it fell asleep.
    private(set) var step: Int
    private(set) var sleeper: ServerID?
    var summary: String { sleeper?.rawValue ?? "nobody" }
    private var clients: [ServerID: GatedClient] = [:]
    private var sockets: [(uid: UserID, frontend: ServerID, socket: TestSocket)] = []
    private let users: [UserID]
    private let rooms: [ChannelName]
    private static let victim: ServerID = "connector-1"

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
        let isCluster = seed % 3 == 2
        // Every step in turn; the last ones are beyond the end of most clean-ups.
        step = Int(seed * 7 % (isCluster ? 94 : 47))
        cluster = TestCluster(TestCluster.records(connectors: 2, chats: 2), seed: random.next(), hasRegistry: false)
        redis = FakeRedis(clock: cluster.clock, random: RandomSource(seed: random.next()), isCluster: isCluster)
        redis.delay = .zero ... .milliseconds(Int64(random.next() % 25))
        users = (0..<60 + Int(random.next() % 80)).map { UserID("u\($0)") }
        rooms = (0..<30 + Int(random.next() % 60)).map { ChannelName("room-\($0)") }
    }

    private func fail(_ rule: String) {
        if failures.count < 20 { failures.append(rule) }
        note("BROKEN: \(rule)")
    }

    private func note(_ event: String) { trail.append("\(cluster.clock.now / 1_000_000) \(event)") }

    private func pass(_ milliseconds: Int64) { cluster.clock.pass(.milliseconds(milliseconds), settle) }

    private func settle() {
        if !EventLoop.shared.runUntilIdle(limit: 4000) { fail("the cluster never comes to rest") }
    }

    private func start(_ id: ServerID) {
        let client = GatedClient(redis.client())
        clients[id] = client
        client.gate.heard = { [weak self] what in self?.heard(id, what) }
        Loop.spawn {
            do {
                try await self.cluster.start(id) { app in
                    var options = Status.Options()
                    options.singleSession = .refuse
                    try app.use(Cluster(redis: client, messages: client))
                    try app.use(GlobalChannel(redis: client))
                    try app.use(Status(redis: client, options: options))
                }
                self.note("\(id) runs")
            } catch {
                self.fail("\(id) did not start: \(error)")
            }
        }
    }

    /// The first one that takes the token of the dead is the one that falls asleep.
    private func heard(_ id: ServerID, _ what: String) {
        guard isDead, sleeper == nil, id != Self.victim,
            what == "SET pomelo:{pomelo/\(Self.victim)}:reap OK"
        else { return }
        sleeper = id
        clients[id]?.gate.left = step
        note("\(id) cleans up, and falls asleep after \(step) steps")
    }

    private var isDead = false
    private var isAsleep: Bool { sleeper.flatMap { clients[$0]?.gate.isClosed } ?? false }

    private func enter(_ uid: UserID, _ frontend: ServerID) {
        guard let socket = cluster.connect(frontend), let session = socket.session?.id else { return }
        sockets.append((uid, frontend, socket))
        let places = rooms.filter { _ in random.next() % 20 == 0 }
        Loop.spawn {
            do {
                try await self.cluster[frontend].sessionService.bind(session, uid)
                for room in places { try await self.cluster[frontend].globalChannel.add(room, uid, frontend) }
            } catch {
                socket.disconnect()
            }
        }
    }

    // MARK: the run

    func run() {
        for record in cluster.records { start(record.id) }
        pass(2000)
        for uid in users { enter(uid, random.next() % 4 == 0 ? "connector-2" : Self.victim) }
        pass(2500)
        check("before")
        isDead = true
        cluster.crash(Self.victim)
        clients[Self.victim]?.client.cut()
        sockets.removeAll { $0.frontend == Self.victim }
        note("\(Self.victim) is dead")
        for _ in 0..<200 where sleeper == nil { pass(100) }
        for _ in 0..<60 where !isAsleep && cluster["chat-1"].servers[Self.victim] != nil { pass(10) }
        if isAsleep, let sleeper { cluster.network.freeze(sleeper) }
        isDead = false
        start(Self.victim)
        for _ in 0..<60 where !cluster.running.contains(Self.victim) || cluster[Self.victim].state != .running {
            pass(100)
        }
        if cluster[Self.victim].state != .running { fail("the next instance does not start") }
        comeBack()
        let long = Int64(random.next() % 4 == 0 ? 14_000 : 1500)
        pass(long)
        wake()
        pass(20_000)
        check("in the end")
        checkNoGhosts()
    }

    /// The users who are nowhere now.
    private func comeBack() {
        for uid in users where !sockets.contains(where: { $0.uid == uid && !$0.socket.isClosed }) {
            if random.next() % 8 == 0 { continue }
            enter(uid, sleeper != "connector-2" && random.next() % 4 == 0 ? "connector-2" : Self.victim)
        }
        pass(2500)
        check("when all are back")
    }

    /// What is there just before is there just after: nothing heals so fast.
    private func wake() {
        guard isAsleep, let sleeper else { return note("it was over before") }
        let before = published()
        note("\(sleeper) wakes up")
        cluster.network.thaw(sleeper)
        clients[sleeper]?.gate.open()
        pass(200)
        let after = published()
        for (what, texts) in before {
            // A status that is removed between two looks of a sleeper is back when it has looked.
            if redis.isCluster, what == "status" { continue }
            let gone = texts.subtracting(after[what] ?? [])
            if !gone.isEmpty { fail("the sleeper removed \(gone.sorted()) from \(what)") }
        }
        if redis.isCluster { pass(3000) }
        check("after the sleep")
    }

    // MARK: rules

    /// What Redis has of the victim's next instance.
    private func published() -> [String: Set<String>] {
        var found: [String: Set<String>] = [:]
        let state = redis
        let box = Box<[String: Set<String>]>([:])
        let (users, rooms) = (users, rooms)
        Loop.spawn {
            do {
                for uid in users {
                    let bound = try await state.send(RedisCommand("HGET", "{POMELO:STATUS:\(uid)}:bind", "inst")).string
                    let at = try await state.send(
                        RedisCommand("SISMEMBER", "POMELO:STATUS:\(uid)", Self.victim.rawValue))
                    if let bound { box.value["bindings", default: []].insert("\(uid) \(bound)") }
                    if at.int == 1 { box.value["status", default: []].insert(uid.rawValue) }
                }
                for room in rooms {
                    let name = state.isCluster ? "{pomelo/\(Self.victim)}:\(room)" : "\(room):\(Self.victim)"
                    let key = "POMELO:CHANNEL:\(name)"
                    box.value[room.rawValue] = Set(try await state.send(RedisCommand("SMEMBERS", key)).strings ?? [])
                }
                for index in ["channels", "uids"] {
                    let key = "pomelo:{pomelo/\(Self.victim)}:\(index)"
                    box.value[index] = Set(try await state.send(RedisCommand("SMEMBERS", key)).strings ?? [])
                }
            } catch { self.fail("\(error)") }
        }
        let delay = redis.delay
        redis.delay = .zero ... .zero
        settle()
        redis.delay = delay
        found = box.value
        return found
    }

    private func check(_ when: String) {
        for uid in users {
            let here = sockets.filter { $0.uid == uid && !$0.socket.isClosed && $0.socket.session?.uid == uid }
            if here.count > 1 { fail("\(when): \(uid) is bound at \(here.map(\.frontend)) at once") }
        }
        let found = published()
        let victims = sockets.filter { $0.frontend == Self.victim && !$0.socket.isClosed }
        guard cluster.running.contains(Self.victim) else { return }
        let instance = cluster[Self.victim].instance
        for (uid, _, _) in victims {
            if found["status"]?.contains(uid.rawValue) != true { fail("\(when): \(uid) is not published") }
            if found["bindings"]?.contains("\(uid) \(instance)") != true { fail("\(when): \(uid) is not bound") }
        }
        for room in rooms {
            let members = owned(room)
            if found[room.rawValue] != members {
                fail("\(when): \(room) is published as \(found[room.rawValue] ?? []), and is \(members)")
            }
        }
    }

    private func owned(_ room: ChannelName) -> Set<String> {
        let box = Box<Set<String>>([])
        Loop.spawn {
            let members = await self.cluster[Self.victim].globalChannel.getMembersBySid(room, Self.victim)
            box.value = Set(members.uids.map(\.rawValue))
        }
        settle()
        return box.value
    }

    private func checkNoGhosts() {
        let found = published()
        let bound = Set(sockets.filter { !$0.socket.isClosed }.map(\.uid.rawValue))
        for entry in found["bindings"] ?? [] where !bound.contains(String(entry.prefix { $0 != " " })) {
            fail("in the end: \(entry) is bound, and nobody is there")
        }
        let here = Set(sockets.filter { !$0.socket.isClosed && $0.frontend == Self.victim }.map(\.uid.rawValue))
        if found["status"] ?? [] != here {
            fail("in the end: published are \((found["status"] ?? []).symmetricDifference(here))")
        }
    }
}
