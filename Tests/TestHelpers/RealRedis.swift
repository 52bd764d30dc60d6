// SPDX-License-Identifier: MIT
package import Logging
package import PomeloLoop
package import PomeloRedis
package import PomeloTLS
package import PomeloTesting
import Testing

/// Tests provoke what a server would be warned about.
package var quiet: Logger { Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }) }

/// Runs a test against a server of its own and a started client, or against the suite's (`onEachRedis`), emptied.
///
/// The server is the primary then, or a node of the cluster; `options` are for one of the test's own.
@Loop package func withRedis(
    options: [String] = [], configure: (inout RedisConfiguration) -> Void = { _ in },
    _ body: @Loop (RedisServer, RedisClient) async throws -> Void
) async throws {
    if let shared = SharedRedis.current {
        let server = try await shared.empty()
        return try await withClient(shared.configuration, configure) { try await body(server, $0) }
    }
    let server = try await RedisServer.start(options: options)
    try await finally({ await server.stop() }) {
        try await withClient(server.configuration, configure) { try await body(server, $0) }
    }
}

/// Runs a test with a client of a cluster of three primaries.
@Loop package func withCluster(
    replicas: Int = 0, tls: RedisTLS? = nil, configure: (inout RedisConfiguration) -> Void = { _ in },
    _ body: @Loop (RedisClusterServers, RedisClient) async throws -> Void
) async throws {
    let cluster = try await RedisClusterServers.start(replicas: replicas, tls: tls)
    try await finally({ await cluster.stop() }) {
        try await withClient(cluster.configuration, configure) { try await body(cluster, $0) }
    }
}

extension RedisClusterServers {
    /// Of a client that is told two of the nodes.
    package var configuration: RedisConfiguration {
        let seeds = ports.prefix(2).map { SocketAddress(host: "127.0.0.1", port: $0) }
        var configuration = RedisConfiguration(.cluster(seeds: seeds))
        configuration.tls = nodes.first?.tls?.clientOptions
        return configuration
    }
}

/// How often slots were moved.
@Loop package final class SlotMoves {
    package fileprivate(set) var count = 0
    fileprivate var isOver = false
}

extension RedisClusterServers {
    /// Moves slots from master to master, all of them in each round, as long as `body` runs.
    package func moving(_ slots: [Int], _ body: @Loop (SlotMoves) async throws -> Void) async throws {
        let moves = SlotMoves()
        let mover = Loop.spawn {
            do {
                while !moves.isOver {
                    for slot in slots {
                        let from = try await self.owner(of: slot)
                        try await self.moveSlot(slot, from: from, to: (from + 1) % self.shards)
                    }
                    moves.count += 1
                }
            } catch {
                Issue.record(error)
            }
        }
        try await finally({
            moves.isOver = true
            await mover.value
        }) { try await body(moves) }
    }
}

extension RedisSentinels {
    /// All of the sentinels, with their own password if they ask for one.
    package func address(password: String? = nil) -> RedisSentinelAddress {
        RedisSentinelAddress(
            sentinelPorts.map { SocketAddress(host: "127.0.0.1", port: $0) }, primary: Self.name, password: password)
    }

    /// Of a client that is told the sentinels.
    package func configuration(password: String? = nil) -> RedisConfiguration {
        var configuration = RedisConfiguration(.sentinel(address(password: password)))
        configuration.tls = servers.first?.tls?.clientOptions
        return configuration
    }
}

extension RedisServer {
    /// Shows another certificate to who connects from now on; connections that are there stay.
    package func show(_ certificate: TLSServerOptions) async throws {
        try await command(
            "CONFIG", "SET", "tls-cert-file", certificate.certificateFile, "tls-key-file", certificate.keyFile)
    }
}

/// With a client that is started, and stopped at the end.
@Loop private func withClient(
    _ configuration: RedisConfiguration, _ configure: (inout RedisConfiguration) -> Void,
    _ body: @Loop (RedisClient) async throws -> Void
) async throws {
    var configuration = configuration
    configure(&configuration)
    let client = RedisClient(configuration, name: "test", logger: quiet)
    try await finally({ await client.stop() }) {
        try await client.start()
        try await body(client)
    }
}

/// Does the last thing also after an error.
@Loop package func finally(_ last: @Loop () async -> Void, _ body: @Loop () async throws -> Void) async throws {
    let result: Result<Void, any Error>
    do {
        result = .success(try await body())
    } catch {
        result = .failure(error)
    }
    await last()
    try result.get()
}
