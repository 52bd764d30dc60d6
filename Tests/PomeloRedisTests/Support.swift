// SPDX-License-Identifier: MIT
import Logging
import PomeloLoop
import PomeloRedis
import PomeloTesting
import Testing

/// Everything that needs a real server; skipped where none is installed.
///
/// One at a time: they measure patience in tenths of seconds, on a loop that they would share.
@Suite(
    "with redis-server", .serialized, .enabled("redis-server is not installed", { await RedisServer.isInstalled() }))
struct WithRedis {}

/// Runs a test against a server of its own and a started client.
@Loop func withClient(
    options: [String] = [], configure: (inout RedisConfiguration) -> Void = { _ in },
    _ body: @Loop (RedisServer, RedisClient) async throws -> Void
) async throws {
    let server = try await RedisServer.start(options: options)
    var configuration = server.configuration
    configure(&configuration)
    let client = RedisClient(configuration, name: "test", logger: quiet)
    do {
        try await client.start()
        try await body(server, client)
    } catch {
        await client.stop()
        await server.stop()
        throw error
    }
    await client.stop()
    await server.stop()
}

/// Tests provoke what a server would be warned about.
var quiet: Logger { Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }) }

/// Returns when the condition holds; records a failure when it does not within 10 s.
@Loop func until(
    _ what: String, at location: SourceLocation = #_sourceLocation, _ condition: @Loop () -> Bool
) async {
    let deadline = SystemClock.shared.deadline(after: .seconds(10))
    while !condition() {
        guard SystemClock.shared.now < deadline else {
            Issue.record("never became true: \(what)", sourceLocation: location)
            return
        }
        await SystemClock.shared.sleep(for: .milliseconds(2))
    }
}

/// What a call ended with, for calls that are expected to fail.
@Loop func failure(_ body: @Loop () async throws(RedisError) -> Void) async -> RedisError? {
    do throws(RedisError) {
        try await body()
        return nil
    } catch {
        return error
    }
}

/// Seconds that `body` took.
@Loop func seconds(_ body: @Loop () async throws -> Void) async rethrows -> Double {
    let start = SystemClock.shared.now
    try await body()
    return Double(SystemClock.shared.now - start) / 1e9
}

/// Counts down the calls that are still running.
@Loop final class Tally {
    var ended = 0
    var outcomes: [RedisError?] = []

    func note(_ outcome: RedisError?) {
        ended += 1
        outcomes.append(outcome)
    }
}
