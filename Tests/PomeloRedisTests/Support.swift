// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

/// Everything that needs a real server; skipped where none is installed.
///
/// One at a time: they measure patience in tenths of seconds, on a loop that they would share.
@Suite(
    "with redis-server", .serialized, .enabled("redis-server is not installed", { await RedisServer.isInstalled() }))
struct WithRedis {}

/// What a call ended with, for calls that are expected to fail.
@Loop func failure(_ body: @Loop () async throws(RedisError) -> Void) async -> RedisError? {
    await thrown(by: body)
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
