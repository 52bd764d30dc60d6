// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloRedis
import TestHelpers
import Testing

/// Who waits for room among the commands without a reply, at a server that answers as slowly as the test wants.
@Suite struct RedisRoomTests {
    private static let bound = 16
    private static let ping = RedisCommand("PING")
    private static let pingBytes = "*1\r\n$4\r\nPING\r\n".utf8.count

    /// A server that has been sent as much as may be, one command a caller.
    @Loop private func withFullConnection(
        timeout: Double, _ body: @Loop (ScriptedServer, RedisConnection) async throws -> Void
    ) async throws {
        let server = try await ScriptedServer.start()
        server.isSilent = true
        var configuration = server.configuration
        configuration.maxPendingCommands = Self.bound
        configuration.commandTimeoutSeconds = timeout
        let redis = RedisConnection(configuration, name: "test", logger: quiet)
        try await redis.start()
        for _ in 0..<Self.bound { Loop.spawn { _ = await self.outcome(of: 1, at: redis) } }
        await until("the connection is full") { server.received == Self.bound * Self.pingBytes }
        try await body(server, redis)
        await redis.stop()
        server.close()
    }

    @Loop private func outcome(of count: Int, at redis: RedisConnection) async -> RedisError? {
        await failure { () throws(RedisError) in
            _ = try await redis.pipeline((0..<count).map { _ in Self.ping })
        }
    }

    @Test @Loop func theFirstInTheLineIsSentAsSoonAsThereIsRoom() async throws {
        try await withFullConnection(timeout: 20) { server, redis in
            Loop.spawn { _ = await self.outcome(of: 1, at: redis) }
            await Loop.yield()
            server.say("+PONG\r\n")
            await until("it is sent") { server.received == (Self.bound + 1) * Self.pingBytes }
        }
    }

    /// The connection stays, for it is answered: nobody else ends what waits in the line.
    @Test @Loop func theLineHasDeadlinesOfItsOwn() async throws {
        try await withFullConnection(timeout: 0.5) { server, redis in
            var outcome: RedisError?
            Loop.spawn { outcome = await self.outcome(of: 8, at: redis) }
            await Loop.yield()
            server.say("+PONG\r\n")
            await until("it has ended") { outcome != nil }
            #expect(outcome == .overloaded(limit: Self.bound))
            #expect(redis.isUp && server.accepted == 1)
        }
    }
}
