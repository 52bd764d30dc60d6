// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// The life of an application.
@Suite struct ApplicationTests {
    @Loop private func cluster() -> TestCluster { TestCluster(TestCluster.records(connectors: 1, chats: 1)) }

    static let starting = ["a start", "b start", "a afterStart", "b afterStart", "a didStart", "b didStart"]
    static let stopping = ["b willStop", "a willStop", "b stop", "a stop"]

    /// pomelo 2.2.7 stopped them in the order in which they had started; lib/util/appUtil.js.
    @Test @Loop func componentsStartInOrderAndStopInReverse() async throws {
        let journal = Journal<String>()
        let cluster = cluster()
        let app = try cluster.make("chat-1") { app in
            for name in ["a", "b"] { try app.load(Part(name, journal)) }
        }
        #expect(app.state == .created)
        try await app.start()
        #expect(app.state == .running && journal.entries == Self.starting)
        #expect(await failureCode { try await app.start() } == "notRunning")
        await app.stop()
        await app.stop()
        #expect(app.state == .stopped && journal.entries == Self.starting + Self.stopping)
    }

    /// In pomelo 2.2.7 the state changed only when the start had ended, so a second one meanwhile ran everything again;
    /// lib/application.js, `start`.
    @Test @Loop func regressionAStartDuringAStartRunsNothingTwice() async throws {
        let (journal, door) = (Journal<String>(), Door())
        let cluster = cluster()
        let app = try cluster.make("chat-1") { try $0.load(Part("a", journal, door: door)) }
        let outcome = Journal<String>()
        Loop.spawn { outcome.note(await failureCode { try await app.start() }) }
        await cluster.settle()
        #expect(await failureCode { try await app.start() } == "notRunning")
        door.open()
        await cluster.settle()
        #expect(outcome.entries == ["none"] && app.state == .running)
        #expect(journal.entries == ["a start", "a afterStart", "a didStart"])
    }

    static let failures: [String: [String]] = [
        "a start": ["a start"] + ["a willStop", "a stop"],
        "b start": ["a start", "b start"] + stopping,
        "a afterStart": Array(starting.prefix(3)) + stopping,
        "b didStart": starting + stopping,
    ]

    /// In pomelo 2.2.7 what had started before the error stayed, and after an error of an afterStart the server
    /// counted as started; lib/application.js.
    @Test(arguments: failures.keys.sorted())
    @Loop func anErrorWhileStartingStopsWhatWasStarted(_ moment: String) async throws {
        let journal = Journal<String>()
        let app = try cluster().make("chat-1") { app in
            for name in ["a", "b"] { try app.load(Part(name, journal, failsAt: moment)) }
        }
        #expect(await failureCode { try await app.start() } == "fault 1: \(moment)")
        #expect(app.state == .stopped && journal.entries == Self.failures[moment])
    }

    @Test(arguments: [false, true])
    @Loop func aStopDuringTheStartStopsOnce(awaited: Bool) async throws {
        let journal = Journal<String>()
        let door = Door()
        let cluster = cluster()
        let app = try cluster.make("chat-1") { app in
            for name in ["a", "b"] { try app.load(Part(name, journal, door: name == "a" ? door : nil)) }
        }
        let outcome = Journal<String>()
        Loop.spawn { outcome.note(await failureCode { try await app.start() }) }
        await cluster.settle()
        if awaited {
            Loop.spawn {
                await app.stop()
                outcome.note("stop returned")
            }
        } else {
            app.requestStop()
        }
        await cluster.settle()
        #expect(app.state == .starting && outcome.entries == [])
        door.open()
        await cluster.settle()
        #expect(Set(outcome.entries) == (awaited ? ["notRunning", "stop returned"] : ["notRunning"]))
        #expect(journal.entries == ["a start", "a willStop", "a stop"])
    }

    /// In pomelo 2.2.7 only a stop by force ever ended; lib/application.js.
    @Test @Loop func requestStopOfARunningApplicationStopsItOnce() async throws {
        let journal = Journal<String>()
        let cluster = cluster()
        let app = try await cluster.start("chat-1") { try $0.load(Part("a", journal)) }
        Loop.spawn {
            await app.stopped()
            journal.note("stopped")
        }
        app.requestStop()
        app.requestStop()
        await cluster.settle()
        await app.stopped()
        #expect(journal.entries.suffix(3) == ["a willStop", "a stop", "stopped"])
    }

