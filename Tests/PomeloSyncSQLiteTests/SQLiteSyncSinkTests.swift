// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloSync
import PomeloSyncSQLite
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

extension SyncKey<Int> {
    static let level = SyncKey("level")
}

extension SyncKey<String> {
    static let log = SyncKey("log")
}

/// The sink on the real library, on files of a folder that goes with each test.
@Suite struct SQLiteSyncSinkTests {
    static let tables = [SQLTable(.level), SQLTable(.log, .entries)]

    @Test(arguments: SyncSinkSuite.Case.allCases) @Loop func theRulesOfSinks(_ name: SyncSinkSuite.Case) async throws {
        try await withFolder { folder in
            let suite = SyncSinkSuite {
                let sink = try folder.sink()
                try await sink.migrate()
                try await sink.start()
                return sink
            } spoil: { entry in
                SyncEntry(key: entry.key, id: entry.id, value: Array("{no".utf8), version: entry.version)
            } setAway: { isAway in
                try await folder.shell(
                    isAway ? "mv game.sqlite away && mkdir game.sqlite" : "rmdir game.sqlite && mv away game.sqlite")
            }
            try await suite.run(name)
        }
    }

    @Test @Loop func valuesAreReadAfterARestart() async throws {
        try await withFolder { folder in
            let first = try await folder.started()
            let version = SyncVersion(number: 7, server: "chat-1")
            _ = try await first.write([SyncEntry(key: "level", id: "ann", value: Array("12".utf8), version: version)])
            _ = try await first.write([SyncEntry(key: "log", id: nil, value: Array("\"hi\"".utf8), version: version)])
            // What was confirmed is not there twice.
            _ = try await first.write([SyncEntry(key: "log", id: nil, value: Array("\"hi\"".utf8), version: version)])
            await first.stop()
            let second = try await folder.started()
            #expect(try await second.value(of: .level, "ann") == 12)
            #expect(try await second.value(of: .level, "bob") == nil)
            #expect(try await second.stored("level", "ann")?.version == version)
            #expect(try await second.entries(of: .log, limit: 10) == ["hi"])
            await second.stop()
        }
    }

    @Test @Loop func tablesAreMadeOnceAndWhenAsked() async throws {
        try await withFolder { folder in
            let sink = try folder.sink()
            #expect(await failureText { try await sink.start() }.contains("unable to open database file"))
            try await folder.shell(
                "python3 -c \"import sqlite3; sqlite3.connect('game.sqlite').execute('create table other (id)')\"")
            let text = await failureText { try await sink.start() }
            #expect(text.contains("no such table: sync_level") && text.contains("migrate()"))
            try await sink.migrate()
            try await sink.start()
            _ = try await sink.write([folder.entry("ann", "1", 1)])
            try await sink.migrate()
            #expect(try await sink.value(of: .level, "ann") == 1)
            await sink.stop()
        }
    }

    /// All keys have one thread: what waits behind a long batch goes back, and does not count as the sink's silence.
    @Test @Loop func batchesOfManyKeysDoNotWaitForTheFileOneAfterTheOther() async throws {
        try await withFolder { folder in
            let sink = try await folder.started {
                $0.busy = .milliseconds(500)
                $0.queue = .milliseconds(100)
            }
            let locked = try await folder.locked()
            let texts = Journal<String>()
            for id in 0..<10 {
                Loop.spawn {
                    texts.note(await failureText { _ = try await sink.write([folder.entry(Text("\(id)"), "1", 1)]) })
                }
            }
            await until("all have heard") { texts.entries.count == 10 }
            #expect(texts.entries.filter { $0.contains("database is locked") }.count == 1, "\(texts.entries)")
            #expect(texts.entries.filter { $0.contains("took longer than") }.count == 9, "\(texts.entries)")
            await locked.end()
            #expect(try await sink.write([folder.entry("ann", "1", 1)]) == [.written])
            await sink.stop()
        }
    }

    @Test @Loop func aFileThatIsLockedIsAnOutageThatNamesIt() async throws {
        try await withFolder { folder in
            let sink = try await folder.started { $0.busy = .milliseconds(50) }
            let other = try await folder.started()
            let locked = try await folder.locked()
            let text = await failureText { _ = try await sink.write([folder.entry("ann", "1", 1)]) }
            #expect(text.contains("database is locked") && text.contains("game.sqlite"))
            // Reading goes on.
            #expect(try await sink.value(of: .level, "ann") == nil)
            await locked.end()
            #expect(try await sink.write([folder.entry("ann", "1", 1)]) == [.written])
            #expect(try await other.value(of: .level, "ann") == 1)
            await sink.stop()
            await other.stop()
        }
    }

    @Test @Loop func aFullFileIsAnOutageAndNothingOfTheBatchIsThere() async throws {
        try await withFolder { folder in
            let sink = try await folder.started { $0.maxPages = 20 }
            let text = String(repeating: "x", count: 3000)
            let batch = (0..<50).map { folder.entry(Text("id-\($0)"), "\"\(text)\"", 1) }
            #expect(await failureText { _ = try await sink.write(batch) }.contains("full"))
            #expect(try await sink.stored("level", "id-0") == nil)
            #expect(try await sink.write([batch[0]]) == [.written])
            await sink.stop()
        }
    }

