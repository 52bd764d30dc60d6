// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloJSON

/// What may be meant, and is more likely a slip: warnings at the start.
extension Application {
    func warn() {
        warnOfSecret()
        warnOfTLS()
        warnOfTypes()
        warnOfContract()
        warnOfEnvironments()
        warnOfKeys(of: serverID, in: isMaster ? "master" : "servers")
        // Its name is every server's.
        if let master, !isMaster { warnOfKeys(of: master.id, in: "master") }
    }

    private func warnOfKeys(of id: ServerID, in file: String) {
        for (key, meant) in configuration.misspelt(id) {
            log.warning(
                "a key is the application's own, and nearly one of the framework's",
                metadata: [
                    "pomelo.file": "\(configuration.path(file))", "pomelo.key": "\(key)", "pomelo.nearest": "\(meant)",
                ])
        }
    }

    private func warnOfSecret() {
        guard !secret.isEmpty, secret.count < 16, env != "development" else { return }
        log.warning(
            "POMELO_SECRET is short; give it 32 random bytes: openssl rand -hex 32",
            metadata: ["pomelo.bytes": "\(secret.count)"])
    }

    /// pomelo reads these keys of a server.
    private func warnOfTLS() {
        for key in ["ssl", "tls"] where record.metadata[key]?.isTruthy == true {
            log.warning(
                "a key means nothing here: TLS of clients ends at a proxy in front of the client port",
                metadata: ["pomelo.file": "\(configuration.path("servers"))", "pomelo.key": "\(key)"])
        }
    }

    private func warnOfTypes() {
        let known = serverTypes
        func warn(_ text: Logger.Message, _ type: ServerType) {
            guard !known.contains(type), type != .master else { return }
            log.warning(
                text, metadata: ["pomelo.type": "\(type)", "pomelo.types": "\(known.map(\.rawValue))"])
        }
        for type in router.types { warn("a rule routes to a type that no server has", type) }
        for route in declaredRoutes { warn("declare names a route of a type that no server has", route.serverType) }
        for type in configured.types.sorted() {
            warn("configure names a type that no server has", ServerType(type.string))
        }
    }

    /// What the list of a contract has forgotten, its server may forget to serve, and nobody would be told.
    private func warnOfContract() {
        guard !declaredRoutes.isEmpty else { return }
        let declared = Set(declaredRoutes)
        for route in contractRoutes where !declared.contains(route) {
            log.warning("served, but in no list that declare was given", metadata: ["pomelo.route": "\(route)"])
        }
    }

    /// Environments are named freely: only what is nearly the name of one, and none itself, is told.
    private func warnOfEnvironments() {
        let known = Set(configuration.environments + [env, "development", "production"]).sorted()
        for name in configured.envs.sorted().map(\.string) where !known.contains(name) {
            guard let nearest = known.first(where: { Nearness.abbreviates(name, $0) }) else { continue }
            log.warning(
                "configure names an environment that is not there",
                metadata: ["pomelo.env": "\(name)", "pomelo.nearest": "\(nearest)"])
        }
    }
}
