// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloLoop

/// The highest token of each office that a process has met.
///
/// - Source: "fencing tokens", M. Kleppmann, "How to do distributed locking", 2016.
@Loop public final class FencingTokens {
    /// A store counts no further without loss (2^53 − 1): a higher one would keep all others out for ever.
    public nonisolated static let limit: UInt64 = 1 << 53 - 1

    private var highest: [Text: UInt64] = [:]

    /// Nothing was met yet.
    public init() {}

    /// The highest that was met; 0 before.
    public func highest(of office: String) -> UInt64 { highest[Text(office)] ?? 0 }

    /// Whether who has this token may act, because no higher one was met; it is the highest then.
    public func admit(_ token: UInt64, of office: String) -> Bool {
        guard token >= highest(of: office), token <= Self.limit else { return false }
        highest[Text(office)] = token
        return true
    }
}
