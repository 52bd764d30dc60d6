// SPDX-License-Identifier: MIT
import PomeloCore
package import PomeloJSON
import PomeloLoop
import PomeloRedis

/// How a server stands in its cluster: by its lease, by what its ways to Redis deliver, and by who answers its calls.
public struct ClusterHealth: Sendable, Equatable {
    /// What is wrong, each with its reason; empty when nothing is.
    public var reasons: [String]
    /// Whether nothing is wrong.
    public var isReady: Bool { reasons.isEmpty }
}

extension ClusterHealth {
    /// As the module `health` of a server answers.
    package init(_ answer: JSON) {
        reasons = answer["reasons"]?.array?.compactMap(\.string) ?? []
        guard let state = answer["state"]?.string, state != "ready", reasons.isEmpty else { return }
        reasons = [state]
    }
}

extension ClusterHealth: CustomStringConvertible {
    /// `ready`, or `degraded` and why.
    public var description: String { isReady ? "ready" : "degraded: \(reasons.joined(separator: "; "))" }
}

extension ClusterMembership {
    /// The lease, commands and messages by Redis, and calls to other servers, as each was tried last.
    ///
    /// One server that does not answer is that server's matter; calls count as failing when more than half of the
    /// others do not.
    public var condition: ClusterHealth {
        var reasons: [String] = []
        if health != .healthy { reasons.append("lease: \(health.rawValue)") }
        if case .degraded(let reason)? = ports.client?.health { reasons.append(reason) }
        let others = servers.all.filter { $0.state == .up && $0.id != id }
        let silent = others.filter { servers.isSuspect($0.id) }
        if silent.count * 2 > others.count {
            let names = silent.prefix(4).map(\.id.description).joined(separator: ", ")
            reasons.append("calls: \(silent.count) of \(others.count) servers do not answer: \(names)")
        }
        return ClusterHealth(reasons: reasons)
    }
}

/// Says how its server stands, as `health` of the administration.
@Loop final class HealthModule: AdminModule {
    let moduleID = "health"
    let leastRole = AdminRole.read
    private weak var membership: ClusterMembership?

    init(_ membership: ClusterMembership) { self.membership = membership }

    func monitorHandler(_ message: JSON) async throws -> JSON {
        guard let condition = membership?.condition else { return ["state": "stopped"] }
        return [
            "state": .string(condition.isReady ? "ready" : "degraded"),
            "reasons": .array(condition.reasons.map { .string($0) }),
        ]
    }
}
