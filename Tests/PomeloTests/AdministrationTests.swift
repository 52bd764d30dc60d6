// SPDX-License-Identifier: MIT
import Pomelo
import PomeloTesting
import TestHelpers
import Testing

/// The modules that every server program has.
@Suite struct AdministrationTests {
    @Test @Loop func whoIsOnlineIsSummedUp() async throws {
        let master = ServerRecord(id: "master-1", type: .master, port: 3005)
        let cluster = TestCluster(TestCluster.records(connectors: 2, chats: 1) + [master])
        for id in ["connector-1", "connector-2", "chat-1", "master-1"] as [ServerID] {
            try await cluster.start(id) { if id != "chat-1" { try $0.registerAdmin(OnlineUser($0.context)) } }
        }
        await cluster.settle()
        for (server, uid) in [("connector-1", "ann"), ("connector-1", nil), ("connector-2", "bob")]
            as [(ServerID, UserID?)]
        {
            let socket = try #require(cluster.connect(server))
            if let uid { try await cluster[server].sessionService.bind(try #require(socket.session).id, uid) }
        }
        let admin = cluster["master-1"].admin
        let all = try await admin.answer("onlineUser", [:], for: nil)
        #expect(all["connections"] == 3 && all["logins"] == 2)
        #expect(all["servers"]?["connector-1"] == ["connections": 2, "logins": 1])
        #expect(all["servers"]?["chat-1"]?["error"] != nil)
        let one = try await admin.answer("onlineUser", [:], for: "connector-2")
        #expect(one == ["connections": 1, "logins": 1, "servers": ["connector-2": ["connections": 1, "logins": 1]]])
        #expect(try admin.leastRole(of: "onlineUser") == .read)
    }

    @Test @Loop func theMachine() async throws {
        let answer = try await SystemInfo().monitorHandler([:])
        #expect(answer["system"]?.string?.hasPrefix("Linux ") == true && answer["load"]?.array?.count == 3)
        #expect(answer["memory"]?["total"]?.int ?? 0 > answer["memory"]?["available"]?.int ?? 0)
        #expect(answer["processors"]?.array?.allSatisfy { $0["user"]?.double ?? 0 > 0 } == true)
    }

    /// One look at a time, of so many seconds as are good for anything.
    @Test @Loop func aProfileHasAnEnd() async throws {
        let profiler = Profiler()
        #expect(profiler.leastRole == .operate)
        for wrong in [0, -1, 61, .int(.max), "5", 1.5, .null] as [JSON] {
            await #expect(throws: Fault(400, "seconds is a whole number from 1 to 60"), "\(wrong)") {
                try await profiler.monitorHandler(["seconds": wrong])
            }
        }
        let first = Task { @Loop in try await profiler.monitorHandler(["seconds": 1]) }
        await Loop.yield()
        await #expect(throws: Fault(409, "the profiler is at work for somebody else")) {
            try await profiler.monitorHandler(["seconds": 1])
        }
        let answer = try await first.value
        #expect(answer["samples"]?.int ?? 0 > 5 && answer["stacks"]?.array?.isEmpty == false)
        #expect(try await profiler.monitorHandler(["seconds": 1])["samples"]?.int ?? 0 > 5)
    }
}
