// SPDX-License-Identifier: MIT
#if TLS
    import PomeloLoop
    import PomeloRedis
    import PomeloTLS
    import PomeloTesting
    import PomeloUV
    import TestHelpers
    import Testing

    /// Encrypted connections to a real server.
    @Loop @Suite struct RedisTLSTests {
        @Test func everythingIsSaidEncrypted() async throws {
            let server = try await EncryptedRedis.start()
            try await server.withClient { client in
                #expect(try await client.send(RedisCommand("SET", "k", "v")) == .status("OK"))
                let long = String(repeating: "0123456789abcdef", count: 80_000)
                #expect(try await client.send(RedisCommand("SET", "long", long)) == .status("OK"))
                #expect(try await client.send(RedisCommand("GET", "long")).string == long)
                let replies = try await client.pipeline((0..<500).map { _ in RedisCommand("INCR", "n") })
                #expect(replies.last == .integer(500))
                let messages = try await client.messages(on: ["c"])
                #expect(try await client.send(RedisCommand("PUBLISH", "c", "hello")) == .integer(1))
                var iterator = messages.makeAsyncIterator()
                let first = await iterator.next()
                #expect(first == .message(channel: "c", payload: Array("hello".utf8)))
            }
            await server.stop()
        }

        @Test func aConnectionThatIsLostIsMadeAgain() async throws {
            let server = try await EncryptedRedis.start()
            try await server.withClient { client in
                _ = try await client.send(RedisCommand("SET", "k", "v"))
                _ = try await server.redis.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                try await eventually("it answers again") {
                    (try? await client.send(RedisCommand("PING"))) == .status("PONG")
                }
            }
            await server.stop()
        }

        @Test func whatComesTogetherWithTheEndCounts() async throws {
            let authority = try await TestAuthority.make()
            let tls = try TLSServer(try await authority.issue(), clock: SystemClock.shared)
            let server = try await CommandServer.start(over: { raw in
                do {
                    return try tls.accept(raw)
                } catch {
                    Issue.record(error)
                    return raw
                }
            })
            server.answer = { words, peer in
                guard words[0] == "GET" else { return nil }
                peer.end(saying: "+last\r\n")
                return ""
            }
            var configuration = RedisConfiguration(host: "127.0.0.1", port: server.port)
            configuration.tls = authority.clientOptions
            let client = RedisClient(configuration, logger: quiet)
            try await client.start()
            for _ in 0..<5 {
                await until("it is there") { client.isUp }
                #expect(try await client.send(RedisCommand("GET", "k")) == .status("last"))
            }
            await client.stop()
            server.close()
        }

        @Test func whoIsNotBelievedIsNamedInOneLine() async throws {
            let server = try await EncryptedRedis.start(names: "DNS:example.org")
            let text = await server.failure(server.authority.clientOptions)
            #expect(text.contains("TLS: the certificate is not believed: IP address mismatch"), "\(text)")
            // The name that the server does have.
            var named = server.authority.clientOptions
            named.serverName = "example.org"
            try await server.withClient(named) {
                let reply = try await $0.send(RedisCommand("PING"))
                #expect(reply == .status("PONG"))
            }
            let stranger = try await TestAuthority.make()
            let other = await server.failure(stranger.clientOptions)
            #expect(other.contains("TLS: the certificate is not believed: "), "\(other)")
            await server.stop()
        }

        @Test func aServerInTheClearIsNoServerOfTLS() async throws {
            let redis = try await RedisServer.start()
            var configuration = redis.configuration
            configuration.tls = TLSClientOptions()
            configuration.tls?.verifiesServer = false
            let text = await EncryptedRedis.failure(configuration, within: 0.5)
            // It takes the first bytes for a command that has not ended yet, unless one of them ends a line.
            #expect(text.contains("within 500 ms") || text.contains("TLS: no TLS handshake"), "\(text)")
            await redis.stop()
        }

        @Test func aServerMayAskForACertificate() async throws {
            let server = try await EncryptedRedis.start(asksClients: true)
            let text = await server.failure(server.authority.clientOptions)
            #expect(text.contains("TLS: "), "\(text)")
            let own = try await server.authority.issue("DNS:client")
            var known = server.authority.clientOptions
            (known.certificateFile, known.keyFile) = (own.certificateFile, own.keyFile)
            try await server.withClient(known) {
                let reply = try await $0.send(RedisCommand("PING"))
                #expect(reply == .status("PONG"))
            }
            await server.stop()
        }
    }

    /// A real server with a certificate.
    @Loop private struct EncryptedRedis {
        let authority: TestAuthority
        let redis: RedisServer
        let port: Int

        static func start(
            names: String = "DNS:localhost,IP:127.0.0.1", asksClients: Bool = false
        ) async throws -> EncryptedRedis {
            let authority = try await TestAuthority.make()
            let own = try await authority.issue(names)
            let port = try await TestPorts.next()
            let redis = try await RedisServer.start(options: [
                "--tls-port", "\(port)", "--tls-cert-file", own.certificateFile, "--tls-key-file", own.keyFile,
                "--tls-ca-cert-file", authority.file, "--tls-auth-clients", asksClients ? "yes" : "no",
            ])
            return EncryptedRedis(authority: authority, redis: redis, port: port)
        }

        func configuration(_ options: TLSClientOptions) -> RedisConfiguration {
            var configuration = RedisConfiguration(host: "127.0.0.1", port: port)
            configuration.tls = options
            // Megabytes of one reply, while the tests beside these keep the loop busy for seconds.
            configuration.commandTimeoutSeconds = 20
            return configuration
        }

        func withClient(
            _ options: TLSClientOptions? = nil, _ body: @Loop (RedisClient) async throws -> Void
        ) async throws {
            let client = RedisClient(configuration(options ?? authority.clientOptions), logger: quiet)
            try await client.start()
            try await finally({ await client.stop() }) { try await body(client) }
        }

        func failure(_ options: TLSClientOptions) async -> String {
            await Self.failure(configuration(options), within: 3)
        }

        /// Why nothing can be started, within so many seconds.
        static func failure(_ configuration: RedisConfiguration, within seconds: Double) async -> String {
            var configuration = configuration
            (configuration.connectTimeoutSeconds, configuration.startTimeoutSeconds) = (seconds, seconds)
            let client = RedisClient(configuration, logger: quiet)
            do {
                try await client.start()
                await client.stop()
                return "started"
            } catch {
                return "\(error)"
            }
        }

        func stop() async { await redis.stop() }
    }
#endif
