// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import Testing

/// Pushes to all clients of a server type.
@Suite struct BroadcastTests {
    static let news = Push<String>("onNews")

    @Loop private func world() async throws -> (world: ChannelWorld, sockets: [String: TestSocket]) {
        let world = try await ChannelWorld { app in
            guard app.isFrontend else { return }
            app.channelService.broadcastFilters["level"] = { session, least in
                (session.get("level")?.int ?? 0) >= (least.int ?? 0)
            }
        }
        var sockets = ["stranger 1": try world.client("connector-1"), "stranger 2": try world.client("connector-2")]
        let users = [("ann", "connector-1", 1), ("bob", "connector-2", 5), ("cid", "connector-2", 9)]
        for (uid, frontend, level) in users {
            let socket = try await world.user(UserID(uid), ServerID(frontend))
            socket.session?.set("level", .int(Int64(level)))
            sockets[uid] = socket
        }
        return (world, sockets)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var bound = false
        var level: Int64?
        let reached: [String]
    }

    @Test(
        arguments: [
            Case(testDescription: "everybody", reached: ["ann", "bob", "cid", "stranger 1", "stranger 2"]),
            Case(testDescription: "bound sessions", bound: true, reached: ["ann", "bob", "cid"]),
            Case(testDescription: "a filter", level: 5, reached: ["bob", "cid"]),
            Case(
                testDescription: "a filter that strangers pass", level: 0,
                reached: ["ann", "bob", "cid", "stranger 1", "stranger 2"]),
            Case(
                testDescription: "a filter and bound sessions", bound: true, level: 0, reached: ["ann", "bob", "cid"]),
            Case(testDescription: "a filter that nobody passes", level: 10, reached: []),
        ], ["chat-1", "connector-1"] as [ServerID])
    @Loop func reaches(_ example: Case, _ sender: ServerID) async throws {
        let (world, sockets) = try await world()
        let calls = world.cluster.network.calls
        let report = try await world[sender].channelService.broadcast(
            to: "connector", Self.news, "hi", bound: example.bound,
            filter: example.level.map { ("level", .int($0)) })
        #expect(report.queued == example.reached.count && report.isComplete)
        #expect(sockets.filter { !$0.value.pushes.isEmpty }.keys.sorted() == example.reached)
        #expect(sockets.values.allSatisfy { $0.pushes.count <= 1 })
        #expect(world.cluster.network.calls == calls + (sender == "chat-1" ? 2 : 1), "one call per other frontend")
    }

    /// With k sessions of a user, each of them got k copies.
    @Test(arguments: [false, true])
    @Loop func regressionEachSessionOfAUserGetsOneCopy(_ bound: Bool) async throws {
        let world = try await ChannelWorld()
        var sockets: [TestSocket] = []
        for _ in 0..<3 { sockets.append(try await world.user("ann", "connector-1")) }
        let report = try await world["chat-1"].channelService.broadcast(
            to: "connector", Self.news, "hi", bound: bound)
        #expect(report.queued == 3 && sockets.map(\.pushes.count) == [1, 1, 1])
        #expect(sockets[0].pushes.first?.text == "\"hi\"")
    }

    @Test @Loop func withoutFrontendsOfTheTypeNobodyIsMissed() async throws {
        let world = try await ChannelWorld()
        let service = world["chat-1"].channelService
        for type in ["chat", "area"] as [ServerType] {
            #expect(try await service.broadcast(to: type, Self.news, "hi") == PushReport())
        }
    }

    @Test(arguments: ["chat-1", "connector-1"] as [ServerID])
    @Loop func aFilterThatIsMissingReachesNobody(_ sender: ServerID) async throws {
        let (world, sockets) = try await world()
        world["connector-1"].channelService.broadcastFilters = [:]
        let report = try await world[sender].channelService.broadcast(
            to: "connector", Self.news, "hi", filter: ("level", 0))
        #expect(report.queued == 3 && report.failed.keys.sorted() == ["connector-1"])
        #expect(sockets["ann"]?.pushes.isEmpty == true && sockets["bob"]?.pushes.count == 1)
    }

    @Test @Loop func theReportMergesSlowClientsAndSilentFrontends() async throws {
        let (world, sockets) = try await world()
        sockets["bob"]?.isSlow = true
        world.cluster.crash("connector-1")
        let report = try await world["chat-1"].channelService.broadcast(to: "connector", Self.news, "hi")
        #expect(report.queued == 2 && report.slow == 1 && report.failed.keys.sorted() == ["connector-1"])
    }
}
