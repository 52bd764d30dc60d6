// SPDX-License-Identifier: MIT
package import Logging
import PomeloLoop
package import PomeloRedis
package import PomeloTesting

/// Tests provoke what a server would be warned about.
package var quiet: Logger { Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }) }

/// Runs a test against a server of its own and a started client.
@Loop package func withRedis(
    options: [String] = [], configure: (inout RedisConfiguration) -> Void = { _ in },
    _ body: @Loop (RedisServer, RedisClient) async throws -> Void
) async throws {
    let server = try await RedisServer.start(options: options)
    var configuration = server.configuration
    configure(&configuration)
    let client = RedisClient(configuration, name: "test", logger: quiet)
    let result: Result<Void, any Error>
    do {
        try await client.start()
        result = .success(try await body(server, client))
    } catch {
        result = .failure(error)
    }
    await client.stop()
    await server.stop()
    try result.get()
}

/// Runs a test with a client of a cluster of three primaries.
@Loop package func withCluster(
    replicas: Int = 0, configure: (inout RedisConfiguration) -> Void = { _ in },
    _ body: @Loop (RedisClusterServers, RedisClient) async throws -> Void
) async throws {
    let cluster = try await RedisClusterServers.start(replicas: replicas)
    let seeds = cluster.ports.prefix(2).map { SocketAddress(host: "127.0.0.1", port: $0) }
    var configuration = RedisConfiguration(.cluster(seeds: seeds))
    configure(&configuration)
    let client = RedisClient(configuration, name: "test", logger: quiet)
    let result: Result<Void, any Error>
    do {
        try await client.start()
        result = .success(try await body(cluster, client))
    } catch {
        result = .failure(error)
    }
    await client.stop()
    await cluster.stop()
    try result.get()
}
