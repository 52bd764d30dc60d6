// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

// The plugin of the documentation's article on plugins, whole: a component, event listeners, options, a service.

/// Says how long users stay: per user on request, and in the log now and then.
struct OnlineTime: Plugin {
    let name = "onlineTime"

    func install(into app: Application, _ options: inout PluginOptions) throws {
        let watch = OnlineWatch(app, try options.take("onlineTime"))
        try app.load(watch)
        app.listen(watch)
        app.setService(watch)
    }
}

/// The plugin's component and its event listener in one.
@Loop final class OnlineWatch: Component, EventListener {
    /// What may be given under the component's name.
    struct Options: Decodable {
        /// Seconds between two reports; none without it.
        var report: Double?
        /// Server types that are counted; all without it.
        var servers: [ServerType]?
    }

    let name = "onlineTime"
    private let clock: any LoopClock
    private let options: Options
    private var since: [UserID: UInt64] = [:]
    private var timer: TimerID?
    private(set) var reports: [Int] = []
    private(set) var known: Set<ServerID> = []

    init(_ app: Application, _ options: Options) {
        clock = app.clock
        self.options = options
    }

    /// How long a user has been here; nil when it is not.
    func time(of uid: UserID) -> Duration? {
        since[uid].map { .nanoseconds(Int64(clamping: clock.now - $0)) }
    }

    // A component: its life is the application's.

    func afterStart() async throws { schedule() }

    func stop() async {
        if let timer { clock.cancel(timer) }
        timer = nil
    }

    private func schedule() {
        guard let seconds = options.report else { return }
        timer = clock.schedule(after: .seconds(seconds)) { [weak self] in
            guard let self else { return }
            reports.append(since.count)
            schedule()
        }
    }

    // An event listener: what happens to sessions and servers.

    func bindSession(_ session: Session) {
        if let uid = session.uid { since[uid] = clock.now }
    }

    func unbindSession(_ session: Session, from uid: UserID) { since[uid] = nil }

    func closeSession(_ session: Session, _ end: SessionEnd) {
        if let uid = session.uid { since[uid] = nil }
    }

    func addServers(_ servers: [ServerRecord]) {
        known.formUnion(servers.filter { options.servers?.contains($0.type) ?? true }.map(\.id))
    }

    func removeServers(_ ids: [ServerID]) { known.subtract(ids) }
}

/// What plugins may do, and what is said about those that are wrong.
@Suite struct PluginTests {
    @Loop private func cluster() -> TestCluster { TestCluster(TestCluster.records(connectors: 1, chats: 1)) }

    @Test @Loop func theExamplePluginKeepsTimeOfUsers() async throws {
        let cluster = cluster()
        let app = try await cluster.start("connector-1") { app in
            try app.use(OnlineTime(), ["onlineTime": ["report": 60, "servers": ["chat"]]])
        }
        let watch = try #require(app.service(OnlineWatch.self))
        let socket = try #require(cluster.connect("connector-1"))
        let session = try #require(app.sessionService.all.first)
        try await app.sessionService.bind(session.id, "u")
        await cluster.advance(by: .seconds(59))
        #expect(watch.time(of: "u") == .seconds(59) && watch.time(of: "v") == nil && watch.reports == [])
        await cluster.advance(by: .seconds(62))
        #expect(watch.reports == [1, 1])
        try await cluster.start("chat-1")
        await cluster.settle()
        #expect(watch.known == ["chat-1"])
        await cluster.stop("chat-1")
        socket.disconnect()
        await cluster.settle()
        #expect(watch.known == [] && watch.time(of: "u") == nil)
        await app.stop()
        await cluster.advance(by: .seconds(200))
        #expect(watch.reports == [1, 1])
    }

    /// pomelo 0.8 crashed without them.
    @Test @Loop func optionsAreOptional() throws {
        let app = try cluster().make("connector-1") { try $0.use(OnlineTime()) }
        #expect(app.component("onlineTime") != nil && app.component("other") == nil)
    }

    static let wrong: [String: (JSONObject, String)] = [
        "a misspelled key": (
            ["onlineTime": ["raport": 60]], "onlineTime, onlineTime: unknown key raport; known are: report, servers"
        ),
        "the wrong kind": (["onlineTime": ["report": "often"]], "onlineTime, onlineTime: report: Expected a number"),
        "no object": (["onlineTime": 60], "onlineTime, onlineTime: Expected an object"),
        "another component": (["onlinetime": [:]], "onlineTime: it has no component onlinetime"),
        "deep": (["onlineTime": ["servers": ["chat", 1]]], "servers.1: Expected a string"),
    ]

    @Test(arguments: wrong.keys.sorted()) @Loop func wrongOptionsAreNamed(_ name: String) throws {
        let (options, says) = try #require(Self.wrong[name])
        let error = try #require(throws: PomeloError.self) {
            try cluster().make("connector-1") { try $0.use(OnlineTime(), options) }
        }
        #expect(error.code == .configuration && error.message.contains(says), "\(error.message)")
    }

    /// The original blocked the components of a second use, and doubled its event listeners.
    @Test @Loop func aPluginIsUsedOnceAndBeforeTheStart() async throws {
        let cluster = cluster()
        let app = try cluster.make("connector-1") { try $0.use(OnlineTime()) }
        #expect(await failureCode { try app.use(OnlineTime()) } == "configuration")
        try await app.start()
        #expect(await failureCode { try app.use(OnlineTime()) } == "notRunning")
    }

    /// In the original the factory of a refused duplicate had run, and its side effects stayed.
    @Test @Loop func aDuplicateComponentIsRefusedBeforeItIsMade() async throws {
        let journal = Journal<String>()
        let app = try cluster().make("chat-1") { try $0.load("part") { _ in Named("part") } }
        let code = await failureCode {
            try app.load("part") { _ in
                journal.note("made")
                return Named("part")
            }
        }
        #expect(code == "configuration" && journal.entries == [])
        #expect(await failureCode { try app.load("a") { _ in Named("b") } } == "configuration")
    }

    @Test @Loop func aDeclaredRouteMustBeServedByItsType() async throws {
        let cluster = cluster()
        let call = Call<Nothing, Nothing>("chat.handler.send")
        let remote = Remote<Nothing, Nothing>("chat.remote.add")
        let other = Call<Nothing, Nothing>("connector.handler.enter")
        let routes = [call.route, remote.route, other.route]
        let bare = try cluster.make("chat-1") { $0.declare(routes) }
        let error = await #expect(throws: PomeloError.self) { try await bare.start() }
        #expect(error?.message == "chat-1 declares but does not serve: chat.handler.send, chat.remote.add")
        let whole = try cluster.make("chat-1") { app in
            app.declare(routes)
            try app.handle(
                Routes { on in
                    on.on(call) { _, _ in Nothing() }
                    on.on(remote) { _ in Nothing() }
                })
        }
        try await whole.start()
        await whole.stop()
    }
}

@Loop private final class Named: Component {
    let name: String
    init(_ name: String) { self.name = name }
}
