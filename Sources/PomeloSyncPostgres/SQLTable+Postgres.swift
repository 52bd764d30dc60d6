// SPDX-License-Identifier: MIT
#if Postgres
    import PomeloSync

    /// The statements of a table; its name is checked, and quoted for words that SQL has taken.
    extension SQLTable {
        private var quoted: String { "\"\(name)\"" }

        /// Ids and owners are ordered by their bytes, as everywhere else.
        var creation: String {
            let rest = "value \(valueType) NOT NULL, version bigint NOT NULL, owner text COLLATE \"C\" NOT NULL"
            return switch content {
            case .values:
                "CREATE TABLE IF NOT EXISTS \(quoted) (id text COLLATE \"C\" PRIMARY KEY, \(rest))"
            case .entries:
                "CREATE TABLE IF NOT EXISTS \(quoted) (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
                    + "\(rest), UNIQUE (version, owner))"
            }
        }

        /// Fails when a table or a column is missing.
        var check: String {
            "SELECT \(content == .values ? "id" : "number"), value, version, owner FROM \(quoted) LIMIT 0"
        }

        /// The later version stays; one that is there already is no error.
        ///
        /// Rows are locked in one order, so that two servers do not wait for each other.
        var insertion: String {
            let columns = "value, version, owner"
            let given = "value::\(valueType), version, owner"
            return switch content {
            case .values:
                """
                INSERT INTO \(quoted) AS there (id, \(columns))
                SELECT id, \(given) FROM unnest($1, $2, $3, $4) AS given (\(columns), id) ORDER BY id COLLATE "C"
                ON CONFLICT (id) DO UPDATE
                SET value = excluded.value, version = excluded.version, owner = excluded.owner
                WHERE (excluded.version, excluded.owner) > (there.version, there.owner)
                """
            case .entries:
                """
                INSERT INTO \(quoted) (\(columns))
                SELECT \(given) FROM unnest($1, $2, $3) WITH ORDINALITY AS given (\(columns), place) ORDER BY place
                ON CONFLICT (version, owner) DO NOTHING
                """
            }
        }

        var question: String { "SELECT \(readValue), version, owner FROM \(quoted) WHERE id = $1" }
        var lastEntries: String { "SELECT \(readValue) FROM \(quoted) ORDER BY number DESC LIMIT $1" }

        private var valueType: String { format == .json ? "jsonb" : "bytea" }
        /// As text: the binary format of `jsonb` has a number before it.
        private var readValue: String { format == .json ? "value::text" : "value" }
    }
#endif
