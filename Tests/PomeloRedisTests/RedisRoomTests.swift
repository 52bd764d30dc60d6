// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

@testable import PomeloRedis

/// Who waits for room among the commands without a reply, at a server that answers as slowly as the test wants.
@Suite struct RedisRoomTests {
    private static let bound = 16
    private static let ping = RedisCommand("PING")
    private static let pingBytes = "*1\r\n$4\r\nPING\r\n".utf8.count

    /// A server that has been sent as much as may be, one command a caller, by a clock that stands still.
    @Loop private func withFullConnection(
        _ body: @Loop (ScriptedServer, RedisConnection, ManualClock, Tally) async throws -> Void
    ) async throws {
        let server = try await ScriptedServer.start()
        server.isSilent = true
        var configuration = server.configuration
        configuration.maxPendingCommands = Self.bound
        let (clock, sent) = (ManualClock(), Tally())
        let redis = RedisConnection(
            configuration, locator: configuration.topology.locator(), name: "test", resolver: Resolver(),
            random: RandomSource(), logger: quiet, clock: clock)
        redis.startInBackground()
        await until("it is connected") { redis.isUp }
        for _ in 0..<Self.bound { Loop.spawn { sent.note(await self.outcome(of: 1, at: redis)) } }
        await until("the connection is full") { server.received == Self.bound * Self.pingBytes }
        try await body(server, redis, clock, sent)
        await redis.stop()
        server.close()
    }

    @Loop private func outcome(of count: Int, at redis: RedisConnection) async -> RedisError? {
        await failure { () throws(RedisError) in
            _ = try await redis.pipeline((0..<count).map { _ in Self.ping })
        }
    }

    @Test @Loop func theFirstInTheLineIsSentAsSoonAsThereIsRoom() async throws {
        try await withFullConnection { server, redis, _, _ in
            Loop.spawn { _ = await self.outcome(of: 1, at: redis) }
            await Loop.yield()
            server.say("+PONG\r\n")
            await until("it is sent") { server.received == (Self.bound + 1) * Self.pingBytes }
        }
    }

    /// The connection stays, for it is answered: nobody else ends what waits in the line.
    @Test @Loop func theLineHasDeadlinesOfItsOwn() async throws {
        try await withFullConnection { server, redis, clock, sent in
            let waits = Tally()
            Loop.spawn { waits.note(await self.outcome(of: 8, at: redis)) }
            await Loop.yield()
            server.say("+PONG\r\n")
            await until("one is answered") { sent.ended == 1 }
            await until("the line has ended") {
                clock.advance(by: .seconds(1))
                return waits.ended == 1
            }
            #expect(waits.outcomes == [.overloaded(limit: Self.bound)])
            #expect(sent.ended == Self.bound && redis.isUp && server.accepted == 1)
        }
    }
}
