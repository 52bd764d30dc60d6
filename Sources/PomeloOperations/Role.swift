// SPDX-License-Identifier: MIT
//
// PomeloOperations: who may do what to a running cluster, and the record of who did.
// Reading order: Role, PasswordHash, Operators, LoginProof, OpenLogins, OperatorCommand, OperationsModule, AuditLog.

/// What a person may do to a cluster; each includes those before it.
package enum Role: String, Sendable, CaseIterable, Comparable {
    /// See what there is.
    case read
    /// Start, stop and change servers.
    case operate
    /// End the cluster.
    case own

    package static func < (one: Role, other: Role) -> Bool { one.rank < other.rank }
    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}
