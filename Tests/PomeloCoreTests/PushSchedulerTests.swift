// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloTesting
import Testing

/// When pushes leave for the clients of a frontend.
@Suite struct PushSchedulerTests {
    static let move = Push<Int>("onMove")

    @Loop private func world() async throws -> (world: ChannelWorld, ann: TestSocket) {
        let world = try await ChannelWorld { app in
            if app.isFrontend { app.pushSchedulers.use(.buffer(interval: .milliseconds(20)), for: "onMove", "onTurn") }
        }
        return (world, try await world.user("ann", "connector-1"))
    }

    @Loop private func push(_ world: ChannelWorld, _ route: String, _ number: Int) async throws -> PushReport {
        try await world["chat-1"].channelService.pushMessageByUids(
            Push<Int>(route), number, [("ann", "connector-1")])
    }

    @Test @Loop func pushesOfARouteWaitAndLeaveInOrder() async throws {
        let (world, ann) = try await world()
        for number in 1...3 { #expect(try await push(world, "onMove", number).queued == 1) }
        _ = try await push(world, "onTurn", 4)
        #expect(try await push(world, "onChat", 5).queued == 1)
        #expect(ann.pushes.map(\.text) == ["5"], "routes without a scheduler are sent at once")
        world.cluster.clock.advance(by: .milliseconds(19))
        #expect(ann.pushes.count == 1)
        world.cluster.clock.advance(by: .milliseconds(1))
        #expect(ann.pushes.map(\.text) == ["5", "1", "2", "3", "4"])
        _ = try await push(world, "onMove", 6)
        world.cluster.clock.advance(by: .milliseconds(20))
        #expect(ann.pushes.last?.text == "6")
        let timers = world.cluster.clock.pendingTimers
        world.cluster.clock.advance(by: .milliseconds(500))
        #expect(ann.pushes.count == 6 && world.cluster.clock.pendingTimers == timers, "an idle buffer has no timer")
    }

    @Test @Loop func broadcastsAndOwnPushesAreScheduledToo() async throws {
        let (world, ann) = try await world()
        _ = try await world["chat-1"].channelService.broadcast(to: "connector", Self.move, 1)
        let channel = world.channel("own", at: "connector-1", ("ann", "connector-1"))
        _ = try await channel.pushMessage(Self.move, 2)
        #expect(ann.pushes.isEmpty)
        world.cluster.clock.advance(by: .milliseconds(20))
        #expect(ann.pushes.map(\.text) == ["1", "2"])
    }

    @Test @Loop func answersAreNotScheduled() async throws {
        let (world, ann) = try await world()
        _ = try await push(world, "onMove", 1)
        let id = ann.request("connector.none.none")
        await world.cluster.settle()
        #expect(ann.texts(id) == [#"{"code":500}"#] && ann.pushes.isEmpty)
    }

    /// A stop waited for ever on what a buffer kept.
    @Test @Loop func regressionAStopSendsWhatIsKeptWithoutWaiting() async throws {
        let (world, ann) = try await world()
        let bob = try await world.user("bob", "connector-1")
        _ = try await push(world, "onMove", 1)
        bob.disconnect()
        let before = world.cluster.clock.now
        await world.cluster.stop("connector-1")
        #expect(ann.pushes.map(\.text) == ["1"] && ann.isClosed && world.cluster.clock.now == before)
    }

    @Test @Loop func whatIsKeptForAClientThatLeavesIsDropped() async throws {
        let (world, ann) = try await world()
        _ = try await push(world, "onMove", 1)
        ann.disconnect()
        #expect(try await push(world, "onMove", 2).noSession == ["ann"])
        let again = try await world.user("ann", "connector-1")
        world.cluster.clock.advance(by: .milliseconds(20))
        #expect(ann.pushes.isEmpty && again.pushes.isEmpty)
    }

    @Test @Loop func aFullBufferLeavesEarly() async throws {
        let world = try await ChannelWorld(connectors: 1, chats: 0)
        let ann = try await world.user("ann", "connector-1")
        let session = try #require(ann.session)
        let buffer = BufferScheduler(interval: .seconds(1))
        buffer.start(world.cluster.clock)
        let message = try PushMessage(Self.move, 1)
        for _ in 0..<65_536 { _ = buffer.schedule(message, to: session) }
        #expect(ann.pushes.isEmpty)
        _ = buffer.schedule(message, to: session)
        #expect(ann.pushes.count == 65_536)
        buffer.flush()
        #expect(ann.pushes.count == 65_537)
        ann.disconnect()
        #expect(!buffer.schedule(message, to: session))
    }

    /// A scheduler of the application's own: it keeps the last message only.
    @Test @Loop func anApplicationHasItsOwn() async throws {
        let latest = Latest()
        let world = try await ChannelWorld { $0.pushSchedulers.use(latest, for: "onMove") }
        let ann = try await world.user("ann", "connector-1")
        for number in 1...3 { _ = try await push(world, "onMove", number) }
        world["connector-1"].pushSchedulers.flush()
        #expect(ann.pushes.map(\.text) == ["3"])
    }
}

@Loop private final class Latest: PushScheduler {
    private var kept: [SessionID: (ClientSession, PushMessage)] = [:]

    func start(_ clock: any LoopClock) {}

    func schedule(_ message: PushMessage, to session: ClientSession) -> Bool {
        kept[session.id] = (session, message)
        return true
    }

    func flush() {
        for (session, message) in kept.values { session.socket.push(message) }
        kept = [:]
    }
}
