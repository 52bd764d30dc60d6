// SPDX-License-Identifier: MIT
import Foundation
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloSync
import PomeloSyncSQLite
import PomeloUV
import TestHelpers
import Testing

/// A folder of a test's own, and what is done to the file in it from outside.
@Loop final class Folder {
    let path = NSTemporaryDirectory() + "pomelo-sqlite-\(UInt64(SystemClock.shared.now))-\(getpid())"
    var file: String { path + "/game.sqlite" }

    func sink(_ change: (inout SQLiteSyncSink.Options) -> Void = { _ in }) throws -> SQLiteSyncSink {
        var options = SQLiteSyncSink.Options()
        options.synchronous = .normal
        change(&options)
        return try SQLiteSyncSink(file, SQLiteSyncSinkTests.tables, options: options)
    }

    func started(_ change: (inout SQLiteSyncSink.Options) -> Void = { _ in }) async throws -> SQLiteSyncSink {
        let sink = try sink(change)
        try await sink.migrate()
        try await sink.start()
        return sink
    }

    func entry(_ id: Text, _ value: String, _ number: UInt64) -> SyncEntry {
        SyncEntry(key: "level", id: id, value: Array(value.utf8), version: SyncVersion(number: number, server: "a"))
    }

    /// Runs a line of shell in the folder.
    func shell(_ line: String) async throws {
        let ending = try await ended(line)
        if ending != .exited(0) { throw Unmet(description: "\(line): \(ending)") }
    }

    func canMakeImmutable() async -> Bool {
        let ending = try? await ended("touch probe && chattr +i probe && chattr -i probe")
        return ending == .exited(0)
    }

    private func ended(_ line: String) async throws -> ChildProcess.Ending {
        let end = FirstOutcome<ChildProcess.Ending>()
        _ = try ChildProcess(
            ChildProcess.Command("/bin/sh", ["-c", line], directory: path), onExit: { end.end(with: $0) })
        return await end.wait()
    }

    /// A process that has the lock of the file until it is told to end.
    func locked() async throws -> Lock {
        let lock = Lock()
        let script = """
            import sqlite3, sys, signal
            c = sqlite3.connect('game.sqlite', isolation_level=None); c.execute('BEGIN EXCLUSIVE')
            print('locked', flush=True)
            signal.pause()
            """
        lock.child = try ChildProcess(
            ChildProcess.Command("python3", ["-c", script], directory: path),
            onLine: { [weak lock] in if $0 == "locked" { lock?.ready.end() } },
            onExit: { [weak lock] _ in lock?.ended.end() })
        await lock.ready.wait()
        return lock
    }

    @Loop final class Lock {
        fileprivate var child: ChildProcess?
        fileprivate let ready = FirstOutcome<Void>()
        fileprivate let ended = FirstOutcome<Void>()

        func end() async {
            child?.signal(SIGKILL)
            await ended.wait()
        }
    }
}

@Loop func withFolder(_ body: @Loop (Folder) async throws -> Void) async throws {
    let folder = Folder()
    try FileManager.default.createDirectory(atPath: folder.path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder.path) }
    try await body(folder)
}