    @Test @Loop func stoppingClosesClientsBetweenWillStopAndStop() async throws {
        let journal = Journal<String>()
        let cluster = cluster()
        let app = try await cluster.start("connector-1") { app in
            try app.load(Part("a", journal))
            app.sessionService.on { if case .closed(_, let end) = $0 { journal.note("closed: \(end)") } }
        }
        let socket = try #require(cluster.connect("connector-1"))
        await app.stop()
        #expect(journal.entries.suffix(3) == ["a willStop", "closed: server stopped", "a stop"])
        #expect(socket.isClosed && cluster.connect("connector-1") == nil)
    }

    @Test @Loop func namesAreUniqueAndComponentsComeBeforeTheStart() async throws {
        let journal = Journal<String>()
        let cluster = cluster()
        let app = try cluster.make("chat-1") { try $0.load(Part("a", journal)) }
        #expect(await failureCode { try app.load(Part("a", journal)) } == "configuration")
        try app.use(Extra(journal))
        #expect(await failureCode { try app.use(Extra(journal)) } == "configuration")
        try await app.start()
        #expect(await failureCode { try app.load(Part("late", journal)) } == "notRunning")
        #expect(app.service(Extra.Service.self) != nil)
    }

    @Test @Loop func setUpsThatCannotServeAreRefused() async throws {
        let cluster = cluster()
        let frontend = try cluster.make("connector-1") { $0.connector = nil }
        #expect(await failureCode { try await frontend.start() } == "configuration")
        let backend = try cluster.make("chat-1") { $0.connector = ManualConnector() }
        #expect(await failureCode { try await backend.start() } == "configuration")
        let open = try cluster.make("chat-1", env: "production")
        #expect(await failureCode { try await open.start() } == "configuration")
        let closed = try cluster.make("chat-1", env: "production") { $0.secret = [1] }
        try await closed.start()
        await closed.stop()
    }

    @Test @Loop func aServerWithoutAClusterIsTheWholeCluster() async throws {
        let cluster = cluster()
        let app = try cluster.make("connector-1") { $0.membership = nil }
        try await app.start()
        #expect(app.servers.up("connector").map(\.id) == ["connector-1"])
    }

    // MARK: settings

    @Test @Loop func configureRunsWhereEnvironmentAndTypeMatch() throws {
        let app = try cluster().make("chat-1", env: "production")
        let journal = Journal<String>()
        let patterns = [
            ("all", "all"), ("production", "chat"), ("development|production", "gate|chat"), ("prod", "chat"),
            ("production", "cha"), ("", "chat"), ("production", "*"), ("PRODUCTION", "chat"), ("all|x", "chat"),
        ]
        for (env, type) in patterns { app.configure(env, type) { _ in journal.note("\(env),\(type)") } }
        #expect(journal.entries == ["all,all", "production,chat", "development|production,gate|chat"])
    }

    @Test @Loop func settingsFollowJavaScriptsTruth() throws {
        let app = try cluster().make("chat-1")
        #expect(app.get("x") == nil && app.disabled("x"))
        for (value, isTrue) in [
            (JSON.bool(true), true), (0, false), ("", false), ("no", true), (.null, false), (1, true),
        ] {
            app.set("x", value)
            #expect(app.enabled("x") == isTrue && app.disabled("x") == !isTrue)
        }
        app.enable("x")
        #expect(app.get("x") == true)
        app.disable("x")
        #expect(app.get("x") == false)
    }
}

@Loop private final class Part: Component {
    let name: String
    private let journal: Journal<String>
    private let failsAt: String
    private let door: Door?

    init(_ name: String, _ journal: Journal<String>, failsAt: String = "", door: Door? = nil) {
        self.name = name
        self.journal = journal
        self.failsAt = failsAt
        self.door = door
    }

    private func note(_ moment: String) throws {
        journal.note("\(name) \(moment)")
        if failsAt == "\(name) \(moment)" { throw Fault(1, failsAt) }
    }

    func start() async throws {
        try note("start")
        await door?.pass()
    }
    func afterStart() async throws { try note("afterStart") }
    func didStart() async throws { try note("didStart") }
    func willStop() async { journal.note("\(name) willStop") }
    func stop() async { journal.note("\(name) stop") }
}

@Loop private struct Extra: Plugin {
    final class Service {}
    let name = "extra"
    let journal: Journal<String>
    init(_ journal: Journal<String>) { self.journal = journal }

    func install(into application: Application, _: inout PluginOptions) throws {
        try application.load(Part("extra", journal))
        application.setService(Service())
    }
}
