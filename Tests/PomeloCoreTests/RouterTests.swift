// SPDX-License-Identifier: MIT
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloCore

/// Who serves a session, and the view this is decided by.
@Suite struct RouterTests {
    @Loop private func info(_ id: String, _ state: ServerState = .up, instance: String = "1") -> ServerInfo {
        ServerInfo(
            record: ServerRecord(id: ServerID(id), type: "chat", port: 1), instance: InstanceID(instance), state: state)
    }

    // MARK: routing

    /// pomelo 2.2.7 took a hash modulo a list whose order differed between processes; lib/components/proxy.js.
    @Test @Loop func aServerMoreMovesOnlyItsOwnShareOfUsers() {
        let users = (0..<4000).map { "user-\($0)" }
        let four = (1...4).map { info("chat-\($0)") }
        let five = four + [info("chat-5")]
        var moved = 0
        var shares: [ServerID: Int] = [:]
        for user in users {
            let before = Router.hashed(user, four)
            let after = Router.hashed(user, five)
            if before != after {
                moved += 1
                #expect(after == "chat-5")
            }
            shares[after, default: 0] += 1
            #expect(Router.hashed(user, five.reversed()) == after)
        }
        #expect((600...1000).contains(moved))
        #expect(shares.count == 5 && shares.values.allSatisfy { (600...1000).contains($0) })
    }

    /// The values of ten rooms: texts, whole numbers, fractions, and what is both of two values.
    static let rooms: [@Sendable (Int) -> JSON] = [
        { .string("room-\($0)") }, { .int(Int64($0)) }, { .double(Double($0) + 0.5) }, { .bool($0 % 2 == 0) },
    ]

