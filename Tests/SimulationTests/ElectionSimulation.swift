// SPDX-License-Identifier: MIT
import Logging
import PomeloCluster
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloTesting

/// Three candidates for one office, and three servers that obey who holds it.
///
/// Candidates die, stand still and go on with what they were about to do; their commands are slow; Redis goes away,
/// loses answers, goes back in time and forgets all. No token is that of two candidates, no command of a lower token is
/// obeyed after one of a higher, and one of them is obeyed by all when all is well.
@Loop final class ElectionSimulation: Simulation {
    private static let steps = 400
    private static let names: [ServerID] = ["chat-1", "chat-2", "chat-3"]

    private struct Obeyed {
        let token: UInt64
        let candidate: String
    }

    private(set) var failures: [String] = []
    private(set) var trail: [String] = []
    private let cluster: TestCluster
    private let redis: FakeRedis
    private var random: SplitMix64
    private var clients: [ServerID: GatedClient] = [:]
    private var elections: [ServerID: Election] = [:]
    private var frozen: Set<ServerID> = []
    private var dead: Set<ServerID> = []
    private var owners: [UInt64: String] = [:]
    private let servers = (0..<3).map { _ in FencingTokens() }
    private var obeyed: [[Obeyed]] = [[], [], []]
    private var counts = (elected: 0, obeyed: 0, refused: 0)
    private var backup: FakeRedisState?
    /// Until then two may hold the office: a term was lost.
    private var isLost: UInt64 = 0

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
        cluster = TestCluster(TestCluster.records(connectors: 0, chats: 3), seed: random.next())
        redis = FakeRedis(
            clock: cluster.clock, random: RandomSource(seed: random.next()), isCluster: random.next() % 3 == 0)
        redis.delay = .zero ... .milliseconds(Int64(random.next() % 20))
    }

    var summary: String { "\(counts.elected) elected, \(counts.obeyed) commands obeyed, \(counts.refused) refused" }

    private func note(_ event: String) { trail.append("\(cluster.clock.now / 1_000_000) \(event)") }

    private func pass(_ milliseconds: Int64) {
        cluster.clock.pass(.milliseconds(milliseconds)) {
            if !EventLoop.shared.runUntilIdle(limit: 4000) { failures.append("it never comes to rest") }
            checkHolders()
        }
    }

    private func start(_ id: ServerID) {
        note("\(id) stands")
        dead.remove(id)
        Loop.spawn {
            do {
                let app = try await self.cluster.start(id)
                self.stand(id, app)
            } catch {
                self.failures.append("\(id) did not start: \(error)")
            }
        }
    }

    private func stand(_ id: ServerID, _ app: Application) {
        let client = GatedClient(redis.client())
        let election = Election(
            "master", RedisElectionStore(client, cluster: "c"), as: id.rawValue, clock: app.clock, random: app.random,
            logger: Logger(label: "election"))
        election.onElected = { [unowned self] token in elected(id, token) }
        election.onEnded = { [unowned self] in note("\(id) holds it no more") }
        (clients[id], elections[id]) = (client, election)
        election.stand()
    }

    private func elected(_ id: ServerID, _ token: UInt64) {
        note("\(id) is elected, \(token)")
        counts.elected += 1
        let candidate = elections[id]?.candidate ?? id.rawValue
        if let other = owners.updateValue(candidate, forKey: token), other != candidate {
            failures.append("\(token) is the token of \(other) and of \(candidate)")
        }
    }

    private func checkHolders() {
        let holders = elections.filter { !dead.contains($0.key) && $0.value.token != nil }.map(\.key)
        if holders.count > 1, cluster.clock.now >= isLost { failures.append("\(holders.sorted()) hold it at once") }
    }

    // MARK: commands

    /// Who holds the office commands a server; it arrives late.
    private func command(_ id: ServerID, _ token: UInt64) {
        guard let election = elections[id] else { return }
        let server = Int(random.next() % 3)
        let slowness = Duration.milliseconds(Int64(random.next() % (random.next() % 4 == 0 ? 20_000 : 50)))
        _ = cluster.clock.schedule(after: slowness) { [self] in
            guard servers[server].admit(token, of: "master") else {
                counts.refused += 1
                if elections[id] === election { election.met(servers[server].highest(of: "master")) }
                return
            }
            counts.obeyed += 1
            if let last = obeyed[server].last, last.token > token {
                failures.append("server \(server) obeyed \(token) after \(last.token)")
            }
            obeyed[server].append(Obeyed(token: token, candidate: election.candidate))
        }
    }

    // MARK: what happens

    func run() {
        for id in Self.names { start(id) }
        pass(500)
        for _ in 0..<Self.steps {
            act()
            pass(1 + Int64(random.next() % 800))
        }
        heal()
    }

    private func act() {
        let id = Self.names[Int(random.next() % 3)]
        switch random.next() % 40 {
        case 0: crash(id)
        case 1: freeze(id)
        case 2, 3: for id in frozen.sorted() { thaw(id) }
        case 4: redis.isUp ? redis.down() : redis.up()
        case 5, 6: redis.up()
        case 7: redis.failCall(Int(random.next() % 4), executes: random.next() % 2 == 0)
        case 8: backup = redis.state
        case 9: lose()
        case 10: for id in dead.sorted() { start(id) }
        case 11: if !frozen.contains(id), let election = elections[id] { resign(id, election) }
        default:
            for id in Self.names where !frozen.contains(id) && !dead.contains(id) {
                if let token = elections[id]?.token { command(id, token) }
            }
        }
    }

    private func crash(_ id: ServerID) {
        guard cluster.running.contains(id), elections[id] != nil, !frozen.contains(id) else { return }
        note("\(id) dies")
        dead.insert(id)
        cluster.crash(id)
        clients[id]?.client.cut()
    }

    private func freeze(_ id: ServerID) {
        guard cluster.running.contains(id), elections[id] != nil, !frozen.contains(id) else { return }
        note("\(id) stands still")
        frozen.insert(id)
        clients[id]?.gate.close()
        cluster.pause(id)
        // It has looked, and was about to act.
        if let token = elections[id]?.token {
            _ = cluster[id].clock.schedule(after: .milliseconds(1)) { [self] in command(id, token) }
        }
    }

    private func thaw(_ id: ServerID) {
        note("\(id) goes on")
        frozen.remove(id)
        clients[id]?.gate.open()
        cluster.resume(id)
    }

    private func resign(_ id: ServerID, _ election: Election) {
        note("\(id) resigns")
        Loop.spawn {
            await election.resign()
            election.stand()
        }
    }

    private func lose() {
        note("the store goes back in time")
        isLost = cluster.clock.deadline(after: .seconds(11))
        redis.failOver(to: random.next() % 2 == 0 ? FakeRedisState() : backup ?? FakeRedisState())
    }

    private func heal() {
        note("all is well")
        redis.up()
        for id in frozen.sorted() { thaw(id) }
        for id in dead.sorted() { start(id) }
        pass(25_000)
        for _ in 0..<40 {
            for id in Self.names { if let token = elections[id]?.token { command(id, token) } }
            pass(1000)
        }
        pass(25_000)
        let last = Set(obeyed.compactMap { $0.last?.candidate })
        let holder = Self.names.compactMap { elections[$0] }.first { $0.token != nil }?.candidate
        if holder == nil { failures.append("nobody holds the office in the end") }
        if last.count != 1 || last.first != holder { failures.append("\(last.sorted()) were obeyed last, not one") }
    }
}
