// SPDX-License-Identifier: MIT
import Glibc
import PomeloBytes
import PomeloJSON
import PomeloLoop
import PomeloRedis
import PomeloSync
import PomeloTesting
import PomeloUV
import TestHelpers

@testable import SyncServer

/// Two servers that keep numbers, their Redis and their sink, all of which break; and an oracle that does not.
@Loop final class SyncCampaign {
    /// What happens to servers.
    enum ServerFault: CaseIterable { case kill, killBoth, freeze }
    /// What happens at the same time to what they stand on.
    enum OtherFault: CaseIterable {
        case sinkFails, redisStands, redisIsSlow, redisDies
        /// Redis dies, and the servers before it is back: only `always` survives that.
        case allDie
    }

    static let names = ["keeper-1", "keeper-2"]

    let oracle: SyncOracle
    let kind: SinkOptions.Kind
    let policy: SyncPolicy
    private let perSecond: Int
    private let processes: ServerProcesses
    private let redis: JournalRedis
    private let layout: RedisLayout
    private let sink: any SyncSinkWorld
    private let reader: any SyncReader
    private var random: SplitMix64
    private var isOver = false
    private var lanes: [Task<Void, Never>] = []
    private(set) var kills = 0
    private(set) var happened: [String: Int] = [:]

    private init(
        _ kind: SinkOptions.Kind, _ policy: SyncPolicy, _ layout: RedisLayout, _ perSecond: Int,
        _ oracle: SyncOracle, _ seed: UInt64, _ processes: ServerProcesses, _ redis: JournalRedis,
        _ sink: any SyncSinkWorld
    ) throws {
        self.kind = kind
        self.policy = policy
        self.perSecond = perSecond
        self.oracle = oracle
        random = SplitMix64(seed: seed)
        self.processes = processes
        self.redis = redis
        self.layout = layout
        self.sink = sink
        reader = try sink.options.sink()
    }

    // MARK: start and end

    static func start(
        _ kind: SinkOptions.Kind, _ policy: SyncPolicy, on layout: RedisLayout, ids: Int, perSecond: Int, seed: UInt64
    ) async throws -> SyncCampaign {
        let appendfsync = policy == .always ? "always" : "everysec"
        let (redis, processes) = try await JournalRedis.prepare(
            layout, for: "SyncServer", config: "Tests/SyncServer/config",
            options: ["--appendonly", "yes", "--appendfsync", appendfsync])
        let sink = try await sinkWorld(kind, in: processes.folder)
        let campaign = try SyncCampaign(
            kind, policy, layout, perSecond, SyncOracle(ids: ids), seed, processes, redis, sink)
        try processes.write(
            "sink", ["development": ["kind": .string(kind.rawValue), "place": .string(sink.options.place)]])
        try processes.write(
            "sync",
            ["development": ["intervalSeconds": 1, "policy": .string(policy.rawValue), "stopSeconds": 20]])
        try processes.write(
            "cluster",
            ["development": ["leaseSeconds": 1.5, "renewEverySeconds": 0.4, "scanEverySeconds": 0.2]])
        try await sink.migrate(campaign.reader)
        try await campaign.reader.start()
        try await processes.startAll()
        for id in names { for _ in 0..<4 { campaign.lanes.append(Loop.spawn { await campaign.tell(id) }) } }
        campaign.lanes.append(Loop.spawn { await campaign.look() })
        return campaign
    }

    /// Ends the telling, waits until all is in the sink and no journal is left, and compares.
    func finish() async throws {
        isOver = true
        for lane in lanes { await lane.value }
        var instances: [String] = []
        for id in Self.names { instances.append(try await nothingLeft(in: id)) }
        // One that another has claimed, while its owner stood still, is yet to be worked off.
        let own = zip(Self.names, instances).map { "\($0):\($0):\($1):" }
        try await eventually("only journals of who runs are left", within: .seconds(30), every: .milliseconds(100)) {
            try await journals().allSatisfy { name in own.contains(where: name.hasPrefix) }
        }
        for id in Self.names { processes[id].signal(SIGTERM) }
        for id in Self.names {
            let ending = try await processes.awaitExit(id, within: .seconds(30))
            if ending != .exited(0) { throw Unmet(description: "\(id) ended \(ending)") }
            oracle.ended(id)
        }
        let left = try await journals()
        if !left.isEmpty { throw Unmet(description: "\(left) are left of \(instances)") }
        for id in 0..<oracle.ids {
            let stored = try await reader.stored("level", Text("\(id)"))
            oracle.saw(id, stored)
            oracle.check(id, has: stored.flatMap { Int(String(decoding: $0.value, as: UTF8.self)) })
        }
        oracle.check(
            entries: try await reader.entries(of: .log, limit: oracle.told), mayRepeat: kind == .redis)
    }

