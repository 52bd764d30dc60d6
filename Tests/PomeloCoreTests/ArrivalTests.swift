// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloCore

/// A request must be answered within its time from its arrival, wherever it waited meanwhile.
@Suite struct ArrivalTests {
    @Loop private final class World {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 1))
        let door = Door()
        let socket: TestSocket
        var started: [String] = []
        init() async throws {
            let app = try await cluster.start("connector-1") { $0.limits.clientRequest = .seconds(10) }
            try await cluster.start("chat-1")
            socket = try #require(cluster.connect("connector-1"))
            let door = door
            let slow: @Loop @Sendable (Bytes, Session) async -> Bytes = { [weak self] body, _ in
                self?.started.append(String(decoding: body, as: UTF8.self))
                await door.pass()
                return body
            }
            try app.dispatcher.serve(Route("connector.test.slow"), .asynchronous(slow))
        }
    }

    @Test @Loop func whatWasHeldBackIsAnsweredAtItsDeadlineFromArrival() async throws {
        let world = try await World()
        let ids = (0..<70).map { world.socket.request("connector.test.slow", Array("\($0)".utf8)) }
        await world.cluster.settle()
        #expect(world.started.count == 64 && world.socket.isPaused)
        await world.cluster.advance(by: .seconds(9))
        // One place: the first of those held back begins, nine seconds after it came.
        world.door.letOneThrough()
        await world.cluster.settle()
        #expect(world.started.count == 65)
        #expect(world.socket.texts(ids[64]) == [])
        await world.cluster.advance(by: .milliseconds(1100))
        #expect(world.socket.texts(ids[64]) == [#"{"code":500}"#], "ten seconds after it came, not after it began")
        #expect(ids.allSatisfy { world.socket.texts($0).count == 1 })
    }

    @Test @Loop func whatWaitedTooLongNeverBegins() async throws {
        let world = try await World()
        let session = try #require(world.socket.session)
        let now = world.cluster.clock.now
        let app = world.cluster["connector-1"]
        await world.cluster.advance(by: .seconds(11))
        app.dispatcher.received(
            ClientMessage(id: 7, route: Route("connector.test.slow"), body: Array("late".utf8), arrival: now),
            from: session)
        await world.cluster.settle()
        #expect(world.socket.texts(7) == [#"{"code":500}"#])
        #expect(world.started.isEmpty)
    }

    /// Its client gave up while the server stood still, and may have said newer things elsewhere since.
    @Test(arguments: [true, false]) @Loop
    func whatAClientGaveUpDuringAPauseNeverBegins(_ hasHungUp: Bool) async throws {
        let world = try await World()
        world.cluster["connector-1"].pauseWatch.on { _ in }
        await world.cluster.advance(by: .seconds(1))
        world.cluster.pause("connector-1")
        await world.cluster.advance(by: .seconds(5))
        world.socket.hasHungUp = hasHungUp
        // The sockets are read before the timers fire; a share of it only after them.
        world.socket.request("connector.test.slow", Array("read at once".utf8))
        let session = try #require(world.socket.session)
        let read = world.cluster.clock.now
        world.cluster.resume("connector-1")
        await world.cluster.advance(by: .milliseconds(10))
        world.cluster["connector-1"].dispatcher.received(
            ClientMessage(id: 9, route: Route("connector.test.slow"), body: Array("a turn later".utf8), arrival: read),
            from: session)
        await world.cluster.settle()
        #expect(world.started == (hasHungUp ? [] : ["read at once", "a turn later"]))
    }

    /// The order of deadlines is not the order of calls any more.
    @Test @Loop func deadlinesAreKeptInTheOrderOfArrival() async throws {
        let world = try await World()
        let session = try #require(world.socket.session)
        let app = world.cluster["connector-1"]
        await world.cluster.advance(by: .seconds(20))
        let now = world.cluster.clock.now
        for (id, age) in [(1, 0), (2, 5), (3, 2), (4, 5), (5, 9)] as [(UInt32, UInt64)] {
            let message = ClientMessage(
                id: id, route: Route("connector.test.slow"), body: [], arrival: now - age * 1_000_000_000)
            app.dispatcher.received(message, from: session)
        }
        var answered: [UInt32] = []
        for _ in 0..<110 {
            await world.cluster.advance(by: .milliseconds(100))
            for id in UInt32(1)...5 where !answered.contains(id) && !world.socket.texts(id).isEmpty {
                answered.append(id)
            }
        }
        #expect(answered == [5, 2, 4, 3, 1])
    }

    @Test @Loop func aForwardedRequestHasWhatIsLeftFromItsArrival() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 1))
        var left: [UInt64] = []
        try await cluster.start("connector-1") { $0.limits.clientRequest = .seconds(10) }
        let chat = try await cluster.start("chat-1")
        chat.before(Note { left.append(($0.deadline - cluster.clock.now + 500_000_000) / 1_000_000_000) })
        try chat.dispatcher.serve(Route("chat.test.raw"), .synchronous { body, _ in body })
        let socket = try #require(cluster.connect("connector-1"))
        let session = try #require(socket.session)
        await cluster.advance(by: .seconds(5))
        let arrival = cluster.clock.now - 4_000_000_000
        cluster["connector-1"].dispatcher.received(
            ClientMessage(id: 1, route: Route("chat.test.raw"), body: Array("{}".utf8), arrival: arrival), from: session
        )
        await cluster.settle()
        #expect(socket.texts(1) == ["{}"])
        #expect(left == [6])
    }
}

@Loop private struct Note: Filter {
    let note: @Loop (Request) -> Void
    init(_ note: @escaping @Loop (Request) -> Void) { self.note = note }
    func before(_ request: Request) async throws { note(request) }
}
