// SPDX-License-Identifier: MIT
public import PomeloLoop

/// How the servers with the data are found.
public enum RedisTopology: Sendable, Hashable {
    /// One server: a host and a port, or the absolute path of a Unix-domain socket, whose port is 0.
    case standalone(SocketAddress)
    /// The primary that some sentinels name.
    case sentinel(RedisSentinelAddress)
    /// The nodes of a Redis Cluster, some of which are named to begin with.
    case cluster(seeds: [SocketAddress])

    /// Where a server listens that nobody told otherwise.
    static let local = SocketAddress(host: "127.0.0.1", port: 6379)

    /// The place of the one server, or of the first that is asked.
    var firstPlace: SocketAddress {
        switch self {
        case .standalone(let place): place
        case .sentinel(let address): address.places.first ?? Self.local
        case .cluster(let seeds): seeds.first ?? Self.local
        }
    }
}

/// Where the sentinels of one primary are, and who asks them.
public struct RedisSentinelAddress: Sendable, Hashable {
    /// The sentinels; any one that answers is enough.
    public var places: [SocketAddress]
    /// The name under which they watch the primary.
    public var primary: String
    /// The sentinels' own ACL user; the servers with the data have others.
    public var username: String?
    /// The sentinels' own password.
    public var password: String?

    /// Sentinels that ask for no password.
    public init(_ places: [SocketAddress], primary: String, username: String? = nil, password: String? = nil) {
        self.places = places
        self.primary = primary
        self.username = username
        self.password = password
    }
}

extension RedisTopology: CustomStringConvertible {
    /// The places, without a password.
    public var description: String {
        switch self {
        case .standalone(let place): "\(place)"
        case .sentinel(let address):
            "\(address.primary) of the sentinels \(address.places.map(\.description).joined(separator: ", "))"
        case .cluster(let seeds): "the cluster of \(seeds.map(\.description).joined(separator: ", "))"
        }
    }
}
