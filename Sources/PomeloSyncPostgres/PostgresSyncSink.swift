// SPDX-License-Identifier: MIT
//
// PomeloSyncPostgres: a sink of PomeloSync that is a database of PostgreSQL, with the trait `Postgres`. Reading order:
// PostgresSyncSink, PostgresStore (on its thread), SQLTable+Postgres, PostgresParameter, PostgresConnection (the only
// one that calls libpq), PostgresError.
#if Postgres
    public import PomeloBytes
    import PomeloCore
    public import PomeloLoop
    public import PomeloSync

    /// Keeps values in PostgreSQL, a table for each key, on a thread of its own.
    ///
    /// ```swift
    /// let url = "postgresql://game@db.example/game?sslmode=verify-full"
    /// let database = try PostgresSyncSink(url, [SQLTable(.bag), SQLTable(.log, .entries)])
    /// try await database.migrate()  // once, in a hook before the start for instance
    /// try app.use(Sync { sinks in sinks.map(.bag, to: database); sinks.map(.log, to: database) })
    /// let bag = try await database.value(of: .bag, "ann")
    /// ```
    ///
    /// A batch is one statement. One with a value that the server refuses, JSON that is none for instance, or a zero
    /// byte in a text, is halved until that value is alone; the others are written. Everything else is an outage, which
    /// the error names: a server that is away, a table that is missing, a lock that is not let go of in time; values
    /// wait, and are tried again.
    ///
    /// - Guarantee: of values of one id that several processes write the latest stays; a value without an id is there
    ///   once, also when its confirmation was lost. What is confirmed survives as `synchronous_commit` says.
    /// - Complexity: one round trip a batch.
    /// - Isolation: libpq runs on a thread of the sink's own.
    @Loop public final class PostgresSyncSink: SyncReader {
        /// Time that things may take.
        public struct Options: Sendable {
            /// A connection, at least 2 s; the URL's `connect_timeout` stands above it.
            public var connect = Duration.seconds(5)
            /// A statement.
            public var statement = Duration.seconds(10)
            /// How long a batch waits for those of other keys before it goes back to the values that wait.
            ///
            /// `SyncOptions.write` is to be longer than all three together, and 2 s.
            public var queue = Duration.seconds(10)

            /// The defaults.
            public init() {}
        }

        private let store: PostgresStore
        private let queue: Duration
        private let thread = WorkerThread()

        /// A sink for keys that have a table each, at what libpq takes for a place; nothing is connected yet.
        ///
        /// A place is a URL, which also says whether and how it is sealed (`sslmode`), or `host=… dbname=…`.
        ///
        /// - Throws: `PomeloError` `.configuration` when a table's name cannot be one, or stands for two.
        public init(_ url: String, _ tables: [SQLTable], options: Options = Options()) throws {
            store = PostgresStore(url, try SQLTables(tables), options)
            queue = options.queue
        }

        /// Makes the tables that are missing; those that are there stay as they are.
        ///
        /// - Throws: `PostgresError`.
        public func migrate() async throws {
            let store = store
            try await thread.run { try store.migrate() }
        }

        /// Connects.
        ///
        /// - Throws: `PostgresError`, also when a table is missing.
        public func start() async throws {
            let store = store
            try await thread.run { _ = try store.checked() }
        }

        /// - Throws: `PostgresError` when not all of the batch is known to be written; when it has waited for longer
        ///   than `queue`, too.
        public func write(_ batch: [SyncEntry]) async throws -> [SyncOutcome] {
            let store = store
            return try await thread.run(waitingAtMost: queue) { try store.write(batch) }
        }

        /// Reads the row of an id.
        ///
        /// - Throws: `PostgresError`; when the key has no table.
        public func stored(_ key: Text, _ id: Text) async throws -> StoredValue? {
            let store = store
            return try await thread.run { try store.stored(key, id) }
        }

        /// Reads the last rows of values without ids.
        ///
        /// - Throws: `PostgresError`; when the key has no table.
        public func entries(_ key: Text, limit: Int) async throws -> [Bytes] {
            let store = store
            return try await thread.run { try store.entries(key, limit) }
        }

        /// Closes the connection when the last batch is through; it is not made again.
        public func stop() async {
            let store = store
            await thread.runLast { store.close() }
        }
    }
#endif
