// SPDX-License-Identifier: MIT
public import PomeloLoop

/// Where a service publishes state under its server's lease.
///
/// The owner's memory is the truth. A store may lose data: its sequence says so.
@Loop public protocol PublishedStore: AnyObject {
    /// Whether entries live under a lease, and so need a cluster membership.
    var needsMembership: Bool { get }
    /// Prepares the store for this server.
    func start(_ application: Application, _ membership: (any Membership)?) async throws
    /// The last sequence the store holds for this instance; nil when it holds nothing of it.
    func publishedSequence() async throws -> UInt64?
    /// Removes what this server's former instances have published, when asked to clean on start-up.
    func clean() async throws
}

extension PublishedStore {
    /// False: entries live until they are removed.
    public var needsMembership: Bool { false }
    /// Does nothing.
    public func start(_ application: Application, _ membership: (any Membership)?) async throws {}
    /// Does nothing.
    public func clean() async throws {}

    /// Whether a plugin can use this store, under this prefix of its keys.
    ///
    /// - Throws: `PomeloError` `.configuration` when the prefix holds a brace, or the store needs a cluster membership
    ///   and there is none.
    public func check(_ prefix: String, for plugin: String, in application: Application) throws {
        guard !prefix.contains(where: { "{}".contains($0) }) else {
            throw PomeloError(.configuration, "\(plugin): prefix must not hold { or }")
        }
        if needsMembership, application.membership == nil {
            throw PomeloError(.configuration, "\(plugin): this store needs the Cluster plugin, used before it")
        }
    }
}

extension PomeloError {
    /// What a store throws that is asked to write or remove what another instance of the server has by now.
    public static func replaced(_ server: ServerID, by instance: InstanceID) -> PomeloError {
        PomeloError(.notRunning, "another instance has \(server): \(instance)")
    }
}

/// Whose entries a store writes.
public struct StoreOwner: Sendable {
    /// The server.
    public var server = ServerID("")
    /// This start of the server.
    public var instance = InstanceID("")
    /// Part of the keys that hang on a lease.
    public var cluster = ""
    /// The hash that lives as long as the server's lease; empty without a membership.
    public var leaseKey = ""

    /// Nobody, before the store starts.
    public init() {}

    /// An application and its place in the cluster.
    @Loop public init(_ application: Application, _ membership: (any Membership)?) {
        server = application.serverID
        instance = application.instance
        cluster = application.clusterName
        leaseKey = membership?.leaseKey(of: server) ?? ""
    }

    /// A key that hangs on a server's lease: all of one server share a slot of Redis Cluster.
    public func key(_ name: String, of server: ServerID) -> String { "pomelo:{\(cluster)/\(server)}:\(name)" }
}
