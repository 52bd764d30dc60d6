// SPDX-License-Identifier: MIT
import CSQLite
import PomeloSync

/// The statements of a table; its name is checked, and quoted for words that SQL has taken.
extension SQLTable {
    var columns: String { (content == .values ? "id" : "number") + ", value, version, owner" }

    var creation: String {
        let value = format == .json ? "value TEXT NOT NULL CHECK (json_valid(value))" : "value BLOB NOT NULL"
        let version = "version INTEGER NOT NULL, owner TEXT NOT NULL"
        return switch content {
        case .values:
            "CREATE TABLE IF NOT EXISTS \"\(name)\" (id TEXT PRIMARY KEY NOT NULL, \(value), \(version)) WITHOUT ROWID"
        case .entries:
            "CREATE TABLE IF NOT EXISTS \"\(name)\" (number INTEGER PRIMARY KEY, \(value), \(version), "
                + "UNIQUE (version, owner))"
        }
    }

    /// The later version stays; one that is there already is no error.
    var insertion: String {
        switch content {
        case .values:
            """
            INSERT INTO "\(name)" (id, value, version, owner) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (id) DO UPDATE SET value = excluded.value, version = excluded.version, owner = excluded.owner
            WHERE (excluded.version, excluded.owner) > ("\(name)".version, "\(name)".owner)
            """
        case .entries:
            """
            INSERT INTO "\(name)" (value, version, owner) VALUES (?1, ?2, ?3)
            ON CONFLICT (version, owner) DO NOTHING
            """
        }
    }
}

extension SQLiteError {
    /// Another value would be taken: a constraint, a type or a size.
    var isFaultOfValue: Bool {
        [SQLITE_CONSTRAINT, SQLITE_MISMATCH, SQLITE_TOOBIG, SQLITE_RANGE].contains(code)
    }
}
