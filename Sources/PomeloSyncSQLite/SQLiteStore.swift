// SPDX-License-Identifier: MIT
import CSQLite
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloSync

/// What the sink does on its own thread: statements, transactions, and when the file is opened anew.
final class SQLiteStore: @unchecked Sendable {
    // SAFETY: nothing but jobs of its sink's one worker thread calls it, one after the other.
    private let path: String
    private let tables: SQLTables
    private let options: SQLiteSyncSink.Options
    private var connection: SQLiteConnection?
    private var isClosed = false

    init(_ path: String, _ tables: SQLTables, _ options: SQLiteSyncSink.Options) {
        self.path = path
        self.tables = tables
        self.options = options
    }

    // MARK: the file

    func migrate() throws {
        SQLiteConnection.makeFolder(of: path)
        let database = try opened(creates: true)
        try database.transaction { () throws(SQLiteError) in
            for table in tables.all { try database.run(table.creation) }
        }
    }

    /// The connection; opens the file, and looks whether each table is there.
    func checked() throws(SQLiteError) -> SQLiteConnection {
        if let connection {
            if connection.isSameFile { return connection }
            // What is written now would go with a file that nobody finds any more.
            self.connection = nil
        }
        let database = try opened(creates: false)
        for table in tables.all {
            do {
                _ = try database.prepare("SELECT \(table.columns) FROM \"\(table.name)\"")
            } catch  where error.code == SQLITE_ERROR {
                throw SQLiteError(
                    code: error.code, "\(error.words): migrate() makes the tables, once before the first start", path)
            }
        }
        connection = database
        return database
    }

    func close() {
        connection = nil
        isClosed = true
    }

    private func opened(creates: Bool) throws(SQLiteError) -> SQLiteConnection {
        if isClosed { throw SQLiteError(code: SQLITE_MISUSE, "the sink has stopped", path) }
        let busy = Int32(clamping: options.busy.clampedMilliseconds)
        let database = try SQLiteConnection(path, creates: creates, busyMilliseconds: busy)
        try database.run("PRAGMA journal_mode = WAL")
        try database.run("PRAGMA synchronous = \(options.synchronous.rawValue)")
        if let limit = options.maxPages { try database.run("PRAGMA max_page_count = \(limit)") }
        return database
    }

    // MARK: values

    func write(_ batch: [SyncEntry]) throws(SQLiteError) -> [SyncOutcome] {
        try used { (database) throws(SQLiteError) in
            try database.transaction { () throws(SQLiteError) in
                var outcomes: [SyncOutcome] = []
                for entry in batch { outcomes.append(try write(entry, database)) }
                return outcomes
            }
        }
    }

    /// A statement that is refused has changed nothing, and the transaction goes on.
    private func write(_ entry: SyncEntry, _ database: SQLiteConnection) throws(SQLiteError) -> SyncOutcome {
        guard let number = Int64(exactly: entry.version.number) else {
            return .refused("its version \(entry.version) is beyond a database's integers")
        }
        let table: SQLTable
        do throws(SQLTableMissing) {
            table = try tables.table(of: entry.key, entry.id == nil ? .entries : .values)
        } catch {
            return .refused("\(error)")
        }
        let value: SQLiteValue = table.format == .json ? .textBytes(entry.value) : .blob(entry.value)
        let rest = [value, .integer(number), .text(entry.version.server.rawValue)]
        do throws(SQLiteError) {
            _ = try database.run(table.insertion, (entry.id.map { [.text($0.string)] } ?? []) + rest) { _ in }
        } catch {
            guard error.isFaultOfValue else { throw error }
            return .refused("\(error)")
        }
        return .written
    }

    func stored(_ key: Text, _ id: Text) throws -> StoredValue? {
        let table = try tables.table(of: key, .values)
        let question = "SELECT value, version, owner FROM \"\(table.name)\" WHERE id = ?1"
        return try used { (database) throws(SQLiteError) in
            try database.run(question, [.text(id.string)]) { row in
                let version = SyncVersion(number: UInt64(clamping: row.integer(1)), server: ServerID(row.text(2)))
                return StoredValue(value: row.bytes(0), version: version)
            }
        }.first
    }

    func entries(_ key: Text, _ limit: Int) throws -> [Bytes] {
        let table = try tables.table(of: key, .entries)
        let question = "SELECT value FROM \"\(table.name)\" ORDER BY number DESC LIMIT ?1"
        return try used { (database) throws(SQLiteError) in
            try database.run(question, [.integer(Int64(max(0, limit)))]) { $0.bytes(0) }
        }.reversed()
    }

    /// After some errors a connection is of no use: the next call opens the file again.
    private func used<Value>(
        _ body: (SQLiteConnection) throws(SQLiteError) -> Value
    ) throws(SQLiteError) -> Value {
        do throws(SQLiteError) {
            return try body(try checked())
        } catch {
            if error.code != SQLITE_BUSY, error.code != SQLITE_FULL { connection = nil }
            throw error
        }
    }
}
