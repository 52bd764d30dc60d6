// SPDX-License-Identifier: MIT
public import PomeloCore
import PomeloLoop

/// Whose entries a store writes: one start of one server, in one cluster.
public struct StoreOwner: Sendable, Equatable {
    /// The server.
    public var server: ServerID
    /// This start of the server.
    public var instance: InstanceID
    /// Part of the keys that hang on a lease.
    public var cluster: String

    /// Nobody, unless it is said who: what a store has before it starts.
    public init(server: ServerID = "", instance: InstanceID = "", cluster: String = "") {
        self.server = server
        self.instance = instance
        self.cluster = cluster
    }

    /// A key that hangs on a server's lease: all of one server share a slot of Redis Cluster.
    public func key(_ name: String, of server: ServerID) -> String { Self.key(name, of: server, in: cluster) }

    /// A key that hangs on the lease of a server of a cluster.
    public static func key(_ name: String, of server: ServerID, in cluster: String) -> String {
        "pomelo:{\(cluster)/\(server)}:\(name)"
    }

    /// The hash that lives as long as a server's lease; each of its fields has one writer.
    ///
    /// ```
    /// inst         the instance that has the lease: PomeloCluster
    /// seq          <instance>/<sequence> of the memberships, channels how many there are: PomeloGlobalChannel
    /// status       the same of the status: PomeloStatus        users   how many of them there are
    /// ```
    public func leaseKey(of server: ServerID) -> String { key("lease", of: server) }

    /// Hash: for what all keys of Redis Cluster were walked over → in which run of Redis that was.
    public var walksKey: String { Self.walksKey(in: cluster) }
    /// The same of a cluster.
    public static func walksKey(in cluster: String) -> String { "pomelo:{\(cluster)}:walks" }
}

extension ServiceContext {
    /// Whose entries this server's stores write.
    public var owner: StoreOwner { StoreOwner(server: serverID, instance: instance, cluster: clusterName) }
}

extension PomeloError {
    /// What a store throws that is asked to write or remove what another instance of the server has by now.
    public static func replaced(_ server: ServerID, by instance: InstanceID) -> PomeloError {
        PomeloError(.replaced, "another instance has \(server): \(instance)")
    }
}
