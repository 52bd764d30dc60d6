// SPDX-License-Identifier: MIT
import Glibc
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

extension WithRedis {
    /// Connections over a Unix-domain socket.
    @Suite struct Paths {
        private static func path(_ name: String) -> String { "/tmp/pomelo-redis-\(getpid())-\(name).sock" }

        @Loop private static func client(_ path: String) throws -> RedisClient {
            RedisClient(try RedisConfiguration(url: "redis+unix://\(path)?db=1"), name: "test", logger: quiet)
        }

        @Test @Loop func commandsAndMessagesGoOverAPath() async throws {
            let path = Self.path("all")
            // A server that is killed leaves it.
            defer { unsafe unlink(path) }
            try await withRedis(options: ["--unixsocket", path]) { _, overTCP in
                let redis = try Self.client(path)
                try await redis.start()
                try await redis.send(RedisCommand("SET", "k", "v"))
                #expect(try await overTCP.send(RedisCommand("EXISTS", "k")).int == 0)
                var heard: [String] = []
                try await redis.subscribe("c") { heard.append(String(decoding: $0, as: UTF8.self)) }
                try await overTCP.send(RedisCommand("PUBLISH", "c", "hello"))
                await until("it has arrived") { heard == ["hello"] }
                let clients = try await redis.send(RedisCommand("CLIENT", "LIST")).string ?? ""
                #expect(clients.contains("addr=\(path):0 ") && clients.contains(" name=test:control "))
                // Larger than what a socket takes at once.
                let large = String(repeating: "x", count: 4 << 20)
                try await redis.send(RedisCommand("SET", "large", large))
                #expect(try await redis.send(RedisCommand("STRLEN", "large")).int == 4 << 20)
                await redis.stop()
            }
        }

        @Test @Loop func aServerThatComesBackIsFoundAtItsPath() async throws {
            let path = Self.path("back")
            // A server that is killed leaves it.
            defer { unsafe unlink(path) }
            try await withRedis(options: ["--unixsocket", path]) { server, _ in
                let redis = try Self.client(path)
                try await redis.start()
                let first = redis.runID
                await server.kill9()
                await until("it is gone") { !redis.isUp }
                try await server.restart()
                await until("it is back") { redis.isUp }
                #expect(redis.runID != first)
                await redis.stop()
            }
        }

        @Test @Loop func whereNoServerListensTheErrorNamesThePathAndTheReason() async throws {
            let missing = try Self.client(Self.path("missing"))
            let none = await failure { () throws(RedisError) in try await missing.start(within: .milliseconds(200)) }
            #expect(none?.description.contains(Self.path("missing")) == true)
            #expect(none?.description.contains("no such file") == true, "\(String(describing: none))")

            let long = try Self.client("/tmp/" + String(repeating: "x", count: 200))
            let refused = await failure { () throws(RedisError) in try await long.start(within: .milliseconds(200)) }
            #expect(refused?.description.contains("name too long") == true, "\(String(describing: refused))")
        }

        /// Root may do everything.
        @Test(.enabled(if: geteuid() != 0)) @Loop func withoutARightToTheFileTheErrorSaysSo() async throws {
            let path = Self.path("closed")
            // A server that is killed leaves it.
            defer { unsafe unlink(path) }
            try await withRedis(options: ["--unixsocket", path, "--unixsocketperm", "400"]) { _, _ in
                let redis = try Self.client(path)
                let error = await failure { () throws(RedisError) in try await redis.start(within: .milliseconds(200)) }
                #expect(error?.description.contains("permission denied") == true, "\(String(describing: error))")
            }
        }
    }
}
