// SPDX-License-Identifier: MIT
import PomeloContract
import PomeloLoop

/// Who wants to listen where: a port that is wanted twice is found before the second server finds it taken.
///
/// Servers of one host are on one machine, whichever of its own names the host has. A server's `clients` may share a
/// port, for its connectors listen together; a port that is left open is nobody's.
struct PortClaims {
    private struct Claim {
        let server: ServerID
        let key: String
        let address: String
        /// Ports of UDP and of TCP have nothing to do with each other.
        let isDatagrams: Bool
        /// As the file says it.
        let place: SocketAddress

        /// Whether both cannot be had; machine and port are the same.
        func excludes(_ other: Claim) -> Bool {
            if server == other.server && key == other.key || isDatagrams != other.isDatagrams { return false }
            return address == other.address || isWild || other.isWild || isEither(other) || other.isEither(self)
        }

        private var isWild: Bool { PortClaims.wild.contains(address) }

        /// A name that is found at 127.0.0.1, or at ::1.
        private func isEither(_ other: Claim) -> Bool {
            address == "localhost" && ["127.0.0.1", "::1"].contains(other.address)
        }
    }

    private static let wild = ["0.0.0.0", "::"]

    /// By machine and port.
    private var claims: [SocketAddress: [Claim]] = [:]

    /// - Throws: `PomeloError` `.configuration` naming both servers and their keys.
    static func check(_ servers: [ServerRecord], _ file: String) throws {
        var claims = PortClaims()
        for server in servers {
            try claims.add(server, "port", at: server.host, server.port, file)
            for client in server.clients {
                try claims.add(server, server.clientKey, at: server.bind ?? server.host, client.port, file, client)
            }
        }
    }

    private mutating func add(
        _ server: ServerRecord, _ key: String, at address: String, _ port: Int, _ file: String,
        _ client: ServerRecord.ClientEntry? = nil
    ) throws {
        guard port != 0 else { return }
        let place = SocketAddress(host: server.host, port: port)
        let isHere = place.isLoopback || Self.wild.contains(server.host)
        let machine = SocketAddress(host: isHere ? "localhost" : server.host, port: port)
        let claim = Claim(
            server: server.id, key: key, address: address, isDatagrams: client?.isDatagrams ?? false,
            place: place)
        if let other = claims[machine]?.first(where: claim.excludes) {
            let both = "\(other.key) of \(other.server) and \(claim.key) of \(claim.server)"
            let same = "both \(place)"
            let one = "one of one machine: \(other.place) and \(place)"
            throw PomeloError(.configuration, "\(file): \(both) are \(other.place == place ? same : one)")
        }
        claims[machine, default: []].append(claim)
    }
}

extension ServerRecord {
    /// The key of servers.json that its client ports are in.
    package var clientKey: String { clients.contains { $0.type != nil } ? "clients" : "clientPort" }
}
