// SPDX-License-Identifier: MIT
//
// SyncServer: keeps numbers that a client tells, through sync, in the sink of `sink.json`, while Tests/ProcessTests
// breaks what is around it.
import Logging
import Pomelo
import PomeloCluster
import PomeloCommand
import PomeloRedis
import PomeloSync
import PomeloSyncPostgres
import PomeloSyncSQLite

@main struct SyncServer: ServerProgram {
    static let folder = "Tests/SyncServer/config"

    static func setUp(_ app: Application, _ redis: RedisClient) throws {
        try app.use(Cluster(redis))
        try app.configure("all", "keeper") { app in
            let sink = try app.options(SinkOptions()).sink()
            try app.use(
                Sync(redis: redis) { sinks in
                    sinks.map(.level, to: sink)
                    sinks.map(.log, to: sink)
                })
            app.connectors = [HybridConnector(try app.options(HybridOptions()))]
            try app.handle(KeeperHandler(sync: app.sync, instance: "\(app.instance)"))
        }
    }

    static func main() async { await run() }
}

extension SyncKey<Int> {
    static let level = SyncKey("level")
    static let log = SyncKey("log")
}

/// Where numbers end up.
struct SinkOptions: FileOptions, Codable, Equatable {
    enum Kind: String, Codable { case redis, sqlite, postgres }

    static let fileName = "sink"
    static let tables = [SQLTable(SyncKey.level), SQLTable(SyncKey.log, .entries)]

    var kind = Kind.redis
    /// A URL, or of SQLite a file.
    var place = ""

    @Loop func sink() throws -> any SyncReader {
        switch kind {
        case .redis: return OwnRedisSink(RedisClient(try RedisConfiguration(url: place), name: "sink"))
        case .sqlite: return try SQLiteSyncSink(place, Self.tables)
        case .postgres:
            #if Postgres
                return try PostgresSyncSink(place, Self.tables)
            #else
                throw PomeloError(.configuration, "this build has no PostgreSQL")
            #endif
        }
    }
}

/// A Redis that nobody else uses.
@Loop final class OwnRedisSink: SyncReader {
    private let client: RedisClient
    private let sink: RedisSyncSink

    init(_ client: RedisClient) {
        self.client = client
        sink = RedisSyncSink(client)
    }

    func start() async throws { try await client.start() }
    func write(_ batch: [SyncEntry]) async throws -> [SyncOutcome] { try await sink.write(batch) }
    func stored(_ key: Text, _ id: Text) async throws -> StoredValue? { try await sink.stored(key, id) }
    func entries(_ key: Text, limit: Int) async throws -> [Bytes] { try await sink.entries(key, limit: limit) }
    func stop() async { await client.stop() }
}

enum KeeperAPI {
    static let keep = Call<Numbers, Outcome>("keeper.handler.keep")
    static let state = Call<Nothing, State>("keeper.handler.state")

    /// So many, counted up from the first; each is the value of an id, the first is appended as well.
    struct Numbers: Body {
        var first: Int
        var count: Int
        var ids: Int

        /// Which id a number is the value of.
        static func id(of number: Int, _ ids: Int) -> Int {
            Int(truncatingIfNeeded: (UInt64(number) &* 0x9E37_79B9_7F4A_7C15) >> 40) % ids
        }
    }

    /// Whether all of them were acknowledged, or why one was not.
    struct Outcome: Body { var fault: String? }

    struct State: Body {
        var pending: Int
        var written: Int
        var letters: Int
        /// Of this start; the names of its journals have it.
        var instance: String
    }
}

struct KeeperHandler: Handler {
    let sync: SyncService
    let instance: String

    var routes: [ServedRoute] {
        on(KeeperAPI.keep, keep)
        on(KeeperAPI.state, state)
    }

    func keep(_ numbers: KeeperAPI.Numbers, _ session: Session) async throws -> KeeperAPI.Outcome {
        let sync = sync
        return await withTaskGroup(of: SyncError?.self) { group in
            for number in numbers.first..<(numbers.first + numbers.count) {
                let id = "\(KeeperAPI.Numbers.id(of: number, numbers.ids))"
                group.addTask { @Loop @Sendable in
                    await Self.error { () async throws(SyncError) in try await sync.exec(.level, id, number) }
                }
            }
            group.addTask { @Loop @Sendable in
                await Self.error { () async throws(SyncError) in try await sync.exec(.log, numbers.first) }
            }
            var outcome = KeeperAPI.Outcome()
            for await error in group { outcome.fault = error.map { "\($0)" } ?? outcome.fault }
            return outcome
        }
    }

    @Loop private static func error(_ body: @Loop () async throws(SyncError) -> Void) async -> SyncError? {
        do throws(SyncError) {
            try await body()
            return nil
        } catch {
            return error
        }
    }

    func state(_ nothing: Nothing, _ session: Session) async throws -> KeeperAPI.State {
        let info = sync.info
        return KeeperAPI.State(
            pending: info.pending, written: info.written, letters: info.deadLetters, instance: instance)
    }
}
