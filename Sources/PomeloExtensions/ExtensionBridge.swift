// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloJSON
import PomeloLoop

/// Turns the application's events into those of the cluster's points.
@Loop final class ExtensionBridge: EventListener {
    private let extensions: ExtensionService
    private let servers: ServerDirectory
    private let server: ServerID

    init(_ extensions: ExtensionService, _ context: ServiceContext) {
        self.extensions = extensions
        servers = context.servers
        server = context.serverID
    }

    // MARK: sessions

    func bindSession(_ session: Session) {
        extensions.tell(.bindSession, data(session, session.uid), key: session.id.description)
    }

    func unbindSession(_ session: Session, from uid: UserID) {
        extensions.tell(.unbindSession, data(session, uid), key: session.id.description)
    }

    func closeSession(_ session: Session, _ end: SessionEnd) {
        extensions.tell(
            .closeSession, data(session, session.uid, reason: end.description), key: session.id.description)
    }

    private func data(_ session: Session, _ uid: UserID?, reason: String? = nil) -> JSON {
        var object: JSONObject = [
            "sid": .init(session.id), "uid": uid.map { .init($0) } ?? .null, "frontend": .init(session.frontend),
        ]
        object["reason"] = reason.map { .string($0) }
        return .object(object)
    }

    // MARK: servers

    func addServers(_ servers: [ServerRecord]) { tell(.addServers, servers.map(\.id)) }

    func removeServers(_ ids: [ServerID]) { tell(.removeServers, ids) }

    func replaceServers(_ servers: [ServerRecord]) { tell(.replaceServers, servers.map(\.id)) }

    func startAll() { extensions.tell(.startAll, [:], key: server.rawValue) }

    /// The server is about to stop.
    func drain() { extensions.tell(.drain, [:], key: server.rawValue) }

    private func tell(_ point: ExtensionPoint, _ ids: [ServerID]) {
        extensions.tell(
            point,
            [
                "epoch": .init(servers.version), "servers": .array(servers.all.map(data)),
                "ids": .array(ids.map { .init($0) }),
            ], key: server.rawValue)
    }

    private func data(_ info: ServerInfo) -> JSON {
        [
            "id": .init(info.id), "type": .init(info.type), "instance": .init(info.instance),
            "state": .string(info.state.rawValue), "host": .string(info.record.host), "port": .init(info.record.port),
            "frontend": .bool(info.record.isFrontend),
        ]
    }
}
