// SPDX-License-Identifier: MIT
#if Postgres
    import PomeloBytes
    import PomeloCore
    import PomeloLoop
    import PomeloSync
    import PomeloSyncPostgres
    import PomeloTesting
    import TestHelpers
    import Testing

    extension SyncKey<Int> {
        static let level = SyncKey("level")
    }

    extension SyncKey<String> {
        static let log = SyncKey("log")
    }

    /// The sink on a real server.
    @Suite(
        "with postgres", .serialized,
        .enabled("PostgreSQL is not installed", { await PostgresServer.isInstalled() })
    )
    struct PostgresSyncSinkTests {
        private static let tables = [SQLTable(.level), SQLTable(.log, .entries)]

        private static func entry(_ id: Text?, _ value: String, _ number: UInt64) -> SyncEntry {
            SyncEntry(
                key: id == nil ? "log" : "level", id: id, value: Array(value.utf8),
                version: SyncVersion(number: number, server: "a"))
        }

        @Loop private static func with(
            _ change: (inout PostgresSyncSink.Options) -> Void = { _ in },
            _ body: @Loop (PostgresServer, PostgresSyncSink) async throws -> Void
        ) async throws {
            let server = try await PostgresServer.start()
            var options = PostgresSyncSink.Options()
            options.connect = .seconds(2)
            change(&options)
            let sink = try PostgresSyncSink(server.url(), tables, options: options)
            let result: Result<Void, any Error>
            do {
                try await sink.migrate()
                try await sink.start()
                result = .success(try await body(server, sink))
            } catch {
                result = .failure(error)
            }
            await sink.stop()
            await server.stop()
            try result.get()
        }

        /// All rules on one server, each with tables of its own.
        @Test @Loop func theRulesOfSinks() async throws {
            let server = try await PostgresServer.start()
            for name in SyncSinkSuite.Case.allCases {
                let suite = SyncSinkSuite {
                    let rule = name.rawValue.lowercased()
                    let sink = try PostgresSyncSink(
                        server.url(),
                        [SQLTable(.level, named: "level_\(rule)"), SQLTable(.log, .entries, named: "log_\(rule)")])
                    try await sink.migrate()
                    try await sink.start()
                    return sink
                } spoil: { entry in
                    SyncEntry(key: entry.key, id: entry.id, value: Array("{no".utf8), version: entry.version)
                } setAway: { isAway in
                    if isAway { await server.kill9() } else { try await server.restart() }
                }
                do { try await suite.run(name) } catch { Issue.record("\(name): \(error)") }
            }
            await server.stop()
        }

        @Test @Loop func valuesAreReadAfterARestartAndConfirmedOnesAreThereOnce() async throws {
            try await Self.with { server, sink in
                for _ in 0..<2 {
                    _ = try await sink.write([Self.entry(nil, "\"hi\"", 7), Self.entry(nil, "\"ho\"", 8)])
                }
                _ = try await sink.write([Self.entry("ann", "12", 7)])
                try await server.restart()
                let other = try PostgresSyncSink(server.url(), Self.tables)
                try await other.migrate()
                try await other.start()
                #expect(try await other.value(of: .level, "ann") == 12)
                #expect(try await other.stored("level", "ann")?.version == SyncVersion(number: 7, server: "a"))
                #expect(try await other.entries(of: .log, limit: 9) == ["hi", "ho"])
                await other.stop()
                #expect(
                    await failureText { _ = try await other.write([Self.entry("a", "1", 1)]) }.contains("has stopped"))
            }
        }

        @Test @Loop func aServerThatIsKilledInTheMiddleOfABatchGetsItAgain() async throws {
            try await Self.with { server, sink in
                let batch = (0..<500).map { Self.entry(Text("id-\($0)"), "1", 1) }
                var text = ""
                try await server.locking("sync_level") {
                    let writing = Task { await failureText { _ = try await sink.write(batch) } }
                    try await eventually("the batch waits") {
                        try await server.psql("SELECT count(*) FROM pg_locks WHERE NOT granted") == ["1"]
                    }
                    await server.kill9()
                    text = await writing.value
                }
                #expect(text.contains("PostgreSQL: ") && text != "none")
                #expect(await failureText { _ = try await sink.write(batch) }.contains("refused"))
                try await server.restart()
                #expect(try await sink.write(batch) == batch.map { _ in .written })
                #expect(try await server.psql("SELECT count(*) FROM sync_level") == ["500"])
            }
        }

        @Test @Loop func aLockThatIsHeldForTooLongIsAnOutage() async throws {
            try await Self.with({ $0.statement = .milliseconds(300) }) { server, sink in
                try await server.locking("sync_level") {
                    let text = await failureText { _ = try await sink.write([Self.entry("ann", "1", 1)]) }
                    #expect(text.contains("statement timeout") && text.contains("57014"))
                }
                #expect(try await sink.write([Self.entry("ann", "1", 1)]) == [.written])
            }
        }

        @Test @Loop func aServerThatStandsStillIsGivenUpInTime() async throws {
            try await Self.with({ $0.statement = .milliseconds(100) }) { server, sink in
                let own = "application_name = 'pomelo'"
                let pid = try await server.psql("SELECT pid FROM pg_stat_activity WHERE \(own)").first ?? ""
                try await server.shell("kill -STOP \(pid)")
                let text = await failureText { _ = try await sink.write([Self.entry("ann", "1", 1)]) }
                try await server.shell("kill -CONT \(pid)")
                #expect(text.contains("no answer within"))
                #expect(try await sink.write([Self.entry("ann", "2", 2)]) == [.written])
                #expect(try await sink.value(of: .level, "ann") == 2)
            }
        }

        @Test(.enabled("no disk can be mounted here", { await PostgresServer.canMount() }))
        @Loop func aFullDiskIsAnOutage() async throws {
            let server = try await PostgresServer.start(hasDisk: true)
            let sink = try PostgresSyncSink(server.url(), Self.tables)
            try await sink.migrate()
            try await server.psql("CREATE TABLESPACE small LOCATION '\(server.disk)'")
            try await server.psql("ALTER TABLE sync_level SET TABLESPACE small")
            try await server.psql(
                "CREATE TABLE other TABLESPACE small AS SELECT md5(x::text) FROM generate_series(1, 40000) AS x")
            try await sink.start()
            let random = RandomSource(seed: 1)
            var (batches, text): ([[SyncEntry]], String) = ([], "none")
            while text == "none", batches.count < 100 {
                // Text that is not made shorter.
                let values = (0..<10).map { _ in (0..<1000).map { _ in random.instanceID() }.joined() }
                let first = batches.count * 10
                batches.append(
                    values.enumerated().map { Self.entry(Text("id-\(first + $0.offset)"), "\"\($0.element)\"", 1) })
                text = await failureText { _ = try await sink.write(batches[batches.count - 1]) }
            }
            #expect(text.contains("No space left on device") && text.contains("53100"), "\(text)")
            #expect(await failureText { _ = try await sink.write(batches[batches.count - 1]) }.contains("53100"))
            #expect(try await server.psql("SELECT count(*) FROM sync_level") == ["\(batches.count * 10 - 10)"])
            try await server.psql("DROP TABLE other")
            #expect(try await sink.write(batches[batches.count - 1]) == batches[0].map { _ in .written })
            await sink.stop()
            await server.stop()
        }

        @Test @Loop func oneOfManyThatIsRefusedIsNamed() async throws {
            try await Self.with { server, sink in
                try await server.psql("ALTER TABLE sync_level ADD CONSTRAINT low CHECK ((value #>> '{}')::int < 100)")
                var batch = (0..<100).map { Self.entry(Text("id-\($0)"), "1", 1) }
                batch[17] = Self.entry("id-17", "100", 1)
                batch[40] = Self.entry("a\u{0}b", "1", 1)
                batch[41] = Self.entry("id-41", "\"\\u0000\"", 1)
                let outcomes = try await sink.write(batch)
                #expect(outcomes.count { $0 == .written } == 97)
                #expect("\(outcomes[17])".contains("refused") && "\(outcomes[17])".contains("\"low\\\" (23514)"))
                #expect("\(outcomes[40])".contains("invalid byte sequence"))
                #expect("\(outcomes[41])".contains("22P05"))
            }
        }

        @Test @Loop func whatKeepsAServerFromItsDatabaseIsSaidClearly() async throws {
            let server = try await PostgresServer.start()
            let sink = try PostgresSyncSink(server.url(), Self.tables)
            let missing = await failureText { try await sink.start() }
            #expect(missing.contains("\"sync_level\" does not exist") && missing.contains("migrate()"))
            let stranger = try PostgresSyncSink(server.url(password: "wrong"), Self.tables)
            #expect(await failureText { try await stranger.start() }.contains("password authentication failed"))
            let nobody = try PostgresSyncSink(server.url(port: 1), Self.tables)
            #expect(await failureText { try await nobody.start() }.contains("Connection refused"))
            // Migrated twice, and by somebody else's right.
            try await sink.migrate()
            try await sink.migrate()
            try await sink.start()
            try await server.psql("ALTER SYSTEM SET default_transaction_read_only = on; SELECT pg_reload_conf();")
            try await eventually("the server is read-only") {
                await failureText { _ = try await sink.write([Self.entry("a", "1", 1)]) }.contains(
                    "read-only transaction")
            }
            try await server.psql("ALTER SYSTEM RESET default_transaction_read_only; SELECT pg_reload_conf();")
            try await eventually("the server takes writes") {
                await failureText { _ = try await sink.write([Self.entry("a", "1", 1)]) } == "none"
            }
            try await server.psql("DROP TABLE sync_level")
            #expect(
                await failureText { _ = try await sink.write([Self.entry("a", "2", 2)]) }.contains("does not exist"))
            await sink.stop()
            await server.stop()
        }

        @Test @Loop func bytesStayAsTheyAre() async throws {
            try await Self.with { server, _ in
                let key = SyncKey<Int>("raw", encode: { _ in [] })
                let sink = try PostgresSyncSink(server.url(), [SQLTable(key, format: .bytes, named: "select")])
                try await sink.migrate()
                for (id, bytes) in [("ann", [0, 255, 0, 34]), ("bob", [])] as [(Text, Bytes)] {
                    let version = SyncVersion(number: 1, server: "a")
                    let entry = SyncEntry(key: "raw", id: id, value: bytes, version: version)
                    #expect(try await sink.write([entry]) == [.written])
                    #expect(try await sink.stored("raw", id)?.value == bytes)
                }
                await sink.stop()
            }
        }
    }
#endif
