// SPDX-License-Identifier: MIT
/// What a person may do to a cluster; each includes those before it.
///
/// - Source: pomelo-admin 1.0.1, the numbers `level` of adminUser.json, of which any but 1 might do nearly everything.
public enum AdminRole: String, Sendable, CaseIterable, Comparable {
    /// See what there is.
    case read
    /// Start, stop and change servers.
    case operate
    /// End the cluster.
    case own

    /// Whether the second may do more.
    public static func < (one: AdminRole, other: AdminRole) -> Bool { one.rank < other.rank }
    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}
