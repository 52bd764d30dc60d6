// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloSync
import PomeloTesting
import TestHelpers
import Testing

/// A database of all servers that keeps the latest of each id by its version, and fails as it is told.
@Loop final class Database: SyncSink {
    struct Away: Error {}

    private(set) var rows: [String: (value: String, version: SyncVersion)] = [:]
    private(set) var appended: [String] = []
    private(set) var calls = 0
    /// Calls of `write` until one fails; it writes or not.
    var failure: (callsBefore: Int, writes: Bool, reached: @Loop () -> Void)?
    var isAway = false
    var refuses: @Loop (SyncEntry) -> Bool = { _ in false }
    /// How long a write takes.
    var delay: @Loop () -> Duration = { .zero }
    private let clock: any LoopClock

    init(_ clock: any LoopClock) { self.clock = clock }

    func value(_ id: String, of key: String = "level") -> String? { rows["\(key)/\(id)"]?.value }

    func write(_ batch: [SyncEntry]) async throws -> [SyncOutcome] {
        calls += 1
        let delay = delay()
        if delay > .zero { await clock.sleep(for: delay) }
        if isAway { throw Away() }
        var fails = false
        if var plan = failure {
            plan.callsBefore -= 1
            failure = plan.callsBefore < 0 ? nil : plan
            if plan.callsBefore < 0 {
                plan.reached()
                if !plan.writes { throw Away() }
                fails = true
            }
        }
        let outcomes = batch.map(write)
        if fails { throw Away() }
        return outcomes
    }

    private func write(_ entry: SyncEntry) -> SyncOutcome {
        if refuses(entry) { return .refused("no") }
        let text = String(decoding: entry.value, as: UTF8.self)
        guard let id = entry.id else {
            appended.append(text)
            return .written
        }
        let place = "\(entry.key)/\(id)"
        if let there = rows[place], there.version >= entry.version { return .written }
        rows[place] = (text, entry.version)
        return .written
    }
}

/// A connection whose commands may come late: after their caller has been told that no answer came.
@Loop final class LatePort: RedisPort {
    private let client: FakeRedisClient
    private var late: [RedisCommand] = []
    /// The next batch comes late.
    var isSlow = false
    /// The next claim comes late.
    var isClaimSlow = false
    private var lateClaim: [RedisCommand] = []
    /// How long a transaction takes.
    var transactionTime = Duration.zero
    private(set) var isInTransaction = false
    /// As that of a process that is no more.
    var isCut = false
    /// What every batch that writes an entry is answered.
    var refusal: String?
    /// Words that an answer may have.
    var maxWords = Int.max

    private let clock: any LoopClock

    init(_ client: FakeRedisClient, _ clock: any LoopClock) {
        self.client = client
        self.clock = clock
    }

    var isUp: Bool { client.isUp }
    var isCluster: Bool { client.isCluster }
    var nodes: [any RedisPort] { client.nodes }
    var runID: String { client.runID }

    func pipeline(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        if isCut { throw .closed }
        if let refusal, commands.contains(where: { $0.name == "HSET" }) { return [.error(refusal)] }
        guard isSlow else {
            let replies = try await client.pipeline(commands)
            guard replies.allSatisfy({ Self.words($0) <= maxWords }) else {
                throw .connection("a reply is too long", maybeExecuted: true)
            }
            return replies
        }
        isSlow = false
        late = commands
        throw .timeout(milliseconds: 1500)
    }

    private static func words(_ reply: RedisReply) -> Int { reply.array?.reduce(0) { $0 + words($1) } ?? 1 }

    /// What was late comes.
    func deliver() async throws(RedisError) -> [RedisReply] {
        lateClaim.isEmpty ? try await client.pipeline(late) : try await client.transaction(lateClaim)
    }

