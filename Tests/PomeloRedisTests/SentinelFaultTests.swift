// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloRedis
import TestHelpers
import Testing

/// Sentinels that say too much.
@Suite(.serialized) struct SentinelFaultTests {
    private static let primary = "mymaster"

    /// A sentinel that names one of two servers.
    @Loop private func sentinel(_ named: @escaping @Loop () -> CommandServer) async throws -> CommandServer {
        let server = try await CommandServer.start("sentinel")
        server.answer = { words, _ in
            guard words[0] == "SENTINEL" else { return nil }
            guard words[1] == "GET-MASTER-ADDR-BY-NAME" else { return "*0\r\n" }
            return "*2\r\n" + CommandServer.bulk("127.0.0.1") + CommandServer.bulk("\(named().port)")
        }
        return server
    }

    @Loop private func client(_ sentinel: CommandServer) -> RedisClient {
        let address = RedisSentinelAddress([sentinel.place], primary: Self.primary)
        return RedisClient(RedisConfiguration(.sentinel(address)), name: "test", logger: quiet)
    }

    /// A simulation beside it may have the loop for longer than a sentinel has for its answer.
    @Loop private func started(_ sentinel: CommandServer) async throws -> RedisClient {
        for _ in 0..<4 {
            let redis = client(sentinel)
            do {
                try await redis.start()
                return redis
            } catch { continue }
        }
        let redis = client(sentinel)
        try await redis.start()
        return redis
    }

    @Test @Loop func aFloodOfNewsMakesFewConnections() async throws {
        let (one, two) = (try await CommandServer.start(), try await CommandServer.start())
        let named = Current(one)
        let server = try await sentinel { named.value }
        let redis = try await started(server)
        await until("the news are listened to") { server.count("SUBSCRIBE") == 1 }
        let listener = try #require(server.peers.first { $0.isOpen })
        for number in 1...200 {
            let former = named.value
            named.value = number % 2 == 0 ? one : two
            let words = "\(Self.primary) 127.0.0.1 \(former.port) 127.0.0.1 \(named.value.port)"
            listener.say(CommandServer.message("+switch-master", words))
            await Loop.yield()
        }
        named.value = two
        listener.say(CommandServer.message("+switch-master", "\(Self.primary) h 1 127.0.0.1 \(two.port)"))
        await until("it is at the last place") { redis.isUp && redis.runID == "run\(two.port)" }
        let made = one.peers.count + two.peers.count
        #expect(made < 16, "\(made)")
        await redis.stop()
        for server in [one, two, server] { server.close() }
    }

    /// Another place at each question: two connections would send each other around.
    @Test @Loop func aSentinelThatAlwaysNamesAnotherPlaceIsAskedWithPauses() async throws {
        let (one, two) = (try await CommandServer.start(), try await CommandServer.start())
        var asked = 0
        let server = try await sentinel {
            asked += 1
            return asked % 2 == 0 ? one : two
        }
        let redis = try await started(server)
        // One is lost alone, and asks alone.
        (one.peers + two.peers).first { $0.isOpen }?.close()
        let took = await seconds { await until("it is asked again and again") { asked >= 9 } }
        #expect(took > 1, "\(took)")
        await redis.stop()
        for server in [one, two, server] { server.close() }
    }
}
