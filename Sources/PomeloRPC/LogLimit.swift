// SPDX-License-Identifier: MIT

/// Lets so many lines pass in a span of time, and counts the others: instants in, verdict out.
struct LogLimit {
    private let lines: Int
    private let span: UInt64
    private var passed = 0
    private var spanEnd: UInt64 = 0
    private var omitted = 0

    /// Nanoseconds throughout.
    init(lines: Int, span: UInt64) {
        self.lines = lines
        self.span = span
    }

    /// How many lines were left out before this one; nil when this is left out too.
    mutating func take(at now: UInt64) -> Int? {
        if now >= spanEnd {
            passed = 0
            spanEnd = now &+ span
        }
        guard passed < lines else {
            omitted += 1
            return nil
        }
        passed += 1
        defer { omitted = 0 }
        return omitted
    }
}
