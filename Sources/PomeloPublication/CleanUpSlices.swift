// SPDX-License-Identifier: MIT
import PomeloLoop

/// The pace of a clean-up: short slices, so that a cleaner that is slow learns in time that it is one no more.
public enum CleanUpSlices {
    /// Entries between two looks at the token.
    public static let length = 50

    /// Runs `body` for slices of the entries, each after a look at the token by `proceed`.
    ///
    /// - Complexity: the look for the next slice is taken beside the work of this one: a round trip each.
    /// - Throws: what `body` and `proceed` throw; nothing is begun after that.
    @Loop public static func run<Entry: Sendable>(
        _ entries: [Entry], _ proceed: @escaping @Loop () async throws -> Void,
        _ body: @escaping @Loop ([Entry]) async throws -> Void
    ) async throws {
        guard !entries.isEmpty else { return }
        try await proceed()
        for start in stride(from: 0, to: entries.count, by: length) {
            let end = min(start + length, entries.count)
            let slice = Array(entries[start..<end])
            guard end < entries.count else { return try await body(slice) }
            async let look: Void = proceed()
            try await body(slice)
            try await look
        }
    }
}
