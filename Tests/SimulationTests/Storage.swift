// SPDX-License-Identifier: MIT
import PomeloCluster
import PomeloCore
import PomeloGlobalChannel
import PomeloLoop
import PomeloRedis
import PomeloStatus
import PomeloTesting

/// What the servers of a simulation publish in, and what can happen to it.
@Loop protocol Storage: AnyObject {
    /// Gives a server its plugins.
    func install(into app: Application) throws
    func crash(_ id: ServerID)
    func goAway()
    func misbehave(_ random: inout SplitMix64)
    /// Returns in words what it comes back with.
    func comeBack(_ random: inout SplitMix64) -> String
    func heal()
    /// Calls under way of one server.
    func inFlight(_ id: ServerID) -> Int
    /// Whether it has come back with less than it had.
    var hasForgotten: Bool { get }
    /// For reading.
    func channels() async throws -> any ChannelStore
    var statuses: any StatusStore { get }
    func holder(of uid: UserID) async throws -> ServerID?
}

extension Storage {
    var statusOptions: Status.Options {
        var options = Status.Options()
        options.singleSession = .refuse
        return options
    }
}

/// Stores in memory; servers register with the test cluster.
@Loop final class MemoryStorage: Storage {
    private let clock: ManualClock
    private let channelEntries = MemoryChannelStore.Entries()
    private let statusEntries = MemoryStatusStore.Entries()
    private var faults: [ServerID: StoreFaults] = [:]
    private var random: SplitMix64
    private(set) var hasForgotten = false

    init(_ clock: ManualClock, seed: UInt64) {
        self.clock = clock
        random = SplitMix64(seed: seed)
    }

    func install(into app: Application) throws {
        let fault = StoreFaults(clock: clock, random: RandomSource(seed: random.next()))
        fault.delay = .milliseconds(Int64(random.next() % 60))
        faults[app.serverID] = fault
        try app.use(GlobalChannel(store: FaultyChannelStore(MemoryChannelStore(channelEntries), fault)))
        try app.use(
            Status(store: FaultyStatusStore(MemoryStatusStore(statusEntries), fault), options: statusOptions))
    }

    func crash(_ id: ServerID) { faults.removeValue(forKey: id)?.isDown = true }

    func goAway() {
        for fault in faults.values { fault.isDown = true }
    }

    func misbehave(_ random: inout SplitMix64) {
        let share = Int(random.next() % 200)
        for fault in faults.values { fault.lostAnswersPerMille = share }
    }

    func comeBack(_ random: inout SplitMix64) -> String {
        let isEmpty = random.next() % 10 < 3
        if isEmpty {
            channelEntries.removeAll()
            statusEntries.removeAll()
            hasForgotten = true
        }
        for fault in faults.values {
            fault.isDown = false
            fault.lostAnswersPerMille = 0
        }
        return isEmpty ? "nothing" : "everything"
    }

    func heal() {
        for fault in faults.values {
            fault.isDown = false
            fault.delay = .zero
            fault.lostAnswersPerMille = 0
        }
    }

    func inFlight(_ id: ServerID) -> Int { faults[id]?.inFlight ?? 0 }
    func channels() -> any ChannelStore { MemoryChannelStore(channelEntries) }
    var statuses: any StatusStore { MemoryStatusStore(statusEntries) }
    func holder(of uid: UserID) async throws -> ServerID? { statusEntries.holder(of: uid)?.server }
}

/// Redis in memory, under the plugins that servers use in earnest: leases, views and clean-up included.
@Loop final class RedisStorage: Storage {
    private let redis: FakeRedis
    private var clients: [ServerID: FakeRedisClient] = [:]
    private var clusters: [ServerID: Cluster] = [:]
    /// What a replica had that was behind.
    private var replica: FakeRedisState
    private(set) var hasForgotten = false

    init(_ clock: ManualClock, seed: UInt64) {
        redis = FakeRedis(clock: clock, random: RandomSource(seed: seed), isCluster: (seed >> 8) % 2 == 1)
        redis.registerClusterScripts()
        redis.registerStatusScripts()
        replica = redis.state
        redis.delay = .zero ... .milliseconds(Int64(seed % 20))
    }

    func install(into app: Application) throws {
        let client = redis.client()
        let cluster = Cluster(redis: client, messages: client)
        clients[app.serverID] = client
        clusters[app.serverID] = cluster
        try app.use(cluster)
        try app.use(GlobalChannel(redis: client))
        try app.use(Status(redis: client, options: statusOptions))
    }

    func crash(_ id: ServerID) { clients.removeValue(forKey: id)?.cut() }
    func goAway() { redis.down() }

    func misbehave(_ random: inout SplitMix64) {
        switch random.next() % 3 {
        case 0: redis.pause()
        case 1: replica = redis.state
        default: redis.failCall(Int(random.next() % 10), executes: random.next() % 2 == 0)
        }
    }

    func comeBack(_ random: inout SplitMix64) -> String {
        redis.resume()
        switch random.next() % 8 {
        case 0:
            redis.down()
            redis.up(empty: true)
            hasForgotten = true
            return "nothing"
        case 1:
            let node = redis.isCluster ? Int(random.next() % UInt64(FakeRedis.nodeCount)) : nil
            redis.failOver(to: replica, node: node)
            hasForgotten = true
            return "what a replica had" + (node.map { " of node \($0)" } ?? "")
        default:
            redis.up()
            return "everything"
        }
    }

    func heal() {
        redis.resume()
        redis.up()
        redis.delay = .zero ... .zero
        redis.failCall(.max)
    }

    func inFlight(_ id: ServerID) -> Int { clients[id]?.inFlight ?? 0 }
    func channels() async throws -> any ChannelStore {
        let store = RedisChannelStore(redis: redis)
        try await store.start(StoreOwner(cluster: "pomelo"))
        return store
    }
    var statuses: any StatusStore { RedisStatusStore(redis: redis) }

    func holder(of uid: UserID) async throws -> ServerID? {
        try await redis.send(RedisCommand("HGET", "{POMELO:STATUS:\(uid)}:bind", "sid")).string.map { ServerID($0) }
    }
}
