// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Order, ends and places of requests: with handlers that wait and handlers that do not, here and forwarded.
@Suite struct ForwardingTests {
    /// `now` does not wait, `slow` waits at the door; both note that they began.
    @Loop static func routes(_ type: String, _ journal: Journal<String>, _ door: Door) -> Routes {
        Routes {
            $0.on(raw: "\(type).test.now") { body, _ in
                journal.note("now \(String(decoding: body, as: UTF8.self))")
                return body
            }
            $0.on(raw: "\(type).test.slow") { body, _ in
                journal.note("slow \(String(decoding: body, as: UTF8.self))")
                await door.pass()
                journal.note(Task.isCancelled ? "cancelled" : "done")
                return body
            }
            $0.on(raw: "\(type).test.room") { _, session in Array((session.get("room")?.string ?? "none").utf8) }
        }
    }

    @Loop final class World {
        let cluster: TestCluster
        let journal = Journal<String>()
        let door = Door()
        let socket: TestSocket

        init(chats: Int = 1, _ setUp: @Loop (Application) throws -> Void = { _ in }) async throws {
            cluster = TestCluster(TestCluster.records(connectors: 1, chats: chats))
            let (journal, door) = (journal, door)
            try await cluster.start("connector-1") { app in
                try app.handle(ForwardingTests.routes("connector", journal, door))
                try setUp(app)
            }
            socket = try #require(cluster.connect("connector-1"))
            try await startChat(1)
        }

        func startChat(_ number: Int) async throws {
            try await cluster.start(ServerID("chat-\(number)")) { app in
                try app.handle(ForwardingTests.routes("chat", journal, door))
                let id = app.serverID.rawValue
                try app.handle(Routes { $0.on(raw: "chat.test.where") { _, _ in Array(id.utf8) } })
            }
        }

        func answer(_ id: UInt32) -> String { socket.texts(id).joined(separator: " and ") }
    }

