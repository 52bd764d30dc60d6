// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloRedis

/// Writes this server's entry and renews its lease.
@Loop final class LeaseRenewer {
    /// How the registry sees this instance.
    enum Standing: Equatable {
        case held
        /// The entry, or what hangs on the lease, was lost, and is there again.
        case regained
        /// Another instance has the id; whether it lives is not known here.
        case taken(LeaseHolder)
        /// Leaving: nothing is renewed any more.
        case leaving
    }

    private let registry: ClusterRegistry
    private let lease: Duration
    var info: ServerInfo
    private var isLeaving = false
    /// Something was lost, and nobody has been told yet: what is told may fail half way.
    private var hasLost = false

    init(_ registry: ClusterRegistry, _ info: ServerInfo, lease: Duration) {
        self.registry = registry
        self.info = info
        self.lease = lease
    }

    /// Takes the id, in the place of `expected` when given; returns the holder when there is another one.
    func join(replacing expected: InstanceID?) async throws(RedisError) -> LeaseHolder? {
        switch try await registry.put(info, replacing: expected, lease: lease) {
        case .written: nil
        case .held(let holder): holder
        }
    }

    /// A change is written by `announce`, or by the next renewal.
    var state: ServerState {
        get { info.state }
        set { info.state = newValue }
    }

    /// Writes the entry as it is now.
    func announce() async throws(RedisError) -> Standing { try await put() ?? .held }

    /// Renews, and comes back when the registry has lost this instance, or has `dead` in its place.
    ///
    /// With `claims` the hash that hangs on the lease is made this instance's own: not before what a former one has
    /// left is cleaned up.
    func confirm(claims: Bool, replacing dead: InstanceID? = nil) async throws(RedisError) -> Standing {
        if isLeaving { return .leaving }
        if let dead {
            hasLost = true
            if let other = try await put(replacing: dead) { return other }
        } else {
            switch try await registry.renew(info, lease: lease) {
            case .renewed: break
            case .missing:
                hasLost = true
                if let other = try await put() { return other }
            // Who the other one is, a wish to write tells.
            case .differs, .taken: if let other = try await put() { return other }
            }
        }
        if claims { try await claim() }
        defer { hasLost = false }
        return hasLost ? .regained : .held
    }

    /// Renews and writes nothing any more.
    func leaves() { isLeaving = true }

    private func claim() async throws(RedisError) {
        do throws(RedisError) {
            if try await !registry.claim(info) { hasLost = true }
        } catch {
            // Executed, perhaps: then the next one would find nothing amiss.
            hasLost = hasLost || error.maybeExecuted
            throw error
        }
    }

    /// Nil when the entry is written.
    private func put(replacing dead: InstanceID? = nil) async throws(RedisError) -> Standing? {
        // REENTRANCY: `leaves` may have been called while the renewal was under way.
        if isLeaving { return .leaving }
        switch try await registry.put(info, replacing: dead, lease: lease) {
        case .written: return nil
        case .held(let holder): return .taken(holder)
        }
    }
}
