// SPDX-License-Identifier: MIT
import DequeModule
import PomeloLoop

/// Somebody whose handshake is not done yet.
@Loop protocol PendingClient: AnyObject {
    var isPending: Bool { get set }
    /// Where it counts; nil until that is known.
    var origin: Origin? { get set }
    var remoteAddress: SocketAddress { get }
}

/// Clients whose handshake is not done yet, oldest first: so many at most, and so many from one address.
///
/// Nobody needs long for a handshake, so who has taken longest is the likeliest to want nothing but the place.
@Loop final class PendingConnections<Client: PendingClient> {
    private let limit: Int
    private let perAddress: Int
    private var all = Line()
    private var byOrigin: [Origin: Line] = [:]

    init(limit: Int, perAddress: Int) {
        self.limit = max(1, limit)
        self.perAddress = max(1, perAddress)
    }

    var count: Int { all.count }
    var oldest: Client? { all.oldest }

    /// Adds one; returns those that must make room for it, which are pending no more.
    ///
    /// One whose client is not known, for a proxy has yet to tell it, counts among all only.
    func add(_ connection: Client, isPlaced: Bool = true) -> [Client] {
        connection.isPending = true
        all.append(connection)
        var leaving = isPlaced ? place(connection) : []
        if all.count > limit, let oldest = all.oldest {
            remove(oldest)
            leaving.append(oldest)
        }
        return leaving
    }

    /// Counts one at its client's address from now on; returns who must make room for it there.
    ///
    /// Once is enough: who speaks for many by one connection has the place of the first.
    func place(_ connection: Client) -> [Client] {
        guard connection.isPending, connection.origin == nil else { return [] }
        let origin = Origin(connection.remoteAddress)
        connection.origin = origin
        byOrigin[origin, default: Line()].append(connection)
        guard let line = byOrigin[origin], line.count > perAddress, let oldest = line.oldest else { return [] }
        remove(oldest)
        return [oldest]
    }

    func remove(_ connection: Client) {
        guard connection.isPending else { return }
        connection.isPending = false
        all.noteRemoval()
        guard let origin = connection.origin else { return }
        connection.origin = nil
        byOrigin[origin]?.noteRemoval()
        if byOrigin[origin]?.count == 0 { byOrigin[origin] = nil }
    }

    /// Oldest first; those that are pending no more leave their places when the front or half of them is idle.
    @Loop private struct Line {
        private var connections: Deque<Client> = []
        private(set) var count = 0

        var oldest: Client? { connections.first { $0.isPending } }

        mutating func append(_ connection: Client) {
            connections.append(connection)
            count += 1
        }

        mutating func noteRemoval() {
            count -= 1
            while let first = connections.first, !first.isPending { connections.removeFirst() }
            if connections.count > 32, connections.count > 2 * count { connections.removeAll { !$0.isPending } }
        }
    }
}

/// Where a connection comes from, as a person with one line has it: an address, or a /64 network of IPv6.
struct Origin: Hashable {
    private let text: String

    init(_ address: SocketAddress) {
        let host = address.host
        // An IPv4 address in IPv6's clothes is one of IPv4; elsewhere the last 64 bits are the client's to choose.
        text = host.contains(":") && !host.contains(".") ? Self.network(of: host) : host
    }

    private static func network(of host: String) -> String {
        let halves = host.split(separator: "::", maxSplits: 1, omittingEmptySubsequences: false)
            .map { $0.split(separator: ":") }
        let left = halves[0].prefix(4).map(String.init)
        guard halves.count == 2, left.count < 4 else { return left.joined(separator: ":") }
        let zeros = 8 - halves[0].count - halves[1].count
        let all = halves[0].map(String.init) + Array(repeating: "0", count: max(0, zeros)) + halves[1].map(String.init)
        return all.prefix(4).joined(separator: ":")
    }
}
