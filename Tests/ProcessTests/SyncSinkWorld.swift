// SPDX-License-Identifier: MIT
import Foundation
import PomeloLoop
import PomeloRedis
import PomeloSync
import PomeloSyncPostgres
import PomeloSyncSQLite
import PomeloTesting
import PomeloUV
import TestHelpers

@testable import SyncServer

/// A sink of the campaign: where it is, who reads it, and what happens to it.
@Loop protocol SyncSinkWorld {
    var options: SinkOptions { get }
    /// Makes its tables, when it has any.
    func migrate(_ reader: any SyncReader) async throws
    /// Something happens that is over within three seconds or so.
    func fail(_ chance: UInt64) async throws
    func stop() async throws
}

@Loop func sinkWorld(_ kind: SinkOptions.Kind, in folder: String) async throws -> any SyncSinkWorld {
    switch kind {
    case .redis:
        return RedisSinkWorld(
            redis: try await RedisServer.start(options: ["--appendonly", "yes", "--appendfsync", "always"]))
    case .sqlite: return FileSinkWorld(file: "\(folder)/game.sqlite")
    case .postgres:
        #if Postgres
            return PostgresSinkWorld(server: try await PostgresServer.start())
        #else
            throw Unmet(description: "this build has no PostgreSQL")
        #endif
    }
}

@Loop private struct RedisSinkWorld: SyncSinkWorld {
    let redis: RedisServer

    var options: SinkOptions { SinkOptions(kind: .redis, place: "redis://127.0.0.1:\(redis.port)") }
    func migrate(_ reader: any SyncReader) async throws {}

    func fail(_ chance: UInt64) async throws {
        if chance % 2 == 0 { return try await redis.restart() }
        redis.pause()
        await SystemClock.shared.sleep(for: .milliseconds(2500))
        redis.resume()
    }

    func stop() async throws { await redis.stop() }
}

/// It is locked for longer than its users wait.
@Loop private struct FileSinkWorld: SyncSinkWorld {
    let file: String

    var options: SinkOptions { SinkOptions(kind: .sqlite, place: file) }
    func migrate(_ reader: any SyncReader) async throws { try await (reader as? SQLiteSyncSink)?.migrate() }

    func fail(_ chance: UInt64) async throws {
        let script = """
            import sqlite3, sys, time
            c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60); c.execute('BEGIN IMMEDIATE')
            time.sleep(2.5)
            """
        let end = FirstOutcome<ChildProcess.Ending>()
        let command = ChildProcess.Command("python3", ["-c", script, file])
        _ = try ChildProcess(command, onExit: { end.end(with: $0) })
        guard await end.wait() == .exited(0) else { throw Unmet(description: "the file was not locked") }
    }

    func stop() async throws {}
}

#if Postgres
    @Loop private struct PostgresSinkWorld: SyncSinkWorld {
        let server: PostgresServer

        var options: SinkOptions { SinkOptions(kind: .postgres, place: server.url()) }
        func migrate(_ reader: any SyncReader) async throws { try await (reader as? PostgresSyncSink)?.migrate() }

        func fail(_ chance: UInt64) async throws {
            if chance % 2 == 0 { return try await server.restart() }
            try await server.locking("sync_level") { await SystemClock.shared.sleep(for: .milliseconds(2500)) }
        }

        func stop() async throws { await server.stop() }
    }
#endif
