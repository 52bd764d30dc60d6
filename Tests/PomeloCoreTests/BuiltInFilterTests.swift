// SPDX-License-Identifier: MIT
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloCore

/// Time, timeout, toobusy, rpcLog.
@Suite struct BuiltInFilterTests {
    // MARK: timeout

    /// pomelo 2.2.7 only logged it, and kept each request whose after part never ran; lib/filters/handler/timeout.js.
    @Test @Loop func aLateRequestIsAnsweredAtTheFiltersDeadlineAndCancelled() async throws {
        let journal = Journal<String>()
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 0))
        let clock = cluster.clock
        try await cluster.start("connector-1") { app in
            app.filter(.timeout(.seconds(2)))
            try app.handle(
                Routes {
                    $0.on(raw: "connector.test.slow") { _, _ in
                        await clock.sleep(for: .seconds(600))
                        journal.note(Task.isCancelled ? "cancelled" : "slept")
                        return []
                    }
                    $0.on(raw: "connector.test.quick") { _, _ in
                        await clock.sleep(for: .seconds(1))
                        return []
                    }
                })
        }
        let socket = try #require(cluster.connect("connector-1"))
        let slow = socket.request("connector.test.slow")
        let quick = socket.request("connector.test.quick")
        await cluster.advance(by: .milliseconds(1980))
        #expect(socket.texts(slow) == [] && socket.texts(quick) == ["{}"])
        await cluster.advance(by: .milliseconds(40))
        #expect(socket.texts(slow) == [#"{"code":504,"message":"the request took too long"}"#])
        #expect(journal.entries == ["cancelled"])
        #expect(clock.pendingTimers == 0)
    }

    @Test @Loop func theShorterOfTwoLimitsCounts() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 0))
        let door = Door()
        try await cluster.start("connector-1") { app in
            app.filter(.timeout(.seconds(5)))
            app.filter(.timeout(.seconds(1)))
            try app.handle(
                Routes {
                    $0.on(raw: "connector.test.slow") { _, _ in
                        await door.pass()
                        return []
                    }
                })
        }
        let socket = try #require(cluster.connect("connector-1"))
        let id = socket.request("connector.test.slow")
        await cluster.advance(by: .milliseconds(1040))
        #expect(socket.texts(id).count == 1)
        door.open()
        await cluster.advance(by: .seconds(6), step: .seconds(1))
        #expect(socket.texts(id).count == 1)
    }

    // MARK: toobusy

    /// In pomelo 2.2.7 it failed every request as a whole filter; lib/filters/handler/toobusy.js.
    @Test @Loop func aLaggingLoopRefusesRequestsUntilItHasCaughtUp() async throws {
        let stage = BusyStage()
        try await stage.start { $0.filter(.tooBusy(maxLag: .milliseconds(70))) }
        #expect(try await stage.ask() == "{}")
        await stage.lag(by: .milliseconds(100))
        #expect(try await stage.ask() == "{}", "one short stall refuses nobody")
        for _ in 0..<4 { await stage.lag(by: .milliseconds(100)) }
        #expect(try await stage.ask() == #"{"code":503,"message":"the server is too busy"}"#)
        await stage.cluster.advance(by: .milliseconds(200))
        #expect(try await stage.ask() == "{}")
    }

    @Test @Loop func aQuietLoopIsNotMeasured() async throws {
        let stage = BusyStage()
        try await stage.start { $0.filter(.tooBusy()) }
        _ = try await stage.ask()
        await stage.cluster.advance(by: .milliseconds(100))
        #expect(stage.cluster.clock.pendingTimers == 0)
    }

    @Test @Loop func aLaggingLoopRefusesCallsToOtherServers() async throws {
        let stage = BusyStage()
        try await stage.start { $0.rpcFilter(.tooBusy(maxLag: .milliseconds(70))) }
        let app = stage.app
        let call = { @Loop in await failureCode { _ = try await app.rpc.invoke("chat-1", "chat.remote.go", [:]) } }
        #expect(await call() == "not sent: no server chat-1 is known")
        for _ in 0..<4 { await stage.lag(by: .milliseconds(150)) }
        #expect(await call() == "fault 503: this server is too busy to call chat-1")
    }

    // MARK: logs

    @Test @Loop func timeLogsEachRequestWithItsRouteAndMicroseconds() async throws {
        let logs = CapturedLogs.installed
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 0))
        let clock = cluster.clock
        try await cluster.start("connector-1") { app in
            app.globalFilter(.time())
            app.filter(.time())
            try app.handle(
                Routes {
                    $0.on(raw: "connector.time.slow") { _, _ in
                        await clock.sleep(for: .milliseconds(40))
                        return []
                    }
                })
        }
        let socket = try #require(cluster.connect("connector-1"))
        socket.request("connector.time.slow", Array(#"{"password":"secret"}"#.utf8))
        await cluster.advance(by: .milliseconds(100))
        let lines = logs.lines("con-log", where: "pomelo.route", is: "connector.time.slow")
        #expect(lines.map { $0["pomelo.elapsedUs"] } == ["40000", "40000"])
        #expect(!"\(lines)".contains("secret"))
    }

    @Test @Loop func timeRecordsOnlyRoutesOfABoundedNumber() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 0))
        let filter = TimeFilter()
        try await cluster.start("connector-1") { app in
            app.globalFilter(filter)
            try app.handle(Routes { $0.on(raw: "connector.test.go") { body, _ in body } })
        }
        let socket = try #require(cluster.connect("connector-1"))
        socket.request("connector.test.go")
        for number in 0..<50 { socket.request("connector.test.random\(number)") }
        await cluster.settle(turns: 200)
        #expect(filter.recordedRoutes == ["connector.test.go", "other"])
    }

    /// In pomelo 2.2.7 all calls shared one start time; lib/filters/rpc/rpcLog.js.
    @Test @Loop func rpcLogTimesEachCallByItself() async throws {
        let logs = CapturedLogs.installed
        let cluster = TestCluster(TestCluster.records(connectors: 0, chats: 2))
        let clock = cluster.clock
        let slow = Remote<Nothing, Nothing>("chat.rpcLog.slow")
        let quick = Remote<Nothing, Nothing>("chat.rpcLog.quick")
        let app = try await cluster.start("chat-1") { $0.rpcFilter(.rpcLog()) }
        try await cluster.start("chat-2") { app in
            try app.handle(
                Routes {
                    $0.on(slow) { _ in
                        await clock.sleep(for: .milliseconds(400))
                        return Nothing()
                    }
                    $0.on(quick) { _ in throw Fault(404) }
                })
        }
        Loop.spawn { _ = await failureCode { _ = try await app.rpc.call(slow, Nothing(), to: "chat-2") } }
        await cluster.advance(by: .milliseconds(200))
        Loop.spawn { _ = await failureCode { _ = try await app.rpc.call(quick, Nothing(), to: "chat-2") } }
        await cluster.advance(by: .milliseconds(400))
        let line = try #require(logs.lines("rpc-log", where: "pomelo.route", is: "chat.rpcLog.slow").first)
        #expect(line["pomelo.elapsedUs"] == "400000" && line["pomelo.server"] == "chat-2" && line["error"] == nil)
        let other = try #require(logs.lines("rpc-log", where: "pomelo.route", is: "chat.rpcLog.quick").first)
        #expect(other["pomelo.elapsedUs"] == "0" && other["error"] == "fault 404")
    }
}

