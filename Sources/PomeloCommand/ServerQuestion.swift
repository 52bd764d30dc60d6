// SPDX-License-Identifier: MIT
import Pomelo

/// What the master asks servers for an operator: the module `watchServer` of one, or of all.
@Loop struct ServerQuestion {
    private let servers: ServerDirectory
    private let admin: AdminService

    init(_ servers: ServerDirectory, _ admin: AdminService) {
        self.servers = servers
        self.admin = admin
    }

    /// The answers by server; of one that does not answer, or refuses, `{"error": …}`.
    ///
    /// - Throws: `Fault` 404 when there is no such server.
    func ask(_ server: ServerID?, _ message: JSON) async throws -> JSON {
        let all = servers.all.map(\.id)
        if let server, !all.contains(server) { throw Fault(404, "no server \(server) is there") }
        let answers = ServerAnswers()
        await withDiscardingTaskGroup { group in
            for id in server.map({ [$0] }) ?? all {
                group.addTask { @Loop @Sendable in
                    do {
                        answers.all[id.rawValue] = try await admin.request(id, "watchServer", message)
                    } catch {
                        answers.all[id.rawValue] = ["error": .string("\(error)")]
                    }
                }
            }
        }
        return .object(answers.all)
    }
}

@Loop private final class ServerAnswers {
    var all = JSONObject()
}
