// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloSync
import PomeloTesting

/// Two servers write the same ids, through journals, into a database that is slow and fails.
///
/// They die and come back, stand still while the other one claims their journals, and go on then; Redis goes away and
/// comes back, and loses answers. In the end the database has of each id what was acknowledged last, or what was tried
/// after that.
@Loop final class SyncSimulation: Simulation {
    private static let key = SyncKey<Int>("value")
    private static let list = SyncKey<Int>("list")
    private static let steps = 300
    private static let names: [ServerID] = ["chat-1", "chat-2"]

    private(set) var failures: [String] = []
    private(set) var trail: [String] = []
    private let cluster: TestCluster
    private let redis: FakeRedis
    private let database: SlowDatabase
    private var random: SplitMix64
    private var clients: [ServerID: GatedClient] = [:]
    private var frozen: ServerID?
    /// Who stood still last: what it says after that counts as well.
    private var woken: ServerID?
    private var dying: Set<ServerID> = []
    private var ready: Set<ServerID> = []
    private var last = 0
    private var acknowledged: [String: Int] = [:]
    private var tried: [String: Int] = [:]
    private var listed: Set<Int> = []
    private var calls = (good: 0, all: 0)

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
        cluster = TestCluster(TestCluster.records(connectors: 0, chats: 2), seed: random.next())
        redis = FakeRedis(
            clock: cluster.clock, random: RandomSource(seed: random.next()), isCluster: random.next() % 3 == 0)
        redis.delay = .zero ... .milliseconds(Int64(random.next() % 20))
        database = SlowDatabase(cluster.clock, RandomSource(seed: random.next()))
    }

    var summary: String {
        "\(calls.good) of \(calls.all) calls acknowledged, \(database.writes) values written, \(database.stale) late"
    }

    private func note(_ event: String) { trail.append("\(cluster.clock.now / 1_000_000) \(event)") }

    private func pass(_ milliseconds: Int64) {
        cluster.clock.pass(.milliseconds(milliseconds)) {
            if !EventLoop.shared.runUntilIdle(limit: 4000) { failures.append("it never comes to rest") }
        }
    }

    private func start(_ id: ServerID) {
        let client = GatedClient(redis.client())
        clients[id] = client
        note("\(id) starts")
        Loop.spawn {
            do {
                var options = SyncOptions()
                options.interval = .seconds(3)
                try await self.cluster.start(id) { app in
                    try app.use(
                        Sync(redis: client, options: options) { sinks in
                            sinks.map(Self.key, to: self.database)
                            sinks.map(Self.list, to: self.database)
                        })
                }
                self.ready.insert(id)
            } catch {
                self.note("\(id) did not start: \(error)")
                client.client.cut()
                self.dying.remove(id)
            }
        }
    }

    // MARK: what happens

    func run() {
        for id in Self.names { start(id) }
        pass(500)
        for _ in 0..<Self.steps {
            act()
            pass(1 + Int64(random.next() % 150))
        }
        heal()
        check()
    }

    private func act() {
        switch random.next() % 40 {
        case 0: crash(Self.names[Int(random.next() % 2)])
        case 1: freeze()
        case 2: thaw()
        case 3: if let woken { crash(woken) }
        case 4: redis.isUp ? redis.down() : redis.up()
        case 5: redis.up()
        case 6: redis.failCall(Int(random.next() % 8), executes: random.next() % 2 == 0)
        case 7: database.isAway.toggle()
        case 8: database.isAway = false
        case 9: database.slowness = .milliseconds(Int64(random.next() % 4000))
        case 10, 11, 12: bringBack()
        default: for _ in 0...(random.next() % 3) { write() }
        }
    }

    private func write() {
        let id = Self.names[Int(random.next() % 2)]
        guard ready.contains(id), cluster.running.contains(id) else { return }
        let name = "id-\(random.next() % 6)"
        last += 1
        calls.all += 1
        let value = last
        let (sync, isListed) = (cluster[id].sync, random.next() % 4 == 0)
        if !isListed { tried[name] = value }
        Loop.spawn {
            do throws(SyncError) {
                if isListed {
                    try await sync.exec(Self.list, value)
                    self.listed.insert(value)
                } else {
                    try await sync.exec(Self.key, name, value)
                    self.acknowledged[name] = max(value, self.acknowledged[name] ?? 0)
                }
                self.calls.good += 1
            } catch {}
        }
        // Two calls of one millisecond have no order, when two servers are asked.
        pass(1)
    }

    private func crash(_ id: ServerID) {
        guard ready.contains(id), frozen != id, dying.isEmpty else { return }
        note("\(id) is killed")
        cluster.crash(id)
        clients[id]?.client.cut()
        ready.remove(id)
        dying.insert(id)
        if random.next() % 2 == 0 { return }
        Loop.spawn {
            do { try await self.cluster.endLease(of: id) } catch { self.note("\(error)") }
        }
    }

    private func bringBack() {
        guard let id = dying.first else { return }
        dying.remove(id)
        start(id)
    }

    /// It stands still, and the other takes it for gone.
    private func freeze() {
        let id = Self.names[Int(random.next() % 2)]
        guard frozen == nil, ready.contains(id), cluster.running.contains(id) else { return }
        note("\(id) stands still")
        frozen = id
        clients[id]?.gate.close()
        cluster.pause(id)
        cluster.hasForgottenAll = true
        for other in cluster.running where other != id { cluster[other].servers.remove([id]) }
    }

    private func thaw() {
        guard let id = frozen else { return }
        note("\(id) goes on")
        frozen = nil
        woken = id
        cluster.hasForgottenAll = false
        clients[id]?.gate.open()
        cluster.resume(id)
    }

    private func heal() {
        note("all is well")
        thaw()
        redis.up()
        database.isAway = false
        database.slowness = .zero
        for _ in 0..<4 {
            bringBack()
            pass(15_000)
            for id in Self.names where !cluster.running.contains(id) { start(id) }
        }
        pass(120_000)
    }

    private func check() {
        for (name, value) in acknowledged.sorted(by: { $0.key < $1.key }) {
            let stored = database.values[name]?.value ?? 0
            if stored < value { failures.append("\(name): \(value) was acknowledged, and \(stored) is stored") }
            if stored > tried[name] ?? 0 { failures.append("\(name): \(stored) was never written") }
        }
        let missing = listed.subtracting(database.listed)
        if !missing.isEmpty { failures.append("acknowledged and lost: \(missing.sorted())") }
        for id in cluster.running where !cluster[id].sync.isDone {
            failures.append("\(id) still has \(cluster[id].sync.info.pending) values")
        }
    }
}

