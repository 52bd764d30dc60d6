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
        guard let record = app.servers[chosen]?.record, let port = record.clientPort else { throw Fault(500) }
        return ChatAPI.Entry(host: record.clientHost ?? record.host, port: port)
    }
}
