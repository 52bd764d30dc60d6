// SPDX-License-Identifier: MIT
#if Postgres
    import PomeloBytes
    import PomeloCore
    import PomeloLoop
    import PomeloSync

    /// What the sink does on its own thread: statements, batches in halves, and when it connects anew.
    final class PostgresStore: @unchecked Sendable {
        // SAFETY: nothing but jobs of its sink's one worker thread calls it, one after the other.
        private let url: String
        private let tables: SQLTables
        private let options: PostgresSyncSink.Options
        private var connection: PostgresConnection?
        private var isClosed = false

        init(_ url: String, _ tables: SQLTables, _ options: PostgresSyncSink.Options) {
            self.url = url
            self.tables = tables
            self.options = options
        }

        // MARK: the connection

        func migrate() throws(PostgresError) {
            let database = try connected()
            for table in tables.all { _ = try database.run(table.creation) }
        }

        /// The connection; makes one, and looks whether each table is there.
        func checked() throws(PostgresError) -> PostgresConnection {
            if let connection, connection.isWell { return connection }
            connection = nil
            let database = try connected()
            for table in tables.all {
                do throws(PostgresError) {
                    _ = try database.run(table.check)
                } catch {
                    guard error.state == "42P01" || error.state == "42703" else { throw error }
                    throw PostgresError(
                        state: error.state, "\(error.words); migrate() makes the tables, once before the first start")
                }
            }
            connection = database
            return database
        }

        func close() {
            connection = nil
            isClosed = true
        }

        private func connected() throws(PostgresError) -> PostgresConnection {
            if isClosed { throw PostgresError("the sink has stopped") }
            // The server's own word comes first: it names what the statement waited for.
            let patience = options.statement + .seconds(2)
            let database = try PostgresConnection(url, connect: options.connect, patience: patience)
            let limit = PostgresParameter.text("\(max(1, options.statement.clampedMilliseconds))")
            _ = try database.run("SELECT set_config('statement_timeout', $1, false)", [limit])
            return database
        }

        /// An error that is not about a statement leaves a connection of no use: the next call makes another one.
        private func used<Value>(
            _ body: (PostgresConnection) throws(PostgresError) -> Value
        ) throws(PostgresError) -> Value {
            do throws(PostgresError) {
                return try body(try checked())
            } catch {
                if error.state == nil { connection = nil }
                throw error
            }
        }

        // MARK: values

        func write(_ batch: [SyncEntry]) throws(PostgresError) -> [SyncOutcome] {
            guard let first = batch.first else { return [] }
            let table: SQLTable
            do throws(SQLTableMissing) {
                table = try tables.table(of: first.key, first.id == nil ? .entries : .values)
            } catch {
                return batch.map { _ in .refused("\(error)") }
            }
            return try used { (database) throws(PostgresError) in try write(batch[...], table, database) }
        }

        /// A batch is one statement, which does all or nothing: one with a value that is refused is halved until that
        /// one is alone.
        private func write(
            _ batch: ArraySlice<SyncEntry>, _ table: SQLTable, _ database: PostgresConnection
        ) throws(PostgresError) -> [SyncOutcome] {
            do throws(PostgresError) {
                _ = try database.run(table.insertion, Self.parameters(batch, table))
                return batch.map { _ in .written }
            } catch {
                guard error.isFaultOfValue else { throw error }
                if batch.count == 1 { return [.refused("\(error)")] }
            }
            let middle = batch.startIndex + batch.count / 2
            return try write(batch[..<middle], table, database) + write(batch[middle...], table, database)
        }

        private static func parameters(_ batch: ArraySlice<SyncEntry>, _ table: SQLTable) -> [PostgresParameter] {
            let values = batch.map(\.value)
            return [
                table.format == .json ? .texts(values) : .blobs(values),
                // Beyond what the server's integers hold is the year 6429.
                .integers(batch.map { Int64(clamping: $0.version.number) }),
                .texts(batch.map { Array($0.version.server.rawValue.utf8) }),
            ] + (table.content == .values ? [.texts(batch.map { Array(($0.id ?? "").string.utf8) })] : [])
        }

        func stored(_ key: Text, _ id: Text) throws -> StoredValue? {
            let table = try tables.table(of: key, .values)
            return try used { (database) throws(PostgresError) in
                let rows = try database.run(table.question, [.text(id.string)])
                guard rows.count == 1 else { return nil }
                let version = SyncVersion(
                    number: UInt64(clamping: rows.integer(0, 1)), server: ServerID(rows.text(0, 2)))
                return StoredValue(value: rows.bytes(0, 0), version: version)
            }
        }

        func entries(_ key: Text, _ limit: Int) throws -> [Bytes] {
            let table = try tables.table(of: key, .entries)
            return try used { (database) throws(PostgresError) in
                let rows = try database.run(table.lastEntries, [.integer(Int64(max(0, limit)))])
                return (0..<rows.count).reversed().map { rows.bytes($0, 0) }
            }
        }
    }
#endif
