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
        let socket = try await world.user("ann", "connector-1")
        let service = world.cluster["connector-1"].channelService
        let channel = service.createChannel("room")
        channel.add("ann", "connector-1")
        let before = EventLoop.shared.turns
        for _ in 0..<1000 {
            switch how {
            case "to users": _ = try await service.pushMessageByUids(Self.news, "hi", [("ann", "connector-1")])
            case "to a channel": _ = try await channel.pushMessage(Self.news, "hi")
            default: _ = try await service.broadcast(to: "connector", Self.news, "hi")
            }
        }
        #expect(EventLoop.shared.turns - before > 5)
        #expect(socket.pushes.count == 1000)
        await world.cluster.stopAll()
    }
}
