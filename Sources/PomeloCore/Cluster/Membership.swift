// SPDX-License-Identifier: MIT
public import PomeloLoop

/// This server's place in the cluster, for the services that publish state under its lease.
///
/// Implemented by the cluster plugin; services that need one are given it and refuse to start without.
@Loop public protocol Membership: AnyObject {
    /// This start of this server.
    var instance: InstanceID { get }
    /// Whether the registry holds this instance, as far as this process knows.
    var isJoined: Bool { get }
    /// False while a server that lives is known, or likely, to be missing from this server's view: after the registry
    /// has lost data. What is sent to all servers meanwhile may not reach all of them.
    var isViewComplete: Bool { get }
    /// How sure this server may be that the others count on it.
    var health: MembershipHealth { get }
    /// How long a server may be silent before the others clean up after it.
    var lease: Duration { get }
    /// Whether the registry says now that an instance has its server id and its lease lives; a view lags behind that.
    func isAlive(_ server: ServerID, _ instance: InstanceID) async throws -> Bool
    /// Every server id ever seen by this cluster: also those that are gone now.
    func everServers() async throws -> [ServerID]
    /// Registers what must be removed when a server is gone; order of registration is order of call.
    func addCleaner(_ cleaner: any LeaseCleaner)
    /// Registers who re-publishes state after Redis came back or was emptied.
    func addPublisher(_ publisher: any LeasePublisher)
}

/// How sure a server may be of its place in the cluster.
public enum MembershipHealth: String, Sendable {
    /// The lease is renewed.
    case healthy
    /// Redis does not renew the lease; what needs no Redis goes on.
    case degraded
    /// The lease was not renewed for twice its length: others may have taken this server for gone.
    case isolated
}

/// Removes what a gone instance has left in Redis.
///
/// Called on one live server at a time, while it holds the clean-up token of that server; may be called again for
/// the same instance after a crash half way, so it must be idempotent.
@Loop public protocol LeaseCleaner: AnyObject {
    /// The service whose state it removes; servers without it leave the clean-up to others.
    var name: String { get }
    /// Removes what an instance of a server, or one before it, has written; nothing of a later one.
    ///
    /// The instance is the one that is gone, or this server's own, which has written nothing yet. At most 50 entries go
    /// between two calls of `proceed`, which renews the token, and throws when it was lost: that must end the work.
    func cleanUp(
        _ server: ServerID, instance: InstanceID, proceed: @escaping @Loop () async throws -> Void
    ) async throws
}

/// Publishes state under this server's lease.
@Loop public protocol LeasePublisher: AnyObject {
    /// Redis is back, or the lease was taken anew: compare and publish again what it has lost.
    func redisReturned() async
    /// Whether the store holds something that should not be there, or may soon: a server that ends so must not leave
    /// the registry, since nobody would clean up after it.
    var isBehind: Bool { get }
}

extension LeasePublisher {
    /// False: nothing of its own is published.
    public var isBehind: Bool { false }
}
