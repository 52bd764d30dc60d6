// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop

/// Has those who were there before look for this server, so that none of them pushes past its clients.
///
/// Of two servers that start, the later one finds the other in the registry. The earlier one hears of the later one by
/// a message that may be lost or late, or by its own next look; until then it would reach the members at all frontends
/// but one, and say that it has reached all. A frontend therefore introduces itself before its clients may come.
///
/// ```
/// epoch number, born text   the registry as the caller knows it → nothing, when who was asked knows the same
/// ```
@Loop final class Introduction {
    private let own: ServerID
    private let servers: ServerDirectory
    private let rpc: RPCClient
    private let log: Logger
    private let view: ClusterView
    private let deadline: Duration

    init(_ context: ServiceContext, _ view: ClusterView, deadline: Duration) {
        own = context.serverID
        servers = context.servers
        rpc = context.rpc
        log = context.log
        self.view = view
        self.deadline = deadline
        context.procedures.suspending(.clusterNewcomer) { [weak view] _, payload in
            var reader = PayloadReader(payload)
            let known = ClusterView.Mark(epoch: Int(clamping: try reader.number()), born: try reader.text())
            // A lower epoch too: of a registry that has lost its data, which this server has not seen yet.
            if let view, view.mark != known { await view.follow() }
            return []
        }
    }

    /// Returns when all have looked, or cannot be asked, or the deadline is over: they find it by themselves then.
    func toAll() async {
        var payload = PayloadWriter()
        payload.number(UInt64(clamping: view.mark.epoch))
        payload.text(view.mark.born)
        let bytes = payload.bytes
        await withTaskGroup(of: Void.self) { group in
            for server in servers.all where server.id != own {
                group.addTask { @Loop @Sendable in await self.introduce(to: server, bytes) }
            }
        }
    }

    private func introduce(to server: ServerInfo, _ payload: Bytes) async {
        do throws(RPCError) {
            let procedure = Procedure.clusterNewcomer.at(server.instance)
            _ = try await rpc.system(server.id, procedure, payload, within: deadline)
        } catch {
            log.debug("not introduced", metadata: ["pomelo.peer": "\(server.id)", "pomelo.reason": "\(error)"])
        }
    }
}

/// The numbers of this room.
extension Procedure {
    static let clusterNewcomer = Procedure(128, "cluster.newcomer")
}
