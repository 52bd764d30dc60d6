// SPDX-License-Identifier: MIT
import Logging
import PomeloLoop
import PomeloRedis
import PomeloTesting
import Synchronization
import TestHelpers
import Testing

/// What a client says of its connections.
@Suite struct RedisLogTests {
    @Test @Loop func oneLineTellsThatAClientIsConnectedAndOneOfEachThatComesBack() async throws {
        let server = try await RedisServer.start()
        let log = LineLog()
        let client = RedisClient(server.configuration, name: "told", logger: log.logger)
        try await client.start()
        try await client.subscribe("c") { _ in }
        let first = log.connected
        #expect(first.map { $0["redis.connections"] } == ["commands, control"], "\(first)")
        #expect(first.first?["redis.place"]?.contains("127.0.0.1:\(server.port)") == true, "\(first)")
        _ = try await client.pipeline([RedisCommand("CLIENT", "KILL", "TYPE", "pubsub")])
        await until("the connection for messages is told of") { log.connected.count == 2 }
        #expect(log.connected.last?["redis.connection"] == "told:messages")
        await client.stop()
        await server.stop()
    }

    @Test @Loop func aConnectionAloneTellsOfItself() async throws {
        let server = try await RedisServer.start()
        let log = LineLog()
        let connection = RedisConnection(server.configuration, name: "alone", logger: log.logger)
        try await connection.start()
        #expect(log.connected.map { $0["redis.connection"] } == ["alone"])
        await connection.stop()
        await server.stop()
    }

    @Test @Loop func theNodesOfAClusterAreToldTogether() async throws {
        let cluster = try await RedisClusterServers.start(replicas: 0)
        let seeds = cluster.ports.map { SocketAddress(host: "127.0.0.1", port: $0) }
        let log = LineLog()
        let client = RedisClient(
            RedisConfiguration(.cluster(seeds: seeds)), name: "told", logger: log.logger)
        try await client.start()
        #expect(log.connected.count == 1, "\(log.connected)")
        await client.stop()
        await cluster.stop()
    }
}

/// Lines from the level of a server on.
final class LineLog: Sendable {
    private let lines = Mutex<[(level: Logger.Level, text: String, metadata: [String: String])]>([])

    var logger: Logger { Logger(label: "test") { _ in LineHandler(log: self) } }

    /// What each line about a connection that is there has.
    var connected: [[String: String]] {
        lines.withLock { $0.filter { $0.text == "redis is connected" }.map(\.metadata) }
    }

    /// The reasons of all warnings.
    var warnings: [String] {
        lines.withLock { $0.filter { $0.level >= .warning }.map { "\($0.text): \($0.metadata["redis.reason"] ?? "")" } }
    }

    func note(_ level: Logger.Level, _ text: String, _ metadata: Logger.Metadata) {
        lines.withLock { $0.append((level, text, metadata.mapValues { "\($0)" })) }
    }
}

private struct LineHandler: LogHandler {
    let log: LineLog
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    init(log: LineLog) { self.log = log }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        log.note(event.level, "\(event.message)", metadata.merging(event.metadata ?? [:]) { _, new in new })
    }
}
