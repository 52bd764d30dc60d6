// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Hooks, deadlines and the order to stop, at every moment of an application's life.
@Suite struct LifecycleTests {
    @Loop private func cluster(chats: Int = 1) -> TestCluster {
        TestCluster(TestCluster.records(connectors: 0, chats: chats))
    }

    @Test @Loop func hooksRunAtTheirMoments() async throws {
        let journal = Journal<String>()
        let cluster = cluster()
        let app = try cluster.make("chat-1") { app in
            try app.load(Stage(journal))
            for name in ["1", "2"] {
                app.beforeStartup { journal.note("beforeStartup \(name)") }
                app.afterStartup { journal.note("afterStartup \(name)") }
                app.beforeShutdown { journal.note("beforeShutdown \(name)") }
            }
            app.afterStartAll { journal.note("afterStartAll") }
        }
        try await app.start()
        await cluster.settle()
        let started = [
            "beforeStartup 1", "beforeStartup 2", "start", "afterStart", "afterStartup 1", "afterStartup 2",
            "afterStartAll",
        ]
        #expect(journal.entries == started)
        await app.stop()
        #expect(journal.entries == started + ["beforeShutdown 2", "beforeShutdown 1", "stop"])
    }

    @Test(arguments: ["beforeStartup", "afterStartup"])
    @Loop func anErrorInAHookEndsTheStart(_ moment: String) async throws {
        let journal = Journal<String>()
        let app = try cluster().make("chat-1") { app in
            try app.load(Stage(journal))
            if moment == "beforeStartup" { app.beforeStartup { throw Fault(7) } }
            if moment == "afterStartup" { app.afterStartup { throw Fault(7) } }
        }
        #expect(await failureCode { try await app.start() } == "fault 7")
        #expect(app.state == .stopped)
        #expect(journal.entries == (moment == "beforeStartup" ? [] : ["start", "afterStart", "stop"]))
    }

    /// What saves at the end must not save what was never loaded.
    @Test(arguments: ["beforeStartup", "component", "afterStartup"])
    @Loop func aStartThatFailedShutsDownNothingThatNeverServed(_ moment: String) async throws {
        @Loop final class Failing: Component {
            let name = "failing"
            func start() async throws { throw Fault(7) }
        }
        let journal = Journal<String>()
        let app = try cluster().make("chat-1") { app in
            app.beforeShutdown { journal.note("saved") }
            if moment == "beforeStartup" { app.beforeStartup { throw Fault(7) } }
            if moment == "component" { try app.load(Failing()) }
            if moment == "afterStartup" { app.afterStartup { throw Fault(7) } }
        }
        #expect(await failureCode { try await app.start() } == "fault 7")
        #expect(journal.entries == (moment == "afterStartup" ? ["saved"] : []))
        await app.stop()
        #expect(journal.entries.count <= 1)
    }

    /// Half a queue: turns would begin and never end.
    @Test @Loop func halfAFilterEndsTheStart() async throws {
        func start(_ setUp: @Loop (Application) -> Void) async throws -> String {
            let app = try cluster().make("chat-1") { setUp($0) }
            return await failureText { try await app.start() }
        }
        let (serial, time) = (SerialFilter.serial(), TimeFilter.time())
        for half: @Loop (Application) -> Void in [
            { $0.before(serial) }, { $0.globalBefore(time) }, { $0.after(serial) },
            { app in
                app.before(.serial())
                app.after(.serial())
            },
        ] { #expect(try await start(half).contains("one part")) }
        #expect(
            try await start { $0.globalAfter(time) }
                == "chat-1 has one part of TimeFilter alone: add it whole, as in app.globalFilter(.serial()), "
                + "or the same filter to both parts")
        let whole = try cluster().make("chat-1") { app in
            app.before(serial)
            app.after(serial)
            app.filter(.serial())
            app.before(.timeout())
        }
        try await whole.start()
        await whole.stop()
    }

    @Test(arguments: ["chat.m", "chat", "chat.a.b.c", ".a.b"])
    @Loop func aRouteSaysThatItHasThreeParts(_ route: String) async throws {
        let app = try cluster().make("chat-1")
        let expected = "the route \(route) must have three parts: serverType.handler.method"
        #expect(await failureText { try app.handle(Routes { $0.on(raw: route) { body, _ in body } }) } == expected)
        #expect(await failureText { try app.handle(Routes { $0.on(remote: route) { $0 } }) } == expected)
    }

    @Test @Loop func anErrorInBeforeShutdownStopsTheStopNot() async throws {
        let journal = Journal<String>()
        let app = try await cluster().start("chat-1") { app in
            try app.load(Stage(journal))
            app.beforeShutdown { throw Fault(7) }
        }
        await app.stop()
        #expect(app.state == .stopped && journal.entries.last == "stop")
    }

