// SPDX-License-Identifier: MIT
import CSQLite
import PomeloBytes
import PomeloLibc

/// One connection to a file, and the statements that were prepared on it.
///
/// Every call may block. No other file calls SQLite.
@safe final class SQLiteConnection {
    let path: String
    private let handle: OpaquePointer
    private var prepared: [Text: SQLiteStatement] = [:]

    /// Opens a file, which must be there unless it may be made.
    ///
    /// - Throws: `SQLiteError`.
    init(_ path: String, creates: Bool, busyMilliseconds: Int32) throws(SQLiteError) {
        var opened: OpaquePointer?
        // NOMUTEX: one thread at a time uses it.
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (creates ? SQLITE_OPEN_CREATE : 0)
        let status = unsafe sqlite3_open_v2(path, &opened, flags, nil)
        guard let handle = unsafe opened else { throw SQLiteError(code: status, "out of memory", path) }
        guard status == SQLITE_OK else {
            let message = unsafe String(cString: sqlite3_errmsg(handle))
            unsafe sqlite3_close_v2(handle)
            throw SQLiteError(code: status & 0xff, message, path)
        }
        self.path = path
        unsafe self.handle = handle
        unsafe sqlite3_busy_timeout(handle, busyMilliseconds)
    }

    /// Makes the folder that a file is to be in; when it cannot be made, opening the file says so.
    static func makeFolder(of path: String) {
        let names = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        if !names.isEmpty { _ = unsafe mkdir(names.joined(separator: "/"), 0o755) }
    }

    deinit {
        for statement in prepared.values { statement.finalize() }
        unsafe sqlite3_close_v2(handle)
    }

    /// False: what it has read of the file before is gone, or another file has its name.
    var isSameFile: Bool {
        var moved: Int32 = 0
        let status = unsafe sqlite3_file_control(handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved)
        return status != SQLITE_OK || moved == 0
    }

    /// Runs statements that have no parameters and whose rows nobody needs.
    func run(_ sql: String) throws(SQLiteError) {
        guard unsafe sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else { throw error }
    }

    /// The statement of a text, prepared once.
    func prepare(_ sql: String) throws(SQLiteError) -> SQLiteStatement {
        if let statement = prepared[Text(sql)] { return statement }
        var made: OpaquePointer?
        guard unsafe sqlite3_prepare_v2(handle, sql, -1, &made, nil) == SQLITE_OK, let made = unsafe made else {
            throw error
        }
        let statement = unsafe SQLiteStatement(made)
        prepared[Text(sql)] = statement
        return statement
    }

    /// Runs a statement, and returns what `row` makes of each of its rows.
    func run<Row>(
        _ sql: String, _ values: [SQLiteValue], row: (SQLiteStatement) -> Row
    ) throws(SQLiteError) -> [Row] {
        let statement = try prepare(sql)
        defer { statement.reset() }
        for (index, value) in values.enumerated() {
            guard statement.bind(value, Int32(index + 1)) == SQLITE_OK else { throw error }
        }
        var rows: [Row] = []
        while true {
            switch statement.step() {
            case .row: rows.append(row(statement))
            case .end: return rows
            case .failed: throw error
            }
        }
    }

    /// Runs a body in a transaction that has the right to write from its start; what it throws leaves no trace.
    func transaction<Value>(_ body: () throws(SQLiteError) -> Value) throws(SQLiteError) -> Value {
        try run("BEGIN IMMEDIATE")
        do throws(SQLiteError) {
            let value = try body()
            try run("COMMIT")
            return value
        } catch {
            // SQLite has ended it by itself when the file is full or cannot be read.
            if unsafe sqlite3_get_autocommit(handle) == 0 { try run("ROLLBACK") }
            throw error
        }
    }

    private var error: SQLiteError {
        let code = unsafe sqlite3_errcode(handle) & 0xff
        return SQLiteError(code: code, unsafe String(cString: sqlite3_errmsg(handle)), path)
    }
}

/// A parameter of a statement.
enum SQLiteValue {
    case integer(Int64)
    case text(String)
    /// Bytes that are to be a text.
    case textBytes(Bytes)
    case blob(Bytes)
}

/// One statement; its connection ends it.
@safe final class SQLiteStatement {
    private let handle: OpaquePointer

    init(_ handle: OpaquePointer) { unsafe self.handle = handle }

    /// What a step comes to.
    fileprivate enum Step {
        case row, end, failed
    }

    fileprivate func step() -> Step {
        let status = unsafe sqlite3_step(handle)
        return status == SQLITE_ROW ? .row : status == SQLITE_DONE ? .end : .failed
    }

    fileprivate func finalize() { unsafe sqlite3_finalize(handle) }

    fileprivate func reset() {
        unsafe sqlite3_reset(handle)
        unsafe sqlite3_clear_bindings(handle)
    }

    fileprivate func bind(_ value: SQLiteValue, _ index: Int32) -> Int32 {
        switch value {
        case .integer(let number): unsafe sqlite3_bind_int64(handle, index, number)
        case .text(let text): bind(Array(text.utf8), asText: true, index)
        case .textBytes(let bytes): bind(bytes, asText: true, index)
        case .blob(let bytes): bind(bytes, asText: false, index)
        }
    }

    private func bind(_ bytes: Bytes, asText isText: Bool, _ index: Int32) -> Int32 {
        let length = UInt64(bytes.count)
        return unsafe bytes.withUnsafeBytes { buffer in
            // Without an address it would be NULL.
            guard length > 0, let start = buffer.baseAddress else {
                return isText
                    ? unsafe pomelo_sqlite_bind_text(handle, index, "", 0)
                    : unsafe sqlite3_bind_zeroblob(handle, index, 0)
            }
            return isText
                ? unsafe pomelo_sqlite_bind_text(handle, index, start.assumingMemoryBound(to: CChar.self), length)
                : unsafe pomelo_sqlite_bind_blob(handle, index, start, length)
        }
    }

    /// A column of the row that it stands at.
    func integer(_ column: Int32) -> Int64 { unsafe sqlite3_column_int64(handle, column) }

    /// A text's or a blob's bytes.
    func bytes(_ column: Int32) -> Bytes {
        guard let start = unsafe sqlite3_column_blob(handle, column) else { return [] }
        let count = Int(unsafe sqlite3_column_bytes(handle, column))
        return unsafe Bytes(UnsafeRawBufferPointer(start: start, count: count))
    }

    /// A text; what is no UTF-8 in it is repaired.
    func text(_ column: Int32) -> String { String(decoding: bytes(column), as: UTF8.self) }
}
