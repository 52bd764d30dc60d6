// SPDX-License-Identifier: MIT
import Pomelo
import PomeloUV

/// Which servers of a configuration are started here, and how.
struct StartPlan {
    /// The servers, in order of their start: who is called before who calls.
    let servers: [ServerRecord]
    /// Servers of other machines, which are left to those.
    let elsewhere: [ServerRecord]
    /// Whether the master is one of them.
    let hasMaster: Bool

    /// All servers, or those of a type, or one; of this machine only, if that is wished.
    ///
    /// - Throws: `PomeloError` `.configuration` naming what there is instead of the type or id.
    init(_ configuration: Configuration, type: String?, id: String?, onlyHere: Bool) throws {
        var chosen = configuration.servers
        if let id { chosen = [try configuration.record(ServerID(id))] }
        if let type, type != "all" {
            chosen = chosen.filter { $0.type == ServerType(type) }
            guard !chosen.isEmpty else {
                let types = ([.master] + configuration.serverTypes).map(\.description).joined(separator: ", ")
                let file = configuration.path("servers")
                throw PomeloError(
                    .configuration, "\(file) has no server of the type \"\(type.forLog)\" to start; it has: \(types)")
            }
        }
        hasMaster = chosen.contains { $0.type == .master }
        let others = chosen.filter { $0.type != .master }
        elsewhere = onlyHere ? others.filter { !Self.isHere($0) } : []
        servers = others.filter { !onlyHere || Self.isHere($0) }
            .sorted { (($0.isFrontend ? 1 : 0), $0.id) < (($1.isFrontend ? 1 : 0), $1.id) }
    }

    /// Whether a server is one of this machine.
    static func isHere(_ server: ServerRecord) -> Bool {
        SocketAddress(host: server.host, port: server.port).isLoopback || addresses.contains(server.host)
    }

    /// Who may add servers may not say to whom the secret is sent: a machine is known already.
    ///
    /// - Throws: `PomeloError` `.configuration` naming one that is not.
    static func check(_ added: ServerRecord, _ configuration: Configuration) throws {
        if isHere(added) || configuration.servers.contains(where: { $0.host == added.host }) { return }
        throw PomeloError(.configuration, "\(added.host.forLog) is no host of \(configuration.path("servers"))")
    }

    private static let addresses = ThisProcess.addresses.union(["localhost", "0.0.0.0", "::"])
}
