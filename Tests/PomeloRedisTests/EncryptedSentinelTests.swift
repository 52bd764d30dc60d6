// SPDX-License-Identifier: MIT
#if TLS
    import PomeloLoop
    import PomeloRedis
    import PomeloTLS
    import PomeloTesting
    import TestHelpers
    import Testing

    extension WithRedis {
        /// `rediss+sentinel://`: sentinels and servers that speak TLS and nothing else.
        @Suite struct EncryptedSentinels {
            @Test @Loop func failOversAreFollowedAndTheFormerPrimaryIsLeft() async throws {
                let authority = try await TestAuthority.make()
                try await withSentinels(tls: authority.redis()) { all, redis in
                    let heard = Subscriptions.Heard()
                    redis.onGap = { heard.gaps.append($0) }
                    try await redis.subscribe("news") { heard.hear($0) }
                    let writer = Sentinels.Writer(redis)
                    let next = try await all.failOver()
                    let before = writer.written
                    try await eventually("writes go on", within: .seconds(5)) { writer.written > before + 20 }
                    try await eventually("the messages' connection has moved") { !heard.gaps.isEmpty }
                    _ = try await redis.send(RedisCommand("PUBLISH", "news", "here"))
                    await until("it is heard") { heard.texts.contains("here") }
                    #expect(try await next.info("run_id") == redis.runID)

                    try await all.settle()
                    let former = try await all.killPrimary()
                    let last = try await all.nextPrimary(after: former)
                    let then = writer.written
                    try await eventually("writes go on again", within: .seconds(5)) { writer.written > then + 20 }
                    try await former.restart()
                    try await all.settle()
                    let settled = writer.written
                    await until("it writes on") { writer.written > settled + 20 }
                    writer.stop()
                    #expect(try await former.info("role") == "slave")
                    #expect(try await names(at: former).isEmpty)
                    #expect(try await names(at: last) == ["test", "test:control", "test:messages"])
                    #expect(try await last.info("run_id") == redis.runID)
                }
            }

            @Test @Loop func aSentinelThatIsNotBelievedIsToldOnceAndAnotherOneAsked() async throws {
                let (authority, stranger) = (try await TestAuthority.make(), try await TestAuthority.make())
                var tls = try await authority.redis()
                // They believe each other all the same.
                tls.authorityFile = try authority.file(with: stranger)
                let strange = RedisTLS(authorityFile: tls.authorityFile, try await stranger.issue())
                try await withSentinels(starts: false, tls: tls) { all, _ in
                    try await all.sentinels[0].restart(with: strange)
                    var configuration = all.configuration()
                    configuration.tls = authority.clientOptions
                    let log = LineLog()
                    let redis = RedisClient(configuration, name: "test", logger: log.logger)
                    let took = try await seconds { try await redis.start() }
                    #expect(took < 2)
                    #expect(try await redis.send(RedisCommand("SET", "a", 1)) == .status("OK"))
                    await redis.stop()
                    let text =
                        "the sentinel at 127.0.0.1:\(all.sentinelPorts[0]): TLS: the certificate is not believed: "
                    #expect(log.warnings.count == 1, "\(log.warnings)")
                    #expect(log.warnings[0].hasPrefix("a sentinel cannot be asked: \(text)"), "\(log.warnings)")

                    for sentinel in all.sentinels.dropFirst() { try await sentinel.restart(with: strange) }
                    let failure = try await startFailure(configuration)
                    #expect(
                        failure.text.hasPrefix("no sentinel says where the primary \"mymaster\" is: the sentinel at"))
                    #expect(failure.text.contains(text), "\(failure.text)")
                    #expect(!failure.text.contains("\n") && failure.took < 4, "\(failure)")
                }
            }

            @Test @Loop func aPrimaryWhoseCertificateHasExpiredIsUsedOnceItHasAnother() async throws {
                let authority = try await TestAuthority.make()
                let (good, expired) = (try await authority.issue(), try await authority.issueExpired())
                try await withSentinels(tls: RedisTLS(authorityFile: authority.file, good)) { all, redis in
                    let primary = try await all.primary()
                    try await primary.show(expired)
                    let failure = try await startFailure(redis.configuration)
                    let text =
                        "127.0.0.1:\(primary.port): TLS: the certificate is not believed: certificate has expired"
                    #expect(failure.text.hasSuffix(text) && failure.took < 4, "\(failure)")
                    // Who is connected already stays so.
                    #expect(try await redis.send(RedisCommand("SET", "a", 1)) == .status("OK"))
                    try await primary.command("CLIENT", "KILL", "TYPE", "normal")
                    await until("it is refused") { redis.isUp == false }
                    try await primary.show(good)
                    await until("it is back") { redis.isUp }
                }
            }

            /// Sentinels tell addresses, whatever the names of the servers are.
            @Test @Loop func allHaveTheNameThatIsSaidInTheConfiguration() async throws {
                let authority = try await TestAuthority.make()
                try await withSentinels(starts: false, tls: authority.redis("DNS:redis.example")) { all, _ in
                    var configuration = all.configuration()
                    let failure = try await startFailure(configuration)
                    #expect(failure.text.contains("TLS: the certificate is not believed: IP address mismatch"))
                    configuration.tls?.serverName = "redis.example"
                    let redis = RedisClient(configuration, name: "test", logger: quiet)
                    try await redis.start()
                    try await all.failOver()
                    try await eventually("writes go on") {
                        (try? await redis.send(RedisCommand("SET", "a", 1))) == .status("OK")
                    }
                    await redis.stop()
                }
            }
        }
    }

    extension RedisServer {
        fileprivate func restart(with tls: RedisTLS) async throws {
            self.tls = tls
            try await restart()
        }
    }

    /// Why nothing can be started, and how many seconds it took to say so.
    @Loop func startFailure(_ configuration: RedisConfiguration) async throws -> (text: String, took: Double) {
        let client = RedisClient(configuration, name: "other", logger: quiet)
        var error: RedisError?
        let took = await seconds {
            error = await failure { () throws(RedisError) in try await client.start(within: .seconds(3)) }
        }
        await client.stop()
        return (error.map { "\($0)" } ?? "it started", took)
    }
#endif
