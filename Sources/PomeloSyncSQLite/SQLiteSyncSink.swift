// SPDX-License-Identifier: MIT
//
// PomeloSyncSQLite: a sink of PomeloSync that is a file. Reading order: SQLiteSyncSink, SQLiteStore (on its thread),
// SQLTable+SQLite, SQLiteConnection (the only one that calls SQLite), SQLiteError.
public import PomeloBytes
import PomeloCore
public import PomeloLoop
public import PomeloSync

/// Keeps values in a file of SQLite, a table for each key, on a thread of its own.
///
/// ```swift
/// let file = try SQLiteSyncSink("data/game.sqlite", [SQLTable(.bag), SQLTable(.log, .entries)])
/// try await file.migrate()  // once, in a hook before the start for instance
/// try app.use(Sync { sinks in sinks.map(.bag, to: file); sinks.map(.log, to: file) })
/// let bag = try await file.value(of: .bag, "ann")
/// ```
///
/// A value that the file refuses, JSON that is none for instance, is refused alone, and the others of its batch are
/// written. A file that is locked for longer than `busy`, full, read-only or damaged is an outage, which the error
/// names: values wait, and are tried again.
///
/// - Guarantee: a batch is written whole or, after a crash, not at all; of values of one id that several processes
///   write the latest stays; a value without an id is there once, also when its confirmation was lost.
/// - Complexity: one transaction a batch, which with `.full` waits for the disk once.
/// - Isolation: SQLite runs on a thread of the sink's own.
@Loop public final class SQLiteSyncSink: SyncReader {
    /// When a batch counts as written.
    public enum Synchronous: String, Sendable {
        /// When the disk has it: it survives a power cut.
        case full = "FULL"
        /// When the system has it: it survives a crash of the process, and a power cut leaves the file whole, without
        /// its last batches.
        case normal = "NORMAL"
    }

    /// How the file is used.
    public struct Options: Sendable {
        /// When a batch counts as written.
        public var synchronous = Synchronous.full
        /// How long a batch waits for others that write to the file.
        public var busy = Duration.seconds(1)
        /// How long a batch waits for those of other keys before it goes back to the values that wait.
        ///
        /// `SyncOptions.write` is to be longer than this and `busy` together.
        public var queue = Duration.seconds(10)
        /// Pages that the file may have, of 4096 bytes unless it was made otherwise; nil: as many as the disk holds.
        public var maxPages: Int?

        /// The defaults.
        public init() {}
    }

    private let store: SQLiteStore
    private let queue: Duration
    private let thread = WorkerThread()

    /// A sink for keys that have a table each; nothing is opened yet.
    ///
    /// - Throws: `PomeloError` `.configuration` when a table's name cannot be one, or stands for two.
    public init(_ path: String, _ tables: [SQLTable], options: Options = Options()) throws {
        store = SQLiteStore(path, try SQLTables(tables), options)
        queue = options.queue
    }

    /// Makes the file, the folder that it is in, and its tables where they are missing; those that are there stay as
    /// they are.
    ///
    /// - Throws: `SQLiteError`.
    public func migrate() async throws {
        let store = store
        try await thread.run { try store.migrate() }
    }

    /// Opens the file.
    ///
    /// - Throws: `SQLiteError`, also when a table is missing.
    public func start() async throws {
        let store = store
        try await thread.run { _ = try store.checked() }
    }

    /// - Throws: `SQLiteError` when nothing of the batch is written; when it has waited for longer than `queue`.
    public func write(_ batch: [SyncEntry]) async throws -> [SyncOutcome] {
        let store = store
        return try await thread.run(waitingAtMost: queue) { try store.write(batch) }
    }

    /// Reads the row of an id.
    ///
    /// - Throws: `SQLiteError`; when the key has no table.
    public func stored(_ key: Text, _ id: Text) async throws -> StoredValue? {
        let store = store
        return try await thread.run { try store.stored(key, id) }
    }

    /// Reads the last rows of values without ids.
    ///
    /// - Throws: `SQLiteError`; when the key has no table.
    public func entries(_ key: Text, limit: Int) async throws -> [Bytes] {
        let store = store
        return try await thread.run { try store.entries(key, limit) }
    }

    /// Closes the file when the last batch is through; it is not opened again.
    public func stop() async {
        let store = store
        await thread.runLast { store.close() }
    }
}
