// SPDX-License-Identifier: MIT
import Pomelo
import PomeloCluster
import PomeloRedis
import PomeloSync

/// An application that does nothing but keep values.
@Loop final class SyncServer {
    private let app: Application
    private let redis: RedisClient?
    var sync: SyncService { app.sync }

    /// With a journal when there is a Redis at a port.
    init(_ sink: any SyncSink, port: String? = nil, _ change: (inout SyncOptions) -> Void) async throws {
        let record = ServerRecord(id: "game-1", type: "game", host: "127.0.0.1", port: 4000)
        var options = SyncOptions()
        change(&options)
        app = try Application(
            Configuration(servers: [record]), id: record.id,
            world: World(
                clock: SystemClock.shared, random: RandomSource(), network: NoNetwork(), transport: NoTransport()))
        redis = port.map { RedisClient(Self.redis($0)) }
        if let redis { try app.use(Cluster(redis)) }
        try app.use(Sync(redis: redis, options: options) { sinks in sinks.map(.level, to: sink) })
        try await app.start()
    }

    func stop() async { await app.stop() }

    static func redis(_ port: String) -> RedisConfiguration {
        RedisConfiguration(.standalone(SocketAddress(host: "127.0.0.1", port: Int(port) ?? 0)))
    }
}

/// Takes everything, and counts it.
@Loop final class CountingSink: SyncSink {
    private(set) var count = 0
    private(set) var first: UInt64 = 0
    private(set) var last: UInt64 = 0
    /// Values by when they came; none while this is 0.
    var bucketNanoseconds: UInt64 = 0
    private(set) var buckets: [Int] = []

    func write(_ batch: [SyncEntry]) async throws -> [SyncOutcome] {
        last = SystemClock.shared.now
        if count == 0 { first = last }
        count += batch.count
        if bucketNanoseconds > 0 {
            let index = Int((last - first) / bucketNanoseconds)
            while buckets.count <= index { buckets.append(0) }
            buckets[index] += batch.count
        }
        return Array(repeating: .written, count: batch.count)
    }
}

final class NoNetwork: Network {
    private static let none = NetworkError(code: "ECONNREFUSED", description: "there is no network")

    func listen(
        on address: SocketAddress, accept: @escaping @Loop (any ByteStream) -> Void
    ) async throws(NetworkError) -> any StreamListener { throw Self.none }

    func connect(to address: SocketAddress, within deadline: Duration) async throws(NetworkError) -> any ByteStream {
        throw Self.none
    }
}

final class NoTransport: RPCTransport {
    func start(_ context: RPCContext) async throws {}
    func call(
        _ server: ServerID, _ procedure: Procedure, _ payload: Bytes, within deadline: Duration
    ) async throws(RPCError) -> Bytes { throw .notSent("there is no other server") }
    func ping(_ server: ServerInfo, within deadline: Duration) async -> Bool { false }
    func proveSecret(to server: ServerInfo) async throws {}
    func stop(within deadline: Duration) async {}
}
