// SPDX-License-Identifier: MIT
import Glibc
import PomeloBytes
import PomeloJSON
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

/// The Chat cluster with a Redis that is far away.
@Suite(.serialized) struct SlowRedisTests {
    /// Whoever cleans up after a killed connector is stopped half way; the connector is back and so are its users; then
    /// the cleaner goes on.
    @Test @Loop func aCleanerThatWakesUpLateRemovesNothingOfTheNextInstance() async throws {
        let chat = try await ServerProcesses.prepare("Chat", config: "config")
        let proxy = try await DelayingProxy.start(to: SocketAddress(host: "127.0.0.1", port: chat.redis.port))
        try chat.write("redis", ["development": ["host": "127.0.0.1", "port": .int(Int64(proxy.port))]])
        try await chat.startAll()
        let redis = RedisClient(chat.redis.configuration)
        try await redis.start()
        let names = (0..<70).map { "user\($0)" }
        for name in names { _ = try await enter(name, chat) }
        try await eventually("all are published", within: .seconds(10)) {
            try await chat.redisSet("POMELO:CHANNEL:hall:connector-server-2").count == names.count
        }

        proxy.delay = .milliseconds(80)
        chat["connector-server-2"].signal(SIGKILL)
        _ = try await chat.awaitExit("connector-server-2")
        let cleaner = try await cleaner(of: "connector-server-2", chat, redis)
        try await chat[cleaner].freeze()
        proxy.delay = .milliseconds(5)
        try chat.launch("connector-server-2")
        try await chat.awaitUp("connector-server-2")
        var back: [TestClient] = []
        for name in names {
            back.append(try await enter(name, chat))
        }
        let expected = Set(names.map { "\($0)*hall" })
        try await eventually("all are published again", within: .seconds(10)) {
            Set(try await chat.redisSet("POMELO:CHANNEL:hall:connector-server-2")) == expected
        }
        chat[cleaner].thaw()
        // As long as a slow cleaner would have taken for the rest.
        let end = SystemClock.shared.deadline(after: .seconds(2))
        while SystemClock.shared.now < end {
            let members = Set(try await chat.redisSet("POMELO:CHANNEL:hall:connector-server-2"))
            #expect(members == expected, "missing: \(expected.subtracting(members))")
            for uid in expected {
                let replies = try await redis.pipeline([
                    RedisCommand("SISMEMBER", "POMELO:STATUS:\(uid)", "connector-server-2")
                ])
                #expect(replies.first?.int == 1, "\(uid) is not online")
            }
            await SystemClock.shared.sleep(for: .milliseconds(50))
        }
        #expect(back.allSatisfy { $0.end == nil })
        await redis.stop()
        proxy.stop()
        try await chat.stop()
    }

    /// Through a Redis that is far away, and a machine that may stand still: who is refused tries again.
    @Loop private func enter(_ name: String, _ chat: ServerProcesses) async throws -> TestClient {
        let client = try await chat.connect("connector-server-2")
        client.patience = .seconds(20)
        try await eventually("\(name) comes in", within: .seconds(20)) {
            try await client.request(
                "connector.entryHandler.enter", ["username": .string(name), "rid": "hall"])["users"] != nil
        }
        return client
    }

    /// The server that holds the clean-up token of another, as soon as one does.
    @Loop private func cleaner(of id: String, _ chat: ServerProcesses, _ redis: RedisClient) async throws -> String {
        var found: String?
        try await eventually("somebody cleans up", within: .seconds(20)) {
            guard let token = try await redis.send(RedisCommand("GET", "pomelo:{chat/\(id)}:reap")).string else {
                return false
            }
            let entries = try await redis.send(RedisCommand("HGETALL", "pomelo:{chat}:servers")).dictionary ?? [:]
            let instance = "\"inst\":\"\(token.prefix { $0 != "/" })\""
            found = entries.first { _, entry in entry.contains(instance) }?.key.string
            return found != nil
        }
        return try #require(found)
    }
}
