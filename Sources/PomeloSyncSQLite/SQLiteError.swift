// SPDX-License-Identifier: MIT

/// What SQLite said, in its own words; whatever it was, nothing of that batch is in the file.
public struct SQLiteError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of the error, one of SQLite's primary result codes: 5 is SQLITE_BUSY, 13 is SQLITE_FULL.
    public let code: Int32
    let words: String
    private let path: String

    init(code: Int32, _ words: String, _ path: String) {
        self.code = code
        self.words = words
        self.path = path
    }

    /// The words for it, the code and the file.
    public var description: String { "SQLite: \(words) (\(code), \(path))" }
}
