// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop

/// Which connector of a frontend listens where: those of one port listen together.
@Loop struct ClientPlan {
    /// One address, and who listens there.
    @Loop struct Port {
        let address: SocketAddress
        /// The one that listens, for the others too.
        let connector: any Connector
        /// Whether clients must speak TLS there, as the file says.
        let tls: Bool?
        fileprivate(set) var sharing: [any Connector] = []

        /// A port of TCP and one of UDP are two, also of the same number.
        fileprivate func isShared(with other: any Connector, at place: SocketAddress) -> Bool {
            connector.takesPort && address == place && connector.takesDatagrams == other.takesDatagrams
        }
    }

    private(set) var ports: [Port] = []

    /// - Throws: `PomeloError` `.configuration` naming the connector without a port, or the port without a connector.
    ///
    /// `hint` tells what the file may have in the place of a port.
    init(
        _ connectors: [any Connector], _ record: ServerRecord, file: String, hint: String = ""
    ) throws(PomeloError) {
        let host = record.bind ?? record.host
        // One clientPort is everybody's.
        let isForAll = record.clients.count == 1 && record.clients[0].type == nil
        var left = record.clients
        for connector in connectors {
            guard connector.takesPort else {
                ports.append(Port(address: SocketAddress(host: host, port: 0), connector: connector, tls: nil))
                continue
            }
            let type = Text(connector.type)
            let standsForAll = type == "*"
            guard let index = left.firstIndex(where: { standsForAll || $0.type.map { Text($0) == type } ?? true })
            else {
                let missing = Self.missing(connector, connectors, record.clients)
                throw PomeloError(.configuration, "\(file): \(record.id) has no \(missing)\(hint)")
            }
            let address = SocketAddress(host: host, port: left[index].port)
            let tls = left[index].tls
            if tls == true, !connector.speaksTLS {
                throw PomeloError(
                    .configuration, "\(file): \(record.id) wants tls, which its connector \(connector.type) cannot")
            }
            if standsForAll { left = [] } else if !isForAll { left.remove(at: index) }
            if let shared = ports.firstIndex(where: { $0.isShared(with: connector, at: address) }) {
                guard ports[shared].tls == tls else {
                    throw PomeloError(
                        .configuration,
                        "\(file): \(record.id) has two entries for the port \(address.port), and tls is "
                            + "not the same in both")
                }
                ports[shared].sharing.append(connector)
            } else {
                ports.append(Port(address: address, connector: connector, tls: tls))
            }
        }
        guard let entry = left.first, !isForAll, !connectors.isEmpty else { return }
        let types = connectors.map(\.type).joined(separator: ", ")
        throw PomeloError(
            .configuration,
            "\(file): \(record.id) has a port for the type \(entry.type ?? "-"), but its connectors are: \(types)")
    }

    private static func missing(
        _ connector: any Connector, _ all: [any Connector], _ entries: [ServerRecord.ClientEntry]
    ) -> String {
        if !entries.isEmpty {
            let types = entries.map { $0.type ?? "-" }.joined(separator: ", ")
            return "port for its connector \(connector.type) in clients; there are those of: \(types)"
        }
        if all.count == 1 { return "clientPort" }
        let types = all.map(\.type).joined(separator: ", ")
        let list = "list {\"type\", \"port\"} of each in clients"
        return "clientPort for its connectors \(types), which may share it (or \(list))"
    }
}
