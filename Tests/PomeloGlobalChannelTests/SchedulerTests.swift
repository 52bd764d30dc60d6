// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloGlobalChannel
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Push schedulers of a frontend and channels over all servers.
@Suite struct SchedulerTests {
    @Test(arguments: ["chat-1", "connector-1"] as [ServerID])
    @Loop func aPushToAChannelWaitsAtItsFrontend(_ sender: ServerID) async throws {
        let world = try await World()
        world.cluster["connector-1"].pushSchedulers.use(.buffer(), for: "onSay")
        let sockets = [try await world.client("connector-1", "ann"), try await world.client("connector-2", "bob")]
        try await world.chat.add("room", "ann", "connector-1")
        try await world.chat.add("room", "bob", "connector-2")
        let report = try await world[sender].pushMessage("connector", World.say, "hello", "room")
        #expect(report.queued == 2)
        #expect(sockets.map(\.texts) == [[], ["hello"]])
        world.cluster.clock.advance(by: .milliseconds(20))
        #expect(sockets.map(\.texts) == [["hello"], ["hello"]])
    }
}
