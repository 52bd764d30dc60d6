// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloGlobalChannel
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

/// The rules of a channel store once more, for the one in a Redis in memory.
@Suite(.onEachLayout) struct FakeRedisStoreTests {
    @Test(arguments: ChannelStoreSuite.Case.allCases)
    @Loop func rule(_ rule: ChannelStoreSuite.Case) async throws {
        let redis = FakeRedis(clock: ManualClock(), isCluster: RedisLayout.current.isCluster)
        try await ChannelStoreSuite(
            { RedisChannelStore(redis: redis.client(), prefix: $0) },
            took: { server, instance in
                _ = try await redis.send(
                    RedisCommand("HSET", "pomelo:{pomelo/\(server)}:lease", "inst", instance.rawValue))
            }
        ).run(rule)
    }
}
