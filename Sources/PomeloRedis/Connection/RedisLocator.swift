// SPDX-License-Identifier: MIT
import PomeloLoop

/// Says which server a connection is to be made to; asked before every attempt.
@Loop protocol RedisLocator: AnyObject {
    /// What the connection is to, for messages of a time when no server is known yet.
    var description: String { get }
    /// Whether a node of a Redis Cluster may be at the place.
    var allowsClusterNodes: Bool { get }

    /// Finds the place; takes no longer than the connect timeout.
    ///
    /// - Throws: `.connection` with the reason; `.reply` when another attempt is pointless.
    func locate() async throws(RedisError) -> SocketAddress
    /// The server at the place was not what it should be, or could not be reached.
    func wasWrong(about place: SocketAddress)
}

/// One server, always at the same place.
@Loop final class FixedLocator: RedisLocator {
    let allowsClusterNodes: Bool
    private let place: SocketAddress

    init(_ place: SocketAddress, allowsClusterNodes: Bool = false) {
        self.place = place
        self.allowsClusterNodes = allowsClusterNodes
    }

    var description: String { "redis at \(place)" }
    func locate() async throws(RedisError) -> SocketAddress { place }
    func wasWrong(about place: SocketAddress) {}
}

extension RedisTopology {
    /// Says where one connection goes, when no more than one is wanted.
    @Loop func locator() -> any RedisLocator {
        switch self {
        case .standalone(let place): FixedLocator(place)
        case .sentinel: FixedLocator(firstPlace)
        case .cluster: FixedLocator(firstPlace, allowsClusterNodes: true)
        }
    }
}
