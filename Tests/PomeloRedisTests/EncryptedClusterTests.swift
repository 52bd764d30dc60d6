// SPDX-License-Identifier: MIT
#if TLS
    import PomeloLoop
    import PomeloTLS
    import PomeloTesting
    import TestHelpers
    import Testing

    @testable import PomeloRedis

    extension WithRedis {
        /// `rediss+cluster://`: nodes that speak TLS and nothing else, among themselves too.
        @Suite struct EncryptedCluster {
            @Test @Loop func slotsMovesMessagesAndTakeoversGoEncrypted() async throws {
                let authority = try await TestAuthority.make()
                try await withCluster(replicas: 1, tls: authority.redis()) { cluster, redis in
                    let keys = (0..<1000).map { "k\($0)" }
                    let sets = try await redis.pipeline(keys.map { RedisCommand("SET", $0, 1) })
                    #expect(sets.allSatisfy { $0 == .status("OK") }, "\(sets.filter(\.isError).prefix(3))")
                    let gets = try await redis.pipeline(keys.map { RedisCommand("GET", $0) })
                    #expect(gets.allSatisfy { $0.int == 1 }, "\(gets.filter { $0.int != 1 }.prefix(3))")
                    let channels = (0..<30).map { "room-\($0)" }
                    let reader = MessageCount(try await redis.shardedMessages(on: channels))
                    func publishAll(_ round: Int) async throws {
                        let sent = channels.map { RedisCommand("SPUBLISH", $0, "\(round)") }
                        for reply in try await redis.pipeline(sent) { _ = try reply.get() }
                    }
                    try await publishAll(1)
                    await until("all have come") { reader.rounds.count { $0.value == 1 } == 30 }

                    // MOVED, which the map of the client does not know of.
                    let slot = KeySlot(of: channels[0]).number
                    let from = try await cluster.owner(of: slot)
                    try await cluster.moveSlot(slot, from: from, to: (from + 1) % 3)
                    #expect(try await redis.send(RedisCommand("INCR", "{\(channels[0])}n")) == .integer(1))
                    await until("the channel that moved has a gap") { reader.gaps.contains(channels[0]) }

                    let dead = try await cluster.killMaster(2)
                    try await cluster.nextMaster(of: 2, after: dead)
                    let lost = Set(
                        channels.filter { (10_923...16_383).contains(KeySlot(of: $0).number) && $0 != channels[0] })
                    await until("all of the dead primary have a gap") { lost.isSubset(of: reader.gaps) }
                    await until("all of it is up again") { redis.isUp }
                    #expect(try await redis.pipeline(keys.map { RedisCommand("INCR", $0) }).allSatisfy { $0.int == 2 })
                    try await publishAll(2)
                    await until("all have come again") { reader.rounds.count { $0.value == 2 } == 30 }
                    try await cluster.nodes[dead].restart()
                    try await cluster.settle()
                    #expect(try await names(at: cluster.nodes[dead]).isEmpty)
                }
            }

            /// A node must have the name that the others call it by: its address, unless the cluster is told better.
            @Test @Loop func nodesHaveTheNamesThatTheClusterCallsThemBy() async throws {
                let authority = try await TestAuthority.make()
                let cluster = try await RedisClusterServers.start(
                    replicas: 0, options: ["--cluster-announce-hostname", "localhost"],
                    tls: authority.redis("DNS:localhost"))
                try await finally({ await cluster.stop() }) {
                    let seeds = cluster.ports.map { SocketAddress(host: "localhost", port: $0) }
                    var configuration = RedisConfiguration(.cluster(seeds: seeds))
                    configuration.tls = authority.clientOptions
                    let failure = try await startFailure(configuration)
                    #expect(failure.text.hasPrefix("redis at 127.0.0.1:"), "\(failure)")
                    #expect(failure.text.hasSuffix(": TLS: the certificate is not believed: IP address mismatch"))
                    #expect(failure.took < 4)

                    configuration.tls?.serverName = "localhost"
                    try await useAll(configuration) { #expect($0.allSatisfy { $0.host == "127.0.0.1" }) }

                    configuration.tls?.serverName = nil
                    for node in cluster.nodes {
                        try await node.command("CONFIG", "SET", "cluster-preferred-endpoint-type", "hostname")
                    }
                    try await useAll(configuration, moving: cluster) {
                        #expect($0.allSatisfy { $0.host == "localhost" })
                    }
                }
            }

            @Test @Loop func aNodeWhoseCertificateHasExpiredIsOneThatIsAway() async throws {
                let authority = try await TestAuthority.make()
                let (good, expired) = (try await authority.issue(), try await authority.issueExpired())
                let log = LineLog()
                let cluster = try await RedisClusterServers.start(
                    replicas: 0, tls: RedisTLS(authorityFile: authority.file, good))
                let redis = RedisClient(cluster.configuration, name: "test", logger: log.logger)
                try await finally({
                    await redis.stop()
                    await cluster.stop()
                }) {
                    try await redis.start()
                    let node = cluster.nodes[1]
                    try await node.show(expired)
                    try await node.command("CLIENT", "KILL", "TYPE", "normal")
                    await until("it is noticed") { !redis.isUp }
                    let text =
                        "redis at 127.0.0.1:\(node.port): TLS: the certificate is not believed: certificate has expired"
                    await until("why is told") { log.warnings.contains { $0.hasSuffix(text) } }
                    // Those of the others are served; those of this one get its reason, and were not sent.
                    let (here, elsewhere) = (key(in: 5461...10_922), key(in: 0...5460))
                    let took = try await seconds { _ = try await redis.send(RedisCommand("SET", elsewhere, 1)) }
                    #expect(took < 1)
                    let refused = await seconds {
                        let error = await failure { () throws(RedisError) in
                            try await redis.send(RedisCommand("INCR", here))
                        }
                        #expect("\(error.map { "\($0)" } ?? "")" == text)
                        #expect(error?.maybeExecuted == false)
                    }
                    #expect(refused < 2)
                    let start = try await startFailure(cluster.configuration)
                    #expect(start.text == text && start.took < 4, "\(start)")
                    // One line for each connection that the client has to it, however often it tries.
                    #expect(log.warnings.count { $0.contains("expired") } <= 2, "\(log.warnings)")
                    try await node.show(good)
                    await until("it is back") { redis.isUp }
                    #expect(try await redis.send(RedisCommand("INCR", here)) == .integer(1))
                }
            }

            /// With a client that does something at every node, and follows a slot if some are told to move one.
            @Loop private func useAll(
                _ configuration: RedisConfiguration, moving cluster: RedisClusterServers? = nil,
                _ check: @Loop ([SocketAddress]) -> Void
            ) async throws {
                let redis = RedisClient(configuration, name: "test", logger: quiet)
                try await redis.start()
                let keys = (0..<300).map { "k\($0)" }
                let sets = try await redis.pipeline(keys.map { RedisCommand("SET", $0, 1) })
                #expect(sets.allSatisfy { $0 == .status("OK") })
                if let cluster {
                    let slot = KeySlot(of: "k1").number
                    let from = try await cluster.owner(of: slot)
                    try await cluster.moveSlot(slot, from: from, to: (from + 1) % 3)
                    #expect(try await redis.send(RedisCommand("INCR", "k1")) == .integer(2))
                }
                check(redis.nodes.compactMap { ($0 as? RedisConnection)?.located })
                await redis.stop()
            }

            private func key(in slots: ClosedRange<Int>) -> String {
                (0...).lazy.map { "k\($0)" }.first { slots.contains(KeySlot(of: $0).number) } ?? ""
            }
        }
    }
#endif
