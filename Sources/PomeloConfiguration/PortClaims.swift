// SPDX-License-Identifier: MIT
import PomeloContract
import PomeloLoop

/// Who wants to listen where: a port that is wanted twice is found before the second server finds it taken.
///
/// Servers of one host are on one machine. A server's `clients` may share a port, for its connectors listen together;
/// a port that is left open is nobody's.
struct PortClaims {
    private struct Claim {
        let server: ServerID
        let key: String
        let address: String

        /// Whether both cannot be had; the port is the same.
        func excludes(_ other: Claim) -> Bool {
            if server == other.server, key == other.key { return false }
            return address == other.address || isWild || other.isWild
        }

        private var isWild: Bool { ["0.0.0.0", "::"].contains(address) }
    }

    private var claims: [SocketAddress: [Claim]] = [:]

    /// - Throws: `PomeloError` `.configuration` naming both servers and their keys.
    static func check(_ servers: [ServerRecord], _ file: String) throws {
        var claims = PortClaims()
        for server in servers {
            try claims.add(Claim(server: server.id, key: "port", address: server.host), server, server.port, file)
            let own = Claim(server: server.id, key: server.clientKey, address: server.bind ?? server.host)
            for client in server.clients { try claims.add(own, server, client.port, file) }
        }
    }

    private mutating func add(_ claim: Claim, _ server: ServerRecord, _ port: Int, _ file: String) throws {
        guard port != 0 else { return }
        let place = SocketAddress(host: server.host == "localhost" ? "127.0.0.1" : server.host, port: port)
        if let other = claims[place]?.first(where: claim.excludes) {
            let both = "\(other.key) of \(other.server) and \(claim.key) of \(claim.server)"
            throw PomeloError(.configuration, "\(file): \(both) are both \(place)")
        }
        claims[place, default: []].append(claim)
    }
}

extension ServerRecord {
    /// The key of servers.json that its client ports are in.
    package var clientKey: String { clients.contains { $0.type != nil } ? "clients" : "clientPort" }
}
