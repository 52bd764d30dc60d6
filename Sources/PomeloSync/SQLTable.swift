// SPDX-License-Identifier: MIT
public import PomeloBytes
import PomeloCore

/// Where a database keeps what has one key: a table of its own.
///
/// ```
/// .values    id, value, version, owner            a row for each id
/// .entries   number, value, version, owner        a row for each value without an id, numbered as they came
/// ```
///
/// The version is its number, milliseconds since 1970 times 65536; the owner is the server it came to be on.
public struct SQLTable: Sendable, Hashable {
    /// What its rows are.
    public enum Content: Sendable, Hashable {
        /// The last value of each id.
        case values
        /// All values without an id, each once.
        case entries
    }

    /// What a value is for the database.
    public enum Format: Sendable, Hashable {
        /// JSON, which the database looks into: a value that is none is refused.
        case json
        /// Bytes that mean nothing to it.
        case bytes
    }

    /// The name of the key.
    public let key: Text
    /// The name of the table.
    public let name: String
    /// What its rows are.
    public let content: Content
    /// What a value is for the database.
    public let format: Format

    /// The table of a key; without a name it is `sync_<key>`, or `sync_<key>_entries`.
    public init<Value>(
        _ key: SyncKey<Value>, _ content: Content = .values, format: Format = .json, named name: String? = nil
    ) {
        self.key = key.name
        self.name = name ?? "sync_\(key.name)" + (content == .entries ? "_entries" : "")
        self.content = content
        self.format = format
    }
}

/// Tables whose names can be written into a statement as they are.
package struct SQLTables: Sendable {
    /// In the order they were given.
    package let all: [SQLTable]
    private var values: [Text: SQLTable] = [:]
    private var entries: [Text: SQLTable] = [:]

    /// - Throws: `PomeloError` `.configuration` when a name is none, or two tables have one name or are for one key.
    package init(_ tables: [SQLTable]) throws {
        var names: Set<Text> = []
        for table in tables {
            guard Self.isName(table.name) else {
                let rule = "1 to 63 of a-z, 0-9 and _, no digit first, and neither sqlite_ nor pg_ before it"
                let shown = table.name.escapedForLog(maxBytes: 128)
                throw PomeloError(
                    .configuration, "sync: \"\(shown)\" cannot be a table's name, give it another: \(rule)")
            }
            guard names.insert(Text(table.name)).inserted else {
                throw PomeloError(.configuration, "sync: two tables are called \"\(table.name)\"")
            }
            let earlier =
                table.content == .values
                ? values.updateValue(table, forKey: table.key) : entries.updateValue(table, forKey: table.key)
            if earlier != nil {
                throw PomeloError(.configuration, "sync: the key \"\(table.key)\" has two tables of one kind")
            }
        }
        all = tables
    }

    /// - Throws: `SQLTableMissing` when no table is for these.
    package func table(of key: Text, _ content: SQLTable.Content) throws(SQLTableMissing) -> SQLTable {
        guard let table = content == .values ? values[key] : entries[key] else {
            throw SQLTableMissing(key: key, content: content)
        }
        return table
    }

    private static func isName(_ name: String) -> Bool {
        guard (1...63).contains(name.utf8.count), !name.hasPrefix("sqlite_"), !name.hasPrefix("pg_") else {
            return false
        }
        return name.utf8.enumerated().allSatisfy { index, byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"): index > 0
            default: false
            }
        }
    }
}

/// A key came for which a sink has no table.
package struct SQLTableMissing: Error, CustomStringConvertible {
    let key: Text
    let content: SQLTable.Content

    package var description: String {
        let what = content == .values ? "values" : "values without ids"
        return "no table was given for \(what) of the key \"\(key)\""
    }
}
