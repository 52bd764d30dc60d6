// SPDX-License-Identifier: MIT
#if Postgres
    /// What PostgreSQL, or the way to it, said; whether the statement was executed may be unknown.
    public struct PostgresError: Error, Sendable, Hashable, CustomStringConvertible {
        /// The five characters of an error of the server; nil when none of its words arrived.
        public let state: String?
        let words: String

        init(state: String? = nil, _ words: String) {
            self.state = state
            // libpq's sentences end with a line's end, and some have several.
            self.words = words.split(separator: "\n").joined(separator: "; ")
        }

        /// The words for it, and the state.
        public var description: String { "PostgreSQL: \(words)" + (state.map { " (\($0))" } ?? "") }

        /// Another value would be taken: data, a constraint, a size.
        var isFaultOfValue: Bool { state.map { ["22", "23", "54"].contains($0.prefix(2)) } ?? false }
    }
#endif
