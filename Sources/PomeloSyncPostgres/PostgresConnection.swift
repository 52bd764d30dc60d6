// SPDX-License-Identifier: MIT
#if Postgres
    import CLibpq
    import PomeloBytes
    import PomeloLibc
    import PomeloLoop

    /// One connection.
    ///
    /// Every call may block, but none for longer than its time. No other file calls libpq.
    @safe final class PostgresConnection {
        private let handle: OpaquePointer
        private let patience: Duration

        /// Connects; the URL's own `connect_timeout` stands above the one that is given.
        ///
        /// - Throws: `PostgresError`.
        init(_ url: String, connect: Duration, patience: Duration) throws(PostgresError) {
            let seconds = max(2, (connect.clampedMilliseconds + 999) / 1000)
            // Of two words of one name the later one counts, and the URL's stand where `dbname` does.
            let names = ["connect_timeout", "application_name", "client_encoding", "dbname"]
            let values = ["\(seconds)", "pomelo", "UTF8", url]
            let made = unsafe CStrings.with(names) { names in
                unsafe CStrings.with(values) { unsafe PQconnectdbParams(names, $0, 1) }
            }
            guard let made = unsafe made else { throw PostgresError("out of memory") }
            unsafe handle = made
            self.patience = patience
            guard unsafe PQstatus(made) == CONNECTION_OK else {
                throw PostgresError(unsafe String(cString: PQerrorMessage(made)))
            }
            guard unsafe PQsetnonblocking(made, 1) == 0 else { throw error }
            // Notices would go to standard error.
            unsafe PQsetNoticeProcessor(made, { _, _ in }, nil)
        }

        deinit { unsafe PQfinish(handle) }

        /// Whether it can be asked anything.
        var isWell: Bool { unsafe PQstatus(handle) == CONNECTION_OK }

        /// Runs one statement with parameters, and returns its rows.
        ///
        /// - Throws: `PostgresError`; without a state the connection is of no use any more.
        func run(_ sql: String, _ parameters: [PostgresParameter] = []) throws(PostgresError) -> PostgresRows {
            let types = parameters.map(\.type)
            let lengths = parameters.map { Int32(clamping: $0.bytes.count) }
            let formats = parameters.map { _ in Int32(1) }
            let sent = unsafe BytePointers.with(parameters.map(\.bytes)) { values in
                unsafe PQsendQueryParams(handle, sql, Int32(parameters.count), types, values, lengths, formats, 1)
            }
            guard sent == 1 else { throw error }
            return try result()
        }

        /// Awaits the answer; a server that stands still does not hold the thread for longer than its time.
        private func result() throws(PostgresError) -> PostgresRows {
            let limit = threadMilliseconds + patience.clampedMilliseconds
            var rows: PostgresRows?
            var failure: PostgresError?
            while true {
                try flush(until: limit)
                while unsafe PQisBusy(handle) == 1 {
                    try wait(Int16(POLLIN), until: limit)
                    guard unsafe PQconsumeInput(handle) == 1 else { throw error }
                }
                guard let result = unsafe PQgetResult(handle) else { break }
                let status = unsafe PQresultStatus(result)
                if status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK {
                    rows = unsafe PostgresRows(result)
                } else {
                    let state = unsafe pomelo_pq_sqlstate(result).map { unsafe String(cString: $0) }
                    // Its details would name the value, which is for no log.
                    failure = PostgresError(state: state, unsafe String(cString: pomelo_pq_message(result)))
                    unsafe PQclear(result)
                }
            }
            if let failure { throw failure }
            guard let rows else { throw error }
            return rows
        }

        private func flush(until limit: Int64) throws(PostgresError) {
            while true {
                switch unsafe PQflush(handle) {
                case 0: return
                case 1:
                    // A server that answers before it has read everything must be read.
                    try wait(Int16(POLLIN | POLLOUT), until: limit)
                    guard unsafe PQconsumeInput(handle) == 1 else { throw error }
                default: throw error
                }
            }
        }

        private func wait(_ events: Int16, until limit: Int64) throws(PostgresError) {
            while true {
                var descriptor = pollfd(fd: unsafe PQsocket(handle), events: events, revents: 0)
                let left = limit - threadMilliseconds
                guard left > 0, descriptor.fd >= 0 else { throw PostgresError("no answer within \(patience)") }
                let count = unsafe poll(&descriptor, 1, Int32(clamping: left))
                if count > 0 { return }
                if count < 0, errno != EINTR { throw PostgresError("poll: errno \(errno)") }
            }
        }

        private var error: PostgresError {
            let words = unsafe String(cString: PQerrorMessage(handle))
            return PostgresError(words.isEmpty ? "the connection is lost" : words)
        }
    }

    /// What a statement has answered.
    @safe final class PostgresRows {
        private let result: OpaquePointer

        fileprivate init(_ result: OpaquePointer) { unsafe self.result = result }
        deinit { unsafe PQclear(result) }

        var count: Int { Int(unsafe PQntuples(result)) }

        /// A field as the server's binary format has it.
        func bytes(_ row: Int, _ column: Int) -> Bytes {
            let count = Int(unsafe PQgetlength(result, Int32(row), Int32(column)))
            guard let start = unsafe PQgetvalue(result, Int32(row), Int32(column)) else { return [] }
            return unsafe Bytes(UnsafeRawBufferPointer(start: start, count: count))
        }

        func text(_ row: Int, _ column: Int) -> String { String(decoding: bytes(row, column), as: UTF8.self) }

        /// An `int8`.
        func integer(_ row: Int, _ column: Int) -> Int64 {
            Int64(bitPattern: bytes(row, column).reduce(0) { $0 << 8 | UInt64($1) })
        }
    }

    /// Texts as C's arrays of texts have them, with a null at the end.
    private enum CStrings {
        static func with<Result>(
            _ texts: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
        ) -> Result {
            let copies = unsafe texts.map { unsafe strdup($0) }
            defer { for index in 0..<texts.count { unsafe free(copies[index]) } }
            let pointers = unsafe copies.map { unsafe UnsafePointer($0) } + [nil]
            return unsafe pointers.withUnsafeBufferPointer { buffer in
                guard let start = buffer.baseAddress else { preconditionFailure("it has a null at least") }
                return unsafe body(start)
            }
        }
    }

    /// Bytes one behind the other, and where each begins.
    private enum BytePointers {
        static func with<Result>(
            _ parts: [Bytes], _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> Result
        ) -> Result {
            // One byte more: a part of none has an address all the same.
            let whole = parts.reduce(into: Bytes()) { $0 += $1 } + [0]
            return unsafe whole.withUnsafeBytes { buffer in
                var offset = 0
                let pointers = unsafe parts.map { part in
                    defer { offset += part.count }
                    return unsafe buffer.baseAddress.map { unsafe ($0 + offset).assumingMemoryBound(to: CChar.self) }
                }
                return unsafe pointers.withUnsafeBufferPointer { unsafe body($0.baseAddress) }
            }
        }
    }
#endif
