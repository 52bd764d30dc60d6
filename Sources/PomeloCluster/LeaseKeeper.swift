// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloRedis

/// Writes this server's entry and renews its lease.
@Loop final class LeaseKeeper {
    /// How the registry sees this instance.
    enum Standing: Equatable {
        case held
        /// The entry, or what hangs on the lease, was lost, and is there again.
        case regained
        /// Another instance has the id.
        case lost
        /// Leaving: nothing is renewed any more.
        case leaving
    }

    private let registry: ClusterRegistry
    private let lease: Duration
    var info: ServerInfo
    private var isLeaving = false

    init(_ registry: ClusterRegistry, _ info: ServerInfo, lease: Duration) {
        self.registry = registry
        self.info = info
        self.lease = lease
    }

    /// Takes the id, in the place of `expected` when given; returns the holder's entry when there is another one.
    func join(replacing expected: InstanceID?) async throws(RedisError) -> String? {
        switch try await registry.put(info, replacing: expected, lease: lease) {
        case .written: nil
        case .held(let entry): entry
        }
    }

    /// A change is written by `announce`, or by the next renewal.
    var state: ServerState {
        get { info.state }
        set { info.state = newValue }
    }

    /// Writes the entry as it is now.
    func announce() async throws(RedisError) -> Standing { try await put(otherwise: .held) }

    /// Renews, and comes back when the registry has lost this instance.
    func confirm() async throws(RedisError) -> Standing {
        if isLeaving { return .leaving }
        let (renewal, isWhole) = try await registry.renew(info, lease: lease)
        switch renewal {
        case .renewed: return isWhole ? .held : .regained
        case .differs: return try await put(otherwise: isWhole ? .held : .regained)
        case .missing: return try await put(otherwise: .regained)
        case .taken: return .lost
        }
    }

    /// Removes the entry, if it is still this instance's.
    func leave() async throws(RedisError) {
        isLeaving = true
        _ = try await registry.leave(info)
    }

    private func put(otherwise standing: Standing) async throws(RedisError) -> Standing {
        // REENTRANCY: `leave` may have been called while the renewal was under way.
        if isLeaving { return .leaving }
        switch try await registry.put(info, replacing: nil, lease: lease) {
        case .written: return standing
        case .held: return .lost
        }
    }
}
