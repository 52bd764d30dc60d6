// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// The connections of a frontend, as counted from its sessions.
@Suite struct ConnectionStatisticsTests {
    @Test @Loop func tellsWhoIsConnectedSinceWhenFromWhere() async throws {
        let world = try await ChannelWorld(chats: 0)
        let app = world["connector-1"]
        let bob = try await world.user("bob", "connector-1")
        world.cluster.clock.advance(by: .seconds(5))
        let ann = try await world.user("ann", "connector-1")
        _ = try world.client("connector-1")
        let statistics = app.connectionStatistics
        #expect(statistics.serverID == "connector-1" && statistics.totalConnections == 3)
        #expect(statistics.logins.map(\.uid) == ["bob", "ann"])
        #expect(statistics.logins.map(\.address) == [bob.remoteAddress, ann.remoteAddress])
        #expect(statistics.logins[1].loginTime - statistics.logins[0].loginTime == 5000)
        #expect(statistics.logins[1].loginTime == world.cluster.clock.wallMilliseconds)
        try app.sessionService.unbind(statistics.logins[0].session, "bob")
        #expect(app.connectionStatistics.logins.map(\.uid) == ["ann"])
        #expect(app.connectionStatistics.totalConnections == 3)
    }

    /// The first session of a user that closed took the user's other ones out of the list.
    @Test @Loop func regressionAUserWithTwoSessionsStaysListedWhenOneCloses() async throws {
        let world = try await ChannelWorld(chats: 0)
        let first = try await world.user("ann", "connector-1")
        let second = try await world.user("ann", "connector-1")
        first.disconnect()
        #expect(world["connector-1"].connectionStatistics.logins.map(\.session) == [second.session?.id])
    }

    @Test(arguments: [1, 2, 3])
    @Loop func neverDriftsFromWhatHappened(_ seed: UInt64) async throws {
        var records = TestCluster.records(connectors: 1, chats: 0)
        records[0].maxConnections = 8
        let cluster = TestCluster(records, seed: seed)
        let app = try await cluster.start("connector-1")
        let random = RandomSource(seed: seed)
        var refused = 0
        var open: [TestSocket] = []
        for _ in 0..<500 {
            switch random.next() % 5 {
            case 0, 1:
                if let socket = cluster.connect("connector-1") { open.append(socket) } else { refused += 1 }
            case 2 where !open.isEmpty:
                open.remove(at: Int(random.next() % UInt64(open.count))).disconnect()
            case 3 where !open.isEmpty:
                let socket = open[Int(random.next() % UInt64(open.count))]
                _ = await failureCode {
                    try await app.sessionService.bind(try #require(socket.session).id, UserID("u\(random.next() % 4)"))
                }
            case 4 where !open.isEmpty:
                let session = try #require(open[Int(random.next() % UInt64(open.count))].session)
                if let uid = session.uid { try app.sessionService.unbind(session.id, uid) }
            default: break
            }
            let statistics = app.connectionStatistics
            let bound = open.compactMap { $0.session?.uid }.sorted()
            #expect(statistics.totalConnections == open.count && statistics.refusedConnections == refused)
            #expect(statistics.logins.map(\.uid).sorted() == bound)
        }
        #expect(refused > 0)
    }
}