    /// Waits until a server has nothing that its sink has not, and returns its instance.
    private func nothingLeft(in id: String) async throws -> String {
        let client = try await processes.connect(id)
        defer { client.close() }
        var instance = ""
        try await eventually("\(id) has nothing left", within: .seconds(60), every: .milliseconds(100)) {
            let state = try await client.request("keeper.handler.state")
            if state["letters"]?.int != 0 { throw Unmet(description: "\(id) has dead letters") }
            instance = state["instance"]?.string ?? ""
            return state["pending"]?.int == 0
        }
        return instance
    }

    func stop() async throws {
        isOver = true
        await reader.stop()
        try await processes.stop()
        await redis.stop()
        try await sink.stop()
    }

    private func journals() async throws -> [String] { try await redis.journals(of: "keep", "keeper") }

    var summary: String {
        let faults = happened.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
        return """
            \(kind) \(policy) \(layout): \(oracle.told) told, \(oracle.taken) acknowledged, \(kills) processes killed, \
            \(faults); refused with \(oracle.faults.sorted()); wrong: \(oracle.wrong.count)
            """
    }

    // MARK: telling and looking

    private func tell(_ id: String) async {
        let size = max(10, perSecond / 200)
        let pace = Duration.seconds(1) * (Double(size * Self.names.count * 4) / Double(perSecond))
        var client: TestClient?
        while !isOver {
            do {
                let connected: TestClient
                if let client { connected = client } else { connected = try await processes.connect(id) }
                client = connected
                let next = SystemClock.shared.deadline(after: pace)
                let (index, numbers) = oracle.tell(id, size)
                let answer = try await connected.request(
                    "keeper.handler.keep",
                    ["first": .int(Int64(numbers.first)), "count": .int(Int64(size)), "ids": .int(Int64(oracle.ids))])
                oracle.answered(index, fault: answer["fault"]?.string ?? (answer["code"] == nil ? nil : "\(answer)"))
                await SystemClock.shared.sleep(for: SystemClock.shared.left(until: next))
            } catch {
                client?.close()
                client = nil
                await SystemClock.shared.sleep(for: .milliseconds(50))
            }
        }
        client?.close()
    }

    private func look() async {
        while !isOver {
            let id = Int(random.next() % UInt64(oracle.ids))
            if let stored = try? await reader.stored("level", Text("\(id)")) { oracle.saw(id, stored) }
            await SystemClock.shared.sleep(for: .milliseconds(5))
        }
    }

    // MARK: faults

    /// A step of faults drawn by chance, such that the policy survives it.
    func strike() async throws {
        var server = random.next() % 4 == 0 ? nil : ServerFault.allCases.randomElement(using: &random)
        let other = random.next() % 4 == 0 ? nil : OtherFault.allCases.randomElement(using: &random)
        if other == .allDie || other == .redisDies && policy != .always { server = nil }
        if other == .allDie, policy != .always { return }
        try await strike(server, other)
        await SystemClock.shared.sleep(for: .milliseconds(Int64(200 + random.next() % 2000)))
    }

    func strike(_ server: ServerFault?, _ other: OtherFault?) async throws {
        let (first, second) = (random.next(), random.next())
        for name in [server.map { "\($0)" }, other.map { "\($0)" }] { name.map { happened[$0, default: 0] += 1 } }
        async let one: Void = happen(server, first)
        async let two: Void = happen(other, second)
        _ = try await (one, two)
        for id in Self.names where processes[id].status != nil { try await bringBack(id) }
    }

    private func happen(_ fault: ServerFault?, _ chance: UInt64) async throws {
        let id = Self.names[Int(chance % 2)]
        switch fault {
        case nil: return
        case .kill: try await kill([id])
        case .killBoth: try await kill(Self.names)
        case .freeze:
            try await processes[id].freeze()
            await SystemClock.shared.sleep(for: .milliseconds(4000))
            return processes[id].thaw()
        }
        // Its own next start, or the other one, finds the journal.
        await SystemClock.shared.sleep(for: .milliseconds(Int64(chance / 2 % 5000)))
    }

    private func happen(_ fault: OtherFault?, _ chance: UInt64) async throws {
        let (clock, node) = (SystemClock.shared, redis.node(chance / 7))
        switch fault {
        case nil: return
        case .sinkFails: try await sink.fail(chance)
        case .redisStands:
            node.pause()
            await clock.sleep(for: .milliseconds(Int64(500 + chance % 2500)))
            node.resume()
        case .redisIsSlow:
            for _ in 0..<40 {
                node.pause()
                await clock.sleep(for: .milliseconds(40))
                node.resume()
                await clock.sleep(for: .milliseconds(10))
            }
        case .redisDies:
            await node.kill9()
            await clock.sleep(for: .milliseconds(Int64(chance % 1000)))
            try await redis.restart()
        case .allDie:
            await redis.killAll()
            try await kill(Self.names)
            try await redis.restart()
        }
    }

    private func kill(_ ids: [String]) async throws {
        for id in ids where processes[id].status == nil {
            kills += 1
            processes[id].signal(SIGKILL)
        }
        for id in ids {
            _ = try await processes.awaitExit(id)
            oracle.ended(id)
        }
    }

    private func bringBack(_ id: String) async throws {
        try processes.launch(id)
        try await processes.awaitUp(id)
    }
}
