// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloPublication

/// Every key of a cluster's registry, and of what hangs on the lease of one server.
///
/// Keys of one script share a slot of Redis Cluster: `{c}` for the registry, `{c/server}` for an owner.
struct ClusterKeys {
    let cluster: String

    /// Hash: server id → entry.
    var servers: String { "pomelo:{\(cluster)}:servers" }
    /// Sorted set: server id → end of its lease in Unix milliseconds, by the clock of Redis.
    var leases: String { "pomelo:{\(cluster)}:leases" }
    /// Counter of changes.
    var epoch: String { "pomelo:{\(cluster)}:epoch" }
    /// When this registry began; another value is another registry.
    var born: String { "pomelo:{\(cluster)}:born" }
    /// Stream of changes.
    var events: String { "pomelo:{\(cluster)}:ev" }
    /// Channel that says: the stream has grown.
    var hint: String { "pomelo:{\(cluster)}:ev!" }
    /// Set of all server ids there ever were.
    var everServers: String { "pomelo:{\(cluster)}:everServers" }
    /// Hash that lives as long as a term: `owner`, `token`.
    func elected(_ office: String) -> String { "pomelo:{\(cluster)}:elect:\(office)" }
    /// The last token of an office.
    func fence(_ office: String) -> String { elected(office) + ":fence" }

    /// Hash that lives as long as a server's lease: `inst`, `seq`.
    func lease(_ server: ServerID) -> String { StoreOwner.key("lease", of: server, in: cluster) }
    /// What stands around the id of a server in the name of its lease hash.
    var leaseAffixes: (start: String, end: String) { ("pomelo:{\(cluster)/", "}:lease") }
    /// Hash: for what all keys were walked over, and in which run of Redis.
    var walks: String { StoreOwner.walksKey(in: cluster) }
    /// Token of whoever cleans up after a server.
    func reap(_ server: ServerID) -> String { StoreOwner.key("reap", of: server, in: cluster) }
}
