// SPDX-License-Identifier: MIT
import Pomelo
import PomeloSupervision
import PomeloUV

/// Which servers of a configuration are started here, and how.
struct StartPlan {
    /// The servers, in order of their start: who is called before who calls.
    let servers: [ServerRecord]
    /// Servers of other machines.
    let elsewhere: [ServerRecord]
    /// Whether the master is one of them.
    let hasMaster: Bool

    /// All servers of this machine, or those of a type, or one.
    ///
    /// - Throws: `PomeloError` `.configuration` naming what there is instead of the type or id.
    init(_ configuration: Configuration, type: String?, id: String?) throws {
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
        servers = others.filter(Self.isHere)
            .sorted { (($0.isFrontend ? 1 : 0), $0.id) < (($1.isFrontend ? 1 : 0), $1.id) }
        elsewhere = others.filter { !Self.isHere($0) }
    }

    /// Whether a server is one of this machine.
    static func isHere(_ server: ServerRecord) -> Bool {
        SocketAddress(host: server.host, port: server.port).isLoopback || addresses.contains(server.host)
    }

    private static let addresses = ThisProcess.addresses.union(["localhost", "0.0.0.0", "::"])

    /// How one of them is run: this program, once more.
    static func process(
        _ server: ServerRecord, _ configuration: Configuration, _ program: String, _ variables: [String: String],
        _ restarts: RestartRule, words own: [String]? = nil
    ) -> ProcessPlan {
        let words =
            server.launch.arguments + ["--env", configuration.env, "--config", configuration.folder]
            + (own ?? ["--id", server.id.rawValue])
        let line = (server.launch.cpu.map { ["taskset", "--cpu-list", "\($0)"] } ?? []) + [program] + words
        let command = ChildProcess.Command(line[0], Array(line.dropFirst()), environment: variables)
        return ProcessPlan(
            server.id.rawValue, server.isFrontend ? .frontend : .backend, command,
            restarts: server.launch.restarts ? .always : restarts)
    }
}
