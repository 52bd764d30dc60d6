// SPDX-License-Identifier: MIT
import Pomelo

/// Tells a client which connector to use: the same user always gets the same one while it lives.
struct GateHandler: Handler {
    let app: Application

    var routes: [ServedRoute] { on(ChatAPI.queryEntry, queryEntry) }

    func queryEntry(_ hello: ChatAPI.Hello, _ session: Session) async throws -> ChatAPI.Entry {
        guard let uid = hello.uid?.string, !uid.isEmpty else { throw Fault(500) }
        let connectors = app.servers.answering(.connector)
        guard !connectors.isEmpty else { throw Fault(500) }
        let chosen = Router.hashed(uid, connectors)
        // The connector of the kind through which the client came here, unless it asks for another.
        let type = hello.type?.string ?? app.sessionService.get(session.id)?.socket.connectorType
        guard let address = app.servers[chosen]?.record.clientAddress(for: type) else { throw Fault(500) }
        return ChatAPI.Entry(host: address.host, port: address.port, id: chosen, tls: address.tls ? true : nil)
    }
}