/// A connector whose loop can be made late.
@Loop private final class BusyStage {
    let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 0))
    private let late: LateClock
    private(set) lazy var app = make()
    private let connector = ManualConnector()

    init() { late = LateClock(cluster.clock) }

    private func make() -> Application {
        do {
            return try Application(
                Configuration(servers: cluster.records), id: "connector-1",
                world: World(
                    clock: late, random: cluster.random,
                    network: MemoryNetwork(clock: late, random: cluster.random).endpoint("connector-1"),
                    transport: cluster.network.transport(of: "connector-1")))
        } catch {
            preconditionFailure("\(error)")
        }
    }

    func start(_ setUp: @Loop (Application) throws -> Void) async throws {
        app.connector = connector
        try setUp(app)
        try app.handle(Routes { $0.on(raw: "connector.test.go") { body, _ in body } })
        try await app.start()
    }

    func ask() async throws -> String? {
        let socket = try #require(connector.connect())
        return await socket.ask("connector.test.go")
    }

    /// The next timer fires late.
    func lag(by lateness: Duration) async {
        _ = try? await ask()
        late.lateness = lateness.clampedNanoseconds
        cluster.clock.advance(by: .milliseconds(50))
        late.lateness = 0
        await cluster.settle()
    }
}

/// Fires timers on time, and then says that it is later.
@Loop private final class LateClock: LoopClock {
    private let clock: ManualClock
    var lateness: UInt64 = 0

    init(_ clock: ManualClock) { self.clock = clock }
    var now: UInt64 { clock.now + lateness }
    var wallMilliseconds: Int64 { clock.wallMilliseconds }
    func schedule(at deadline: UInt64, _ action: @escaping @Loop () -> Void) -> TimerID {
        clock.schedule(at: deadline, action)
    }
    func cancel(_ timer: TimerID) { clock.cancel(timer) }
}
