// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloGlobalChannel
import PomeloLoop
import PomeloStatus
import PomeloTesting
import Testing

/// Servers of two versions call each other by these numbers, so a row is never changed and never taken out: a
/// procedure that is gone leaves its number behind.
private let numbers: [UInt16: String] = [
    1: "forward", 2: "session.bind", 3: "session.unbind", 4: "session.push", 5: "session.kick",
    6: "session.kickByUid", 7: "session.get", 8: "session.getByUid", 9: "session.watch", 10: "channel.ended",
    11: "channel.push", 12: "channel.broadcast", 13: "admin.request", 14: "admin.notify",
    64: "channel.add", 65: "channel.leave", 66: "channel.addDevice", 67: "channel.leaveDevice", 68: "channel.members",
    69: "channel.pushAll", 70: "channel.gone", 71: "channel.missed", 72: "channel.destroy", 73: "channel.flush",
    74: "channel.departed", 75: "channel.fence", 76: "channel.present", 77: "channel.told", 78: "channel.toldGone",
    96: "status.holds", 97: "status.here",
]

@Suite struct ProcedureNumberTests {
    @Test @Loop func numbersNeverChange() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 1))
        try await cluster.startAll { app in
            try app.use(GlobalChannel(store: MemoryChannelStore(MemoryChannelStore.Entries())))
            try app.use(Status(store: MemoryStatusStore(MemoryStatusStore.Entries())))
        }
        var served: [UInt16: String] = [:]
        for id in ["connector-1", "chat-1"] as [ServerID] {
            for procedure in cluster[id].procedures.served where procedure.number != 0 {
                served[procedure.number] = procedure.name.string
            }
        }
        #expect(served == numbers)
        await cluster.stopAll()
    }
}