    /// The reason is in the log of the server that failed, which is one of several.
    @Test(arguments: [true, false]) @Loop func aRequestThatFailedElsewhereSaysWhere(byFilter: Bool) async throws {
        let logs = CapturedLogs.installed
        let world = try await World { if byFilter { $0.rpcFilter(Passing()) } }
        let missing = "chat.test.missing\(byFilter)"
        world.socket.request(missing)
        await world.cluster.settle()
        #expect(world.answer(1) == #"{"code":500}"#)
        let lines = logs.lines("pomelo", where: "pomelo.route", is: missing)
        let errors = lines.compactMap { $0["error"] }.sorted()
        #expect(
            errors == [
                "chat-1, of type chat, has no handler for \(missing)",
                "failed with 500: \(missing) failed at chat-1, whose log says why",
            ])
        await world.cluster.stopAll()
    }

    // MARK: order

    @Test(arguments: ["connector", "chat"])
    @Loop func requestsOfASessionBeginInOrderWhetherTheirHandlersWaitOrNot(_ type: String) async throws {
        let world = try await World()
        var wanted: [String] = []
        for number in 0..<40 {
            let method = number % 3 == 1 ? "slow" : "now"
            wanted.append("\(method) \(number)")
            world.socket.request("\(type).test.\(method)", Array("\(number)".utf8))
        }
        await world.cluster.settle()
        #expect(world.journal.entries == wanted)
        world.door.open()
        await world.cluster.settle()
        #expect(world.socket.answers.count == 40 && world.socket.answers.values.allSatisfy { $0.count == 1 })
    }

    @Test @Loop func aHandlerThatDoesNotWaitRunsAfterTheCallThatBroughtItsRequest() async throws {
        let world = try await World()
        world.socket.request("connector.test.now")
        #expect(world.journal.entries == [])
        await world.cluster.settle()
        #expect(world.journal.entries == ["now {}"])
    }

    @Test @Loop func filtersSurroundAHandlerThatDoesNotWait() async throws {
        let journal = Journal<String>()
        let world = try await World { app in
            app.filter(Noted(journal, "local"))
            app.globalFilter(Noted(journal, "global"))
        }
        let id = world.socket.request("connector.test.now", Array("1".utf8))
        await world.cluster.settle()
        #expect(world.answer(id) == "1")
        #expect(journal.entries == ["before global", "before local", "after local", "after global"])
    }

    // MARK: cancellation

    /// What a client has said is done, though it has left.
    @Test @Loop func aForwardedRequestOutlivesItsClient() async throws {
        let world = try await World()
        let id = world.socket.request("chat.test.slow", Array("1".utf8))
        await world.cluster.settle()
        world.socket.disconnect()
        await world.cluster.settle()
        world.door.open()
        await world.cluster.settle()
        #expect(world.journal.entries == ["slow 1", "done"])
        #expect(world.socket.texts(id) == [] && world.cluster.network.callsInFlight == 0)
    }

    @Test @Loop func aForwardedRequestIsAnsweredOnceWhenItsDeadlineAndItsReplyMeet() async throws {
        let world = try await World { $0.limits.clientRequest = .seconds(4) }
        let id = world.socket.request("chat.test.slow", Array("1".utf8))
        await world.cluster.advance(by: .milliseconds(3900))
        world.door.open()
        world.cluster.clock.advance(by: .milliseconds(200))
        await world.cluster.settle()
        #expect(world.socket.answers[id]?.count == 1)
        #expect(world.cluster.network.violations == [])
    }

    // MARK: settings

    @Test @Loop func settingsThatChangeAreForwardedAtTheNextRequest() async throws {
        let world = try await World { app in app.globalFilter(Marked()) }
        let session = try #require(world.socket.session)
        let service = world.cluster["connector-1"].sessionService
        func ask(_ body: String = "{}") async -> String {
            let id = world.socket.request("chat.test.room", Array(body.utf8))
            await world.cluster.settle()
            return world.answer(id)
        }
        #expect(await ask() == "none")
        try service.push(session.id, ["room": "lobby"])
        #expect(await ask() == "lobby")
        #expect(await ask() == "lobby")
        #expect(await ask("mark") == "marked", "a filter's word is for its request")
        #expect(await ask() == "lobby")
        try service.push(session.id, ["room": "hall"])
        #expect(await ask() == "hall")
        try service.push(session.id, [:], removing: ["room"])
        #expect(await ask() == "none")
    }

    // MARK: the choice of server

    /// A user whose server is the second one, once there is one.
    @Loop private func mover(_ world: World) async throws -> UserID {
        let records = TestCluster.records(connectors: 0, chats: 2)
        let both = records.map { ServerInfo(record: $0, instance: "1", state: .up) }
        let user = try #require((0..<100).map { "user-\($0)" }.first { Router.hashed($0, both) == "chat-2" })
        let session = try #require(world.socket.session)
        try await world.cluster["connector-1"].sessionService.bind(session.id, UserID(user))
        return UserID(user)
    }

    @Test @Loop func aSessionStaysWithTheServerThatHasItsRequestsWhenOnlyTheChoicesChange() async throws {
        let world = try await World(chats: 2)
        _ = try await mover(world)
        world.socket.request("chat.test.slow")
        await world.cluster.settle()
        try await world.startChat(2)
        let second = world.socket.request("chat.test.where")
        await world.cluster.settle()
        #expect(world.answer(second) == "chat-1", "it must not overtake the request before it")
        world.door.open()
        await world.cluster.settle()
        let third = world.socket.request("chat.test.where")
        await world.cluster.settle()
        #expect(world.answer(third) == "chat-2", "nothing is under way any more")
    }

    @Test @Loop func aSessionDoesNotStayWithAServerThatIsNoChoiceAnyMore() async throws {
        let world = try await World(chats: 2)
        _ = try await mover(world)
        world.socket.request("chat.test.slow")
        await world.cluster.settle()
        try await world.startChat(2)
        world.cluster["connector-1"].servers.setSuspect("chat-1", true)
        let second = world.socket.request("chat.test.where")
        await world.cluster.settle()
        #expect(world.answer(second) == "chat-2")
        world.door.open()
    }

    @Test @Loop func whatTheSessionItselfChangesCountsAtOnce() async throws {
        let world = try await World(chats: 2) { app in
            app.route("chat") { session, servers in
                let wanted = ServerID(session.get("room")?.string ?? "chat-1")
                return servers.contains { $0.id == wanted } ? wanted : servers[0].id
            }
        }
        try await world.startChat(2)
        world.socket.request("chat.test.slow")
        await world.cluster.settle()
        let session = try #require(world.socket.session)
        try world.cluster["connector-1"].sessionService.push(session.id, ["room": "chat-2"])
        let second = world.socket.request("chat.test.where")
        await world.cluster.settle()
        #expect(world.answer(second) == "chat-2")
        world.door.open()
    }
}

@Loop private struct Noted: Filter {
    let journal: Journal<String>
    let name: String
    init(_ journal: Journal<String>, _ name: String) {
        self.journal = journal
        self.name = name
    }
    func before(_ request: Request) async throws { journal.note("before \(name)") }
    func after(_ request: Request, _ outcome: Outcome) async -> Outcome {
        journal.note("after \(name)")
        return outcome
    }
}

/// Changes the copy of one request.
@Loop private struct Marked: Filter {
    func before(_ request: Request) async throws {
        if request.body == Array("mark".utf8) { request.session.set("room", "marked") }
    }
}

/// Calls within filters take another way.
@Loop private struct Passing: RPCFilter {}
