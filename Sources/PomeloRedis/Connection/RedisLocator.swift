// SPDX-License-Identifier: MIT
import Logging
import PomeloLoop
import PomeloTLS
import PomeloUV

/// Says which server a connection is to be made to; asked before every attempt.
@Loop protocol RedisLocator: AnyObject {
    /// What the connection is to, for messages of a time when no server is known yet.
    var description: String { get }
    /// What must be found at the place.
    var role: RedisRole { get }
    /// Whether another server takes the place of one that is gone: a start waits for it.
    var hasSuccessors: Bool { get }
    /// The longest pause between two attempts.
    var longestPause: Duration { get }

    /// Finds the place; takes no longer than the connect timeout.
    ///
    /// - Throws: `.connection` with the reason; `.reply` when another attempt is pointless.
    func locate() async throws(RedisError) -> SocketAddress
    /// The server at the place was not what it should be, or could not be reached.
    func wasWrong(about place: SocketAddress)
}

/// What a server must be, to be of use to a connection.
enum RedisRole {
    /// A primary with all the data.
    case primary
    /// A primary of a Redis Cluster.
    case clusterPrimary
    /// A node of a Redis Cluster, whichever.
    case anyClusterNode
    /// No server with data, but one that watches over them.
    case sentinel
}

extension RedisLocator {
    var hasSuccessors: Bool { false }
    var longestPause: Duration { .seconds(2) }
}

/// One server, always at the same place.
@Loop final class FixedLocator: RedisLocator {
    let role: RedisRole
    private let place: SocketAddress

    init(_ place: SocketAddress, _ role: RedisRole = .primary) {
        self.place = place
        self.role = role
    }

    var description: String { "redis at \(place)" }
    func locate() async throws(RedisError) -> SocketAddress { place }
    func wasWrong(about place: SocketAddress) {}
}

/// Any of several servers, in the order of the places; those that were of no use come last, the latest behind all.
@Loop final class RotatingLocator: RedisLocator {
    let role: RedisRole
    let description: String
    private let places: @Loop () -> [SocketAddress]
    private var useless: [SocketAddress] = []

    init(_ description: String, _ role: RedisRole, _ places: @escaping @Loop () -> [SocketAddress]) {
        self.description = description
        self.role = role
        self.places = places
    }

    func locate() async throws(RedisError) -> SocketAddress {
        let places = places()
        useless.removeAll { !places.contains($0) }
        guard let place = places.first(where: { !useless.contains($0) }) ?? useless.first else {
            throw .connection("\(description): no place is known")
        }
        return place
    }

    func wasWrong(about place: SocketAddress) {
        useless.removeAll { $0 == place }
        useless.append(place)
    }
}

extension RedisConfiguration {
    /// Says where one connection goes, when no more than one is wanted.
    @Loop func locator(_ resolver: Resolver, _ logger: Logger) -> any RedisLocator {
        topology.locator(within: connectTimeout, resolver, logger, tls: tls)
    }
}

extension RedisTopology {
    /// Says where one connection goes, when no more than one is wanted.
    @Loop func locator(
        within patience: Duration = .seconds(2), _ resolver: Resolver = Resolver(),
        _ logger: Logger = Logger(label: "pomelo.redis"), tls: TLSClientOptions? = nil
    ) -> any RedisLocator {
        switch self {
        case .standalone(let place): FixedLocator(place)
        case .sentinel(let address):
            SentinelLocator(address, within: patience, resolver: resolver, logger: logger, tls: tls)
        case .cluster: FixedLocator(firstPlace, .clusterPrimary)
        }
    }
}
