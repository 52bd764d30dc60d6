// SPDX-License-Identifier: MIT
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloCore

/// Requests of clients at a frontend that is told to stop.
@Suite struct DrainTests {
    private static let stopping = [#"{"code":503,"message":"the server stops"}"#]

    /// The original closed its clients first, and what it had done for them was never told.
    @Test(arguments: ["connector", "chat"])
    @Loop func whatWasBegunIsAnsweredBeforeClientsAreClosed(_ type: String) async throws {
        let world = try await DispatchTests.World()
        let begun = world.socket.request("\(type).test.slow", Array(#"{"bid":7}"#.utf8))
        await world.cluster.settle()
        #expect(world.door.count == 1)
        let stop = Loop.spawn { await world.cluster.stop("connector-1") }
        await world.cluster.settle()
        // Nothing new is begun, nobody new is let in, and both are told.
        let late = world.socket.request("\(type).test.slow")
        await world.cluster.settle()
        #expect(world.socket.texts(late) == Self.stopping && world.door.count == 1)
        #expect(world.cluster.connect("connector-1") == nil)
        #expect(!world.socket.isClosed && world.socket.texts(begun) == [])
        world.door.open()
        await stop.value
        #expect(world.socket.texts(begun) == [#"{"bid":7}"#])
        #expect(world.socket.isClosed && world.seen.entries == ["slow"])
        await world.cluster.stopAll()
    }

    /// A handler that hangs keeps a deploy no longer than it may.
    @Test @Loop func whatIsNeverAnsweredIsWaitedForSoLong() async throws {
        let logs = CapturedLogs.installed
        let world = try await DispatchTests.World()
        let app = world.cluster["connector-1"]
        app.limits.drain = .seconds(3)
        let hangs = [world.socket.request("connector.test.slow"), world.socket.request("connector.test.slow")]
        _ = await world.ask("connector.test.echo")
        let stop = Loop.spawn { await app.stop() }
        await world.cluster.advance(by: .milliseconds(2900))
        #expect(app.state == .stopping && !world.socket.isClosed)
        await world.cluster.advance(by: .milliseconds(200))
        await stop.value
        #expect(app.state == .stopped && world.socket.isClosed && hangs.allSatisfy { world.socket.texts($0) == [] })
        #expect(logs.lines("pomelo", where: "pomelo.requests", is: "2").count >= 1)
        world.door.open()
        await world.cluster.stopAll()
    }
}