/// Keeps the latest of each id by its version, when it is there; takes its time.
@Loop private final class SlowDatabase: SyncSink {
    struct Away: Error {}

    private(set) var values: [String: (value: Int, version: SyncVersion)] = [:]
    private(set) var listed: Set<Int> = []
    private(set) var writes = 0
    /// Values that came behind a later one.
    private(set) var stale = 0
    var isAway = false
    var slowness = Duration.zero
    private let clock: any LoopClock
    private let random: RandomSource

    init(_ clock: any LoopClock, _ random: RandomSource) {
        self.clock = clock
        self.random = random
    }

    func write(_ batch: [SyncEntry]) async throws -> [SyncOutcome] {
        let part = random.next() % 1000
        if slowness > .zero { await clock.sleep(for: slowness * Double(part) / 1000) }
        if isAway { throw Away() }
        let answerIsLost = random.next() % 20 == 0
        let outcomes = batch.map { random.next() % 30 == 0 ? .failed("busy") : write($0) }
        if answerIsLost { throw Away() }
        return outcomes
    }

    private func write(_ entry: SyncEntry) -> SyncOutcome {
        guard let value = Int(String(decoding: entry.value, as: UTF8.self)) else { return .refused("no number") }
        writes += 1
        guard let id = entry.id else {
            listed.insert(value)
            return .written
        }
        if let there = values[id.string], there.version >= entry.version {
            stale += 1
        } else {
            values[id.string] = (value, entry.version)
        }
        return .written
    }
}