    @Test @Loop func oneOfManyThatIsRefusedIsNamed() async throws {
        try await withFolder { folder in
            let sink = try await folder.started()
            let outcomes = try await sink.write([
                folder.entry("ann", "1", 1), folder.entry("bob", "", 1), folder.entry("cid", "2", UInt64.max),
                SyncEntry(key: "other", id: "x", value: [1], version: SyncVersion(number: 1, server: "a")),
            ])
            #expect(outcomes[0] == .written)
            #expect("\(outcomes[1])".contains("refused") && "\(outcomes[1])".contains("CHECK constraint failed"))
            #expect("\(outcomes[2])".contains("beyond a database"))
            #expect("\(outcomes[3])".contains("no table was given for values of the key \\\"other\\\""))
            await sink.stop()
        }
    }

    @Test @Loop func aClosedSinkSaysSo() async throws {
        try await withFolder { folder in
            let sink = try await folder.started()
            await sink.stop()
            #expect(await failureText { _ = try await sink.write([folder.entry("a", "1", 1)]) }.contains("has stopped"))
            #expect(await failureText { _ = try await sink.stored("level", "a") }.contains("has stopped"))
        }
    }

    @Test @Loop func aReadOnlyFileIsAnOutageThatSaysSo() async throws {
        try await withFolder { folder in
            try await folder.started().stop()
            // Root may write to a file whose mode forbids it, and nobody to one of this kind.
            guard await folder.canMakeImmutable() else { return }
            try await folder.shell("chattr +i game.sqlite")
            let sink = try folder.sink()
            let text = await failureText {
                try await sink.start()
                _ = try await sink.write([folder.entry("ann", "1", 1)])
            }
            try await folder.shell("chattr -i game.sqlite")
            #expect(text.contains("readonly") || text.contains("unable to open"), "\(text)")
            #expect(try await sink.write([folder.entry("ann", "1", 1)]) == [.written])
            await sink.stop()
        }
    }

    @Test @Loop func aDamagedFileIsAnErrorAndAMendedOneIsOpenedAgain() async throws {
        try await withFolder { folder in
            try await folder.shell("head -c 20000 /dev/urandom >game.sqlite")
            let sink = try folder.sink()
            #expect(await failureText { try await sink.start() }.contains("not a database"))
            try await folder.shell("rm game.sqlite")
            try await sink.migrate()
            try await sink.start()
            #expect(try await sink.write([folder.entry("ann", "1", 1)]) == [.written])
            // Another file has its name: the one that is open would go with nobody's notice.
            try await folder.shell("mv game.sqlite old; head -c 20000 /dev/urandom >game.sqlite; rm -f game.sqlite-*")
            #expect(
                await failureText { _ = try await sink.write([folder.entry("bob", "1", 1)]) }.contains("not a database")
            )
            try await folder.shell("rm -f game.sqlite*")
            try await sink.migrate()
            #expect(try await sink.write([folder.entry("bob", "2", 2)]) == [.written])
            await sink.stop()
        }
    }

    @Test(arguments: [
        "", "Level", "a b", "a\"b", "1a", "sqlite_x", "pg_x", "é", "a;b", String(repeating: "a", count: 64),
    ])
    @Loop func namesThatAreNoneAreRefused(_ name: String) async {
        let text = await failureText { _ = try SQLiteSyncSink("x", [SQLTable(.level, named: name)]) }
        #expect(text.contains("cannot be a table's name"))
    }

    @Test @Loop func twoTablesHaveTwoNamesAndTwoKeys() async throws {
        let same = await failureText {
            _ = try SQLiteSyncSink("x", [SQLTable(.level), SQLTable(.log, named: "sync_level")])
        }
        #expect(same.contains("two tables are called"))
        let twice = await failureText { _ = try SQLiteSyncSink("x", [SQLTable(.level), SQLTable(.level, named: "b")]) }
        #expect(twice.contains("has two tables of one kind"))
    }

    @Test @Loop func bytesStayAsTheyAre() async throws {
        try await withFolder { folder in
            let key = SyncKey<Int>("raw", encode: { _ in [0, 255, 0, 34] })
            let sink = try SQLiteSyncSink(folder.file, [SQLTable(key, format: .bytes, named: "raw_bytes")])
            try await sink.migrate()
            try await sink.start()
            for (id, bytes) in [("ann", [0, 255, 0, 34]), ("bob", [])] as [(Text, Bytes)] {
                let entry = SyncEntry(key: "raw", id: id, value: bytes, version: SyncVersion(number: 1, server: "a"))
                #expect(try await sink.write([entry]) == [.written])
                #expect(try await sink.stored("raw", id)?.value == bytes)
            }
            await sink.stop()
        }
    }
}
