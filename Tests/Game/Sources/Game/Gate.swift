// SPDX-License-Identifier: MIT
import Pomelo

/// Tells a client which connector to use; in JSON, as its clients were written for.
struct GateHandler: Handler {
    let app: Application

    var routes: [ServedRoute] { on(json: "gate.gateHandler.queryEntry", queryEntry) }

    func queryEntry(_ query: JSON, _ session: Session) throws -> JSON {
        guard let name = query["name"]?.string else { throw Fault(400, "name is missing") }
        let connectors = app.servers.answering(.connector)
        guard !connectors.isEmpty else { throw Fault(503, "no connector is up") }
        let chosen = Router.hashed(name, connectors)
        guard let record = app.servers[chosen]?.record, let port = record.clientPort else { throw Fault(500) }
        return [
            "code": 200, "host": JSON(record.clientHost ?? record.host), "port": JSON(port),
            "region": record.metadata["region"] ?? .null,
        ]
    }
}