    /// Only a timer that the hook was given, and had to cancel, kept pomelo 2.2.7 from ending in the middle of it.
    @Test(arguments: [10, 60])
    @Loop func aHookBeforeTheShutdownHasTheTimeThatTheLimitsSay(_ limit: Int) async throws {
        let journal = Journal<String>()
        let cluster = cluster()
        let app = try await cluster.start("chat-1") { app in
            app.limits.stopPhase = .seconds(limit)
            app.beforeShutdown { [unowned app] in
                await app.clock.sleep(for: .seconds(40))
                journal.note(Task.isCancelled ? "cut" : "saved")
            }
        }
        let began = cluster.clock.now
        Loop.spawn {
            await app.stop()
            journal.note("stopped after \((cluster.clock.now - began) / 1_000_000_000) s")
        }
        await cluster.advance(by: .seconds(70), step: .milliseconds(500))
        #expect(journal.entries == (limit == 10 ? ["cut", "stopped after 10 s"] : ["saved", "stopped after 40 s"]))
    }

    /// The original counted reports: a server that started twice stood for one that never did.
    @Test @Loop func afterStartAllWaitsForTheExpectedIdsAndComesOnce() async throws {
        let journal = Journal<String>()
        let cluster = cluster(chats: 2)
        let listener = Hearing(journal)
        let setUp: @Loop (Application) throws -> Void = { app in
            app.afterStartAll { journal.note("all at \(app.serverID)") }
            if app.serverID == "chat-1" { app.listen(listener) }
        }
        try await cluster.start("chat-1", setUp)
        await cluster.stop("chat-1")
        try await cluster.start("chat-1", setUp)
        await cluster.settle()
        #expect(!journal.entries.contains { $0.hasPrefix("all") })
        try await cluster.start("chat-2", setUp)
        await cluster.settle()
        #expect(
            journal.entries.filter { $0.hasPrefix("all") }.sorted() == [
                "all at chat-1", "all at chat-2", "all started",
            ])
        await cluster.stop("chat-2")
        try await cluster.start("chat-2", setUp)
        await cluster.settle()
        #expect(journal.entries.filter { $0 == "all at chat-1" }.count == 1)
        #expect(journal.entries.filter { $0 == "all at chat-2" }.count == 2, "once per start of a server")
    }

    // MARK: deadlines

    /// In pomelo 2.2.7 it hung in silence; lib/util/appUtil.js.
    @Test @Loop func aStartThatNeverEndsIsAnErrorByItsDeadline() async throws {
        let journal = Journal<String>()
        let cluster = cluster()
        let app = try cluster.make("chat-1") { try $0.load(Stage(journal, startHangs: Door())) }
        app.limits.startStep = .seconds(5)
        let outcome = Journal<String>()
        Loop.spawn { outcome.note(await failureCode { try await app.start() }) }
        await cluster.settle()
        await cluster.advance(by: .milliseconds(4900))
        #expect(outcome.entries == [])
        await cluster.advance(by: .milliseconds(200))
        #expect(outcome.entries == ["notRunning"] && app.state == .stopped)
        #expect(journal.entries == ["start", "stop"])
    }

    @Test @Loop func anOrderToStopDoesNotWaitForAStartThatHangs() async throws {
        let cluster = cluster()
        let app = try cluster.make("chat-1") { try $0.load(Stage(Journal<String>(), startHangs: Door())) }
        let outcome = Journal<String>()
        Loop.spawn { outcome.note(await failureCode { try await app.start() }) }
        await cluster.settle()
        app.requestStop()
        await cluster.settle()
        #expect(outcome.entries == [])
        await cluster.advance(by: app.limits.stopPhase + .milliseconds(10))
        #expect(outcome.entries == ["notRunning"] && app.state == .stopped)
    }

    /// In the original every stop was cut after 3 s, and a slow save with it.
    @Test(arguments: [nil, Duration.seconds(40)])
    @Loop func aStopThatNeverEndsIsLeftBehindByItsDeadline(_ own: Duration?) async throws {
        let journal = Journal<String>()
        let cluster = cluster()
        let door = Door()
        let app = try await cluster.start("chat-1") { app in
            try app.load(Stage(journal))
            try app.load(Stage(journal, name: "slow", stopHangs: door, stopDeadline: own))
        }
        Loop.spawn { await app.stop() }
        await cluster.settle()
        await cluster.advance(by: (own ?? app.limits.stopPhase) - .milliseconds(10))
        #expect(app.state == .stopping && !journal.entries.contains("stop"))
        await cluster.advance(by: .milliseconds(20))
        #expect(app.state == .stopped && journal.entries.last == "stop")
    }
}

/// A component with one life, and places to hang.
@Loop private final class Stage: Component {
    let name: String
    let stopDeadline: Duration?
    private let journal: Journal<String>
    private let startHangs: Door?
    private let stopHangs: Door?

    init(
        _ journal: Journal<String>, name: String = "stage", startHangs: Door? = nil, stopHangs: Door? = nil,
        stopDeadline: Duration? = nil
    ) {
        self.journal = journal
        self.name = name
        self.startHangs = startHangs
        self.stopHangs = stopHangs
        self.stopDeadline = stopDeadline
    }

    func start() async throws {
        journal.note("start")
        await startHangs?.pass()
    }

    func afterStart() async throws { journal.note("afterStart") }

    func stop() async {
        await stopHangs?.pass()
        if stopHangs == nil { journal.note("stop") }
    }
}

@Loop private final class Hearing: EventListener {
    private let journal: Journal<String>
    init(_ journal: Journal<String>) { self.journal = journal }
    func startAll() { journal.note("all started") }
}