    @Test(arguments: rooms.indices) @Loop func sessionsWithOneValueMeetOnOneServerEverywhere(_ kind: Int) async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 2, chats: 3))
        try await cluster.startAll { app in
            app.route("chat", by: "room")
            try app.configure("all", "chat") { app in
                let id = app.serverID.rawValue
                try app.handle(Routes { $0.on(raw: "chat.test.where") { _, _ in Array(id.utf8) } })
            }
        }
        var places: [JSON: Set<String>] = [:]
        for number in 0..<60 {
            let frontend = ServerID("connector-\(number % 2 + 1)")
            let socket = try #require(cluster.connect(frontend))
            let session = try #require(socket.session)
            try await cluster[frontend].sessionService.bind(session.id, UserID("user-\(number)"))
            let room = Self.rooms[kind](number % 10)
            try cluster[frontend].sessionService.push(session.id, ["room": room])
            places[room, default: []].insert(await socket.ask("chat.test.where") ?? "")
        }
        #expect(places.values.allSatisfy { $0.count == 1 })
        #expect(Set(places.values.joined()).count > 1)
    }

    @Test @Loop func whoLacksTheValueIsRoutedByItsUserAndThatIsSaidOnce() async throws {
        let logs = CapturedLogs.installed
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 3))
        try await cluster.startAll { app in app.route("chat", by: "area of a test") }
        let router = cluster["connector-1"].router
        for (number, value) in ([nil, .null, ["no": "scalar"], [1]] as [JSON?]).enumerated() {
            let socket = try await cluster.client("connector-1", UserID("user-\(number)"))
            let session = try #require(socket.session)
            if let value { session.set("area of a test", value) }
            let copy = cluster["connector-1"].backendSessionService.copy(of: session)
            let expected = Router.hashed("user-\(number)", cluster["connector-1"].servers.up("chat"))
            #expect(try router.pick("chat", for: copy) == expected)
        }
        #expect(logs.lines("pomelo", where: "pomelo.setting", is: "area of a test").count == 1)
        await cluster.stopAll()
    }

    @Test @Loop func whoIsSuspectServesNobodyWhileAnotherAnswers() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 3))
        try await cluster.startAll { app in
            let id = app.serverID.rawValue
            guard app.serverType == "chat" else { return }
            try app.handle(Routes { $0.on(raw: "chat.test.where") { _, _ in Array(id.utf8) } })
        }
        let servers = cluster["connector-1"].servers
        var places: Set<String> = []
        func askAll() async throws {
            places = []
            for _ in 0..<40 {
                let socket = try #require(cluster.connect("connector-1"))
                places.insert(await socket.ask("chat.test.where") ?? "")
            }
        }
        servers.setSuspect("chat-2", true)
        try await askAll()
        #expect(places == ["chat-1", "chat-3"])
        // The suspicion may be ours alone.
        for id: ServerID in ["chat-1", "chat-3"] { servers.setSuspect(id, true) }
        try await askAll()
        #expect(places.count > 1 && !places.contains(""))
        servers.setSuspect("chat-2", false)
        try await askAll()
        #expect(places == ["chat-2"])
    }

    @Test @Loop func aRuleOfTheApplicationDecides() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 3))
        try await cluster.startAll { app in
            app.route("chat") { session, servers in
                if session.get("none") != nil { throw Fault(503, "closed") }
                return servers.last?.id ?? "nobody"
            }
            try app.configure("all", "chat") { app in
                let id = app.serverID.rawValue
                try app.handle(Routes { $0.on(raw: "chat.test.where") { _, _ in Array(id.utf8) } })
            }
        }
        let socket = try #require(cluster.connect("connector-1"))
        #expect(await socket.ask("chat.test.where") == "chat-3")
        let session = try #require(socket.session)
        try cluster["connector-1"].sessionService.push(session.id, ["none": true])
        #expect(await socket.ask("chat.test.where") == #"{"code":503,"message":"closed"}"#)
    }

    @Test @Loop func theDefaultRuleIsForAllTypesWithoutTheirOwn() async throws {
        let records = TestCluster.records(connectors: 1, chats: 3) + [ServerRecord(id: "area-1", type: "area", port: 1)]
        let cluster = TestCluster(records)
        try await cluster.startAll { app in
            app.router.defaultRule = { _, servers in servers.last?.id ?? "nobody" }
            app.route("area") { _, servers in servers[0].id }
        }
        let app = cluster["connector-1"]
        let id = try #require(cluster.connect("connector-1")?.session).id
        let session = try #require(try await app.backendSessionService.get("connector-1", id))
        #expect(try app.router.pick("chat", for: session) == "chat-3")
        #expect(try app.router.pick("area", for: session) == "area-1")
    }

    /// In pomelo 2.2.7 all sessions without a user were one key, and one server had them all; lib/components/proxy.js.
    @Test @Loop func regressionSessionsWithoutAUserAreSpread() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 2, chats: 3))
        try await cluster.startAll()
        var places: [ServerID: Int] = [:]
        for number in 0..<60 {
            let frontend = ServerID("connector-\(number % 2 + 1)")
            let app = cluster[frontend]
            let id = try #require(cluster.connect(frontend)?.session).id
            let session = try #require(try await app.backendSessionService.get(frontend, id))
            places[try app.router.pick("chat", for: session), default: 0] += 1
        }
        #expect(places.count == 3 && places.values.allSatisfy { $0 >= 8 })
    }

    // MARK: the view

    /// pomelo 2.2.7 announced the end of servers that nobody had known; lib/application.js.
    @Test @Loop func changesAreAnnouncedWhenTheyMatterToRouting() {
        let directory = ServerDirectory()
        let journal = Journal<String>()
        directory.observe { change in
            switch change {
            case .added(let records): journal.note("added \(records.map(\.id.rawValue))")
            case .removed(let ids): journal.note("removed \(ids.map(\.rawValue))")
            case .replaced(let records): journal.note("replaced \(records.map(\.id.rawValue).sorted())")
            }
        }
        directory.add([info("a", .joining)])
        #expect(journal.entries == [] && directory.up("chat").isEmpty && directory["a"]?.state == .joining)
        directory.add([info("a"), info("b")])
        directory.add([info("a")])
        #expect(journal.entries == ["added [\"a\", \"b\"]"])
        directory.add([info("a", instance: "2")])
        #expect(journal.entries.last == "added [\"a\"]" && journal.entries.count == 2)
        directory.add([info("b", .draining)])
        #expect(journal.entries.count == 2 && directory.up("chat").map(\.id) == ["a"])
        directory.remove(["nobody"])
        directory.remove(["b", "nobody"])
        #expect(journal.entries.last == "removed [\"b\"]" && journal.entries.count == 3)
        directory.replace([info("c"), info("a", instance: "2")])
        #expect(journal.entries.suffix(2) == ["added [\"c\"]", "replaced [\"a\", \"c\"]"])
        directory.replace([info("c")])
        #expect(journal.entries.suffix(2) == ["removed [\"a\"]", "replaced [\"c\"]"])
    }

    /// Views are kept between changes.
    @Test @Loop func everyViewFollowsEveryChange() {
        @Loop func frontend(_ id: String, _ type: String, _ state: ServerState = .up) -> ServerInfo {
            let record = ServerRecord(id: ServerID(id), type: ServerType(type), port: 1, isFrontend: true)
            return ServerInfo(record: record, instance: "1", state: state)
        }
        let directory = ServerDirectory()
        @Loop func views() -> [[ServerID]] {
            [
                directory.all.map(\.id), directory.frontends.map(\.id), directory.frontendIDs(),
                directory.frontendIDs("connector"), directory.up("chat").map(\.id), directory.choices("chat").map(\.id),
            ]
        }
        #expect(views() == [[], [], [], [], [], []])
        directory.add([info("a"), frontend("d", "connector"), frontend("c", "gate")])
        directory.add([frontend("b", "connector", .joining)])
        #expect(views() == [["a", "b", "c", "d"], ["b", "c", "d"], ["b", "c", "d"], ["b", "d"], ["a"], ["a"]])
        directory.add([frontend("b", "connector"), info("e")])
        #expect(
            views() == [
                ["a", "b", "c", "d", "e"], ["b", "c", "d"], ["b", "c", "d"], ["b", "d"], ["a", "e"], ["a", "e"],
            ])
        directory.setSuspect("a", true)
        #expect(views().suffix(2) == [["a", "e"], ["e"]])
        directory.setSuspect("a", false)
        directory.remove(["e", "d"])
        #expect(views() == [["a", "b", "c"], ["b", "c"], ["b", "c"], ["b"], ["a"], ["a"]])
        directory.replace([])
        #expect(views() == [[], [], [], [], [], []])
    }

    @Test @Loop func suspectsAreNotChosenUnlessNobodyElseIsLeft() {
        let directory = ServerDirectory()
        directory.add([info("a"), info("b")])
        let version = directory.version
        directory.setSuspect("a", true)
        directory.setSuspect("a", true)
        #expect(directory.version == version + 1)
        #expect(directory.choices("chat").map(\.id) == ["b"] && directory.up("chat").count == 2)
        directory.setSuspect("b", true)
        #expect(directory.answering("chat").isEmpty && directory.choices("chat").map(\.id) == ["a", "b"])
        directory.add([info("a", instance: "2")])
        #expect(!directory.isSuspect("a") && directory.choices("chat").map(\.id) == ["a"])
        directory.setSuspect("b", false)
        #expect(directory.choices("chat").count == 2 && directory.choices("area").isEmpty)
    }
}