    func execute(_ steps: [RedisStep]) async throws(RedisError) -> [RedisReply] { try await client.execute(steps) }
    func transaction(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        if isCut { throw .closed }
        isInTransaction = true
        defer { isInTransaction = false }
        if transactionTime > .zero { await clock.sleep(for: transactionTime) }
        guard isClaimSlow else { return try await client.transaction(commands) }
        isClaimSlow = false
        lateClaim = commands
        throw .timeout(milliseconds: 1500)
    }
    func run(_ script: RedisScript, keys: [String], args: [RedisArgument]) async throws(RedisError) -> RedisReply {
        try await client.run(script, keys: keys, args: args)
    }
    func observe(_ handler: @escaping @Loop (RedisEvent) -> Void) -> RedisObservation { client.observe(handler) }
    func unobserve(_ observation: RedisObservation) { client.unobserve(observation) }
}

/// Two servers of a type with journals in one Redis in memory, or a cluster of it, and one database.
@Loop final class JournalWorld {
    let cluster = TestCluster(TestCluster.records(connectors: 0, chats: 2))
    let redis: FakeRedis
    let database: Database
    private(set) var lines: [ServerID: LatePort] = [:]
    /// Of the next start.
    var options: SyncOptions
    /// Not the one in memory.
    private let real: (any RedisPort)?

    init(_ options: SyncOptions = SyncOptions(), on real: (any RedisPort)? = nil) async throws {
        self.options = options
        self.real = real
        redis = FakeRedis(clock: cluster.clock, isCluster: RedisLayout.current.isCluster)
        database = Database(cluster.clock)
        if real != nil { cluster.followSystemTime() }
        for id: ServerID in ["chat-1", "chat-2"] { try await start(id) }
    }

    /// The port of tests.
    var port: any RedisPort { real ?? redis }

    func sync(_ id: ServerID = "chat-1") -> SyncService { cluster[id].sync }

    func start(_ id: ServerID) async throws {
        var failure: (any Error)?
        await whileTimePasses { do { try await self.begin(id) } catch { failure = error } }
        if let failure { throw failure }
    }

    func stop(_ id: ServerID) async { await whileTimePasses { await self.cluster.stop(id) } }

    private func whileTimePasses(_ body: @escaping @Loop () async -> Void) async {
        var isDone = false
        let task = Loop.spawn {
            await body()
            isDone = true
        }
        for _ in 0..<600 where !isDone && real == nil { await pass(.milliseconds(100)) }
        await task.value
    }

    private func begin(_ id: ServerID) async throws {
        let late = LatePort(redis.client(), cluster.clock)
        lines[id] = late
        let client: any RedisPort = real ?? late
        try await cluster.start(id) { app in
            try app.use(
                Sync(redis: client, options: self.options) { sinks in
                    sinks.map(.level, to: self.database)
                    sinks.map(.coins, to: self.database)
                    sinks.map(.log, to: self.database)
                })
        }
    }

    func pass(_ duration: Duration) async {
        let step: Duration = duration > .seconds(5) ? .milliseconds(500) : duration / 20
        await cluster.advance(by: duration, step: max(step, .milliseconds(20)))
    }

    /// Calls that wait for the journal, and what became of each; time is moved until all have ended.
    @discardableResult
    func exec(_ values: [String: Int], at id: ServerID = "chat-1") async -> [String: SyncError] {
        var left = values.count
        var errors: [String: SyncError] = [:]
        let sync = sync(id)
        for (name, value) in values.sorted(by: { $0.key < $1.key }) {
            Loop.spawn {
                do throws(SyncError) { try await sync.exec(.level, name, value) } catch { errors[name] = error }
                left -= 1
            }
        }
        await cluster.settle()
        for _ in 0..<1000 where left > 0 { await pass(.milliseconds(20)) }
        #expect(left == 0)
        return errors
    }

    /// The journals there are, and how many entries each has.
    func journals() async throws -> [String: Int] {
        var found: [String: Int] = [:]
        for place in try await port.send(RedisCommand("SMEMBERS", "pomelo:{pomelo}:journals:chat")).strings ?? [] {
            let parts = place.split(separator: ":", maxSplits: 1)
            let key = "pomelo:{sync:pomelo/\(parts[0])}:j:\(parts[1])"
            found[place] = (try? await port.send(RedisCommand("HLEN", [key])).int) ?? -1
        }
        return found
    }

    func entries() async throws -> Int { try await journals().values.reduce(0, +) }
}
