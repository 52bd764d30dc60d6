// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloTesting
import Testing

/// A sender whose pushes wait for no other server has the loop to itself.
@Suite struct PushShareTests {
    private static let news = Push<String>("onNews")

    /// It gave it back when its row was over: until then nobody else was heard.
    @Test(arguments: ["to users", "to a channel", "to all"])
    @Loop func aRowOfPushesLetsOthersIn(_ how: String) async throws {
        let world = try await ChannelWorld(connectors: 1)
        let service = world.cluster["connector-1"].channelService
        let channel = service.createChannel("room")
        let users = (0..<100).map { UserID("user\($0)") }
        var sockets: [TestSocket] = []
        for user in users {
            sockets.append(try await world.user(user, "connector-1"))
            channel.add(user, "connector-1")
        }
        var (turn, inTurn, most) = (0, 0, 0)
        for _ in 0..<200 {
            switch how {
            case "to users":
                _ = try await service.pushMessageByUids(Self.news, "hi", users.map { ($0, "connector-1") })
            case "to a channel": _ = try await channel.pushMessage(Self.news, "hi")
            default: _ = try await service.broadcast(to: "connector", Self.news, "hi")
            }
            if turn != EventLoop.shared.turns { (turn, inTurn) = (EventLoop.shared.turns, 0) }
            inTurn += 1
            most = max(most, inTurn)
        }
        // A push is 100 deliveries and 16 more, of 2048.
        #expect(most <= 18)
        #expect(sockets.allSatisfy { $0.pushes.count == 200 })
        await world.cluster.stopAll()
    }
}
