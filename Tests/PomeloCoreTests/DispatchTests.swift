// SPDX-License-Identifier: MIT
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloCore

/// The way of a client's message, and its one answer.
@Suite struct DispatchTests {
    /// A connector that hands on what it has read already, paused or not, meets the hard limit.
    @Test @Loop func requestsBeyondTheHardLimitAreRefusedAtOnce() async throws {
        let world = try await World()
        world.cluster["connector-1"].limits.requestsInFlight = 4
        world.cluster["connector-1"].limits.requestsInFlightHard = 8
        let socket = world.socket
        let session = try #require(socket.session)
        // Not by the socket, which holds back what comes while it is paused.
        let request: @Loop (UInt32) -> UInt32 = { id in
            let message = ClientMessage(id: id, route: Route("connector.test.slow"), body: Array("{}".utf8))
            world.cluster["connector-1"].dispatcher.received(message, from: session)
            return id
        }
        let ids = (1...12).map { request($0) }
        await world.cluster.settle()
        #expect(socket.isPaused && world.door.count == 8)
        #expect(ids.prefix(8).allSatisfy { socket.texts($0) == [] })
        #expect(ids.suffix(4).allSatisfy { socket.texts($0) == [#"{"code":500}"#] })
        world.door.letOneThrough()
        await world.cluster.settle()
        let next = (13...14).map { request($0) }
        await world.cluster.settle()
        #expect(next.map { socket.texts($0) } == [[], [#"{"code":500}"#]], "one was answered, one has room")
        world.door.open()
        await world.cluster.settle()
        #expect((ids.prefix(8) + next.prefix(1)).allSatisfy { socket.texts($0) == ["{}"] })
        #expect(!socket.isPaused)
    }

    /// Requests are counted by their bytes too: what a slow handler keeps of one client stays bounded.
    @Test @Loop func largeRequestsHoldBackTheirClientEarlier() async throws {
        let world = try await World()
        world.cluster["connector-1"].limits.requestBytesInFlight = 3000
        world.cluster["connector-1"].limits.requestBytesInFlightHard = 5000
        let socket = world.socket
        let session = try #require(socket.session)
        let body = Array((#"{"text":""# + String(repeating: "x", count: 989) + #""}"#).utf8)
        let request: @Loop (UInt32) -> Void = { id in
            let message = ClientMessage(id: id, route: Route("connector.test.slow"), body: body)
            world.cluster["connector-1"].dispatcher.received(message, from: session)
        }
        for id in 1...2 { request(UInt32(id)) }
        #expect(body.count == 1000 && !socket.isPaused)
        for id in 3...6 { request(UInt32(id)) }
        await world.cluster.settle()
        #expect(socket.isPaused && world.door.count == 5)
        #expect((1...5).allSatisfy { socket.texts($0) == [] } && socket.texts(6) == [#"{"code":500}"#])
        for _ in 1...2 { world.door.letOneThrough() }
        await world.cluster.settle()
        #expect(socket.isPaused, "three are still as much as may be")
        world.door.letOneThrough()
        await world.cluster.settle()
        #expect(!socket.isPaused)
        world.door.open()
        await world.cluster.settle()
        #expect((1...5).allSatisfy { socket.texts($0) == [String(decoding: body, as: UTF8.self)] })
    }

    struct Name: Codable, Sendable { var name: String }
    struct Opaque: Error {}
    /// A reply whose encoding fails.
    struct Broken: Codable, Sendable {
        func encode(to encoder: any Encoder) throws { throw Opaque() }
    }

    @Loop final class World {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 1))
        let door = Door()
        let seen = Journal<String>()
        let socket: TestSocket

        init() async throws {
            let door = door
            let seen = seen
            let app = try await cluster.start("connector-1") { app in
                try app.handle(World.handler("connector", door, seen))
            }
            try await cluster.start("chat-1") { try $0.handle(World.handler("chat", door, seen)) }
            socket = try #require(cluster.connect("connector-1"))
            _ = app
        }

        /// The same routes at every type of server.
        static func handler(_ type: String, _ door: Door, _ seen: Journal<String>) -> Routes {
            Routes {
                $0.on(json: "\(type).test.echo") { body, _ in body }
                $0.on(Call<Name, Name>("\(type).test.typed")) { name, _ in name }
                $0.on(Call<Nothing, Name>("\(type).test.nothing")) { _, _ in Name(name: "nobody") }
                $0.on(raw: "\(type).test.raw") { body, _ in body }
                $0.on(raw: "\(type).test.empty") { _, _ in [] }
                $0.on(raw: "\(type).test.fault") { _, _ in throw Fault(1001, "full") }
                $0.on(raw: "\(type).test.code") { _, _ in throw Fault(404) }
                $0.on(raw: "\(type).test.body") { _, _ in throw Fault(body: ["code": 500, "error": true]) }
                $0.on(raw: "\(type).test.error") { _, _ in throw Opaque() }
                $0.on(raw: "\(type).test.framework") { _, _ in throw PomeloError(.redisUnavailable, "secret text") }
                $0.on(raw: "\(type).test.unreached") { _, _ in throw RPCError.maybeExecuted("secret text") }
                $0.on(raw: "\(type).test.escaped") { _, _ in throw RPCError.failed(code: 404, message: "secret text") }
                $0.on(Call<Nothing, Broken>("\(type).test.broken")) { _, _ in Broken() }
                $0.on(raw: "\(type).test.slow") { body, _ in
                    seen.note("slow")
                    await door.pass()
                    return body
                }
                $0.on(json: "\(type).test.session") { _, session in
                    let uid = session.uid?.rawValue ?? ""
                    return [
                        "uid": .string(uid), "frontend": .string("\(session.frontend)"),
                        "room": session.get("room") ?? .null,
                    ]
                }
            }
        }

        func ask(_ route: String, _ body: String = "{}") async -> String {
            let id = socket.request(route, Array(body.utf8))
            await cluster.settle()
            return socket.texts(id).joined(separator: " and ")
        }
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        let route: String
        var body = "{}"
        let answer: String
        var testDescription: String { name }
    }

    static let internalError = #"{"code":500}"#
    static let rows = [
        Row(name: "a reply", route: "test.typed", body: #"{"name":"ann"}"#, answer: #"{"name":"ann"}"#),
        Row(name: "the body as it came", route: "test.raw", body: "[1, 2]", answer: "[1, 2]"),
        Row(name: "an empty reply", route: "test.empty", answer: "{}"),
        Row(name: "a fault with a message", route: "test.fault", answer: #"{"code":1001,"message":"full"}"#),
        Row(name: "a fault without", route: "test.code", answer: #"{"code":404}"#),
        Row(name: "a fault's own body", route: "test.body", answer: #"{"code":500,"error":true}"#),
        Row(name: "any other error", route: "test.error", answer: internalError),
        Row(name: "an error of the framework", route: "test.framework", answer: internalError),
        Row(name: "a call that failed", route: "test.unreached", answer: internalError),
        Row(name: "another server's error that escapes", route: "test.escaped", answer: internalError),
        Row(name: "a reply that cannot be encoded", route: "test.broken", answer: internalError),
        Row(name: "no handler", route: "test.missing", answer: internalError),
        Row(
            name: "a query of another shape", route: "test.typed", body: #"{"nam":"ann"}"#,
            answer: #"{"code":400,"message":"name is missing"}"#),
        Row(name: "an array", route: "test.echo", body: "[1]", answer: internalError),
        Row(name: "a number", route: "test.echo", body: "1", answer: internalError),
        Row(name: "a string", route: "test.echo", body: #""x""#, answer: internalError),
        Row(name: "true", route: "test.echo", body: "true", answer: internalError),
        Row(name: "an array for a typed query", route: "test.typed", body: #"[{"name":"ann"}]"#, answer: internalError),
    ]

    @Test(arguments: rows, ["connector", "chat"])
    @Loop func answers(_ row: Row, _ type: String) async throws {
        let world = try await World()
        #expect(await world.ask("\(type).\(row.route)", row.body) == row.answer)
    }

    @Test(arguments: ["null", "", " ", "{", "nul", "{\"a\":", "\u{FEFF}"], ["connector", "chat"])
    @Loop func whatIsNoJSONAndNullCountAsAnEmptyObject(_ body: String, _ type: String) async throws {
        let world = try await World()
        #expect(await world.ask("\(type).test.echo", body) == "{\"__route__\":\"\(type).test.echo\"}")
        #expect(await world.ask("\(type).test.nothing", body) == #"{"name":"nobody"}"#)
    }

    /// In pomelo 2.2.7 a route without a dot was never answered; lib/components/connector.js.
    @Test(arguments: [
        "", "test", "connector", "connector.test", "connector.test.a.b", "connector..raw", ".test.raw", "..",
        "connector.test.",
    ])
    @Loop func aRouteThatIsNotWholeIsRefused(_ route: String) async throws {
        let world = try await World()
        #expect(await world.ask(route) == Self.internalError)
        world.socket.notify(route)
        await world.cluster.settle()
        #expect(!world.socket.isClosed && world.socket.answers.count == 1)
    }

    @Test @Loop func aTypeWithoutServersIsAnsweredAtOnce() async throws {
        let world = try await World()
        #expect(await world.ask("area.test.echo") == Self.internalError)
        await world.cluster.stop("chat-1")
        #expect(await world.ask("chat.test.echo") == Self.internalError)
    }

    /// In pomelo 2.2.7 whatever a handler object had could be called, inherited or not, and mostly never answered;
    /// lib/common/service/handlerService.js.
    @Test(
        arguments: ["toString", "hasOwnProperty", "__defineGetter__", "__proto__", "valueOf", "routes", "handler"],
        ["connector", "chat"])
    @Loop func regressionOnlyRegisteredMethodsCanBeCalled(_ method: String, _ type: String) async throws {
        let world = try await World()
        for route in ["\(type).test.\(method)", "\(type).\(method).raw"] {
            #expect(await world.ask(route) == Self.internalError)
        }
        #expect(!world.socket.isClosed)
    }

    @Test @Loop func theConstructorTrickEndsTheSession() async throws {
        let world = try await World()
        #expect(await world.ask("connector.test.constructor") == "")
        #expect(world.socket.kick == "attack" && world.socket.isClosed)
    }

    @Test @Loop func notifiesAreHandledAndNeverAnswered() async throws {
        let world = try await World()
        for route in ["slow", "fault", "error", "missing", "echo"] { world.socket.notify("connector.test.\(route)") }
        world.socket.notify("chat.test.slow", Array("[]".utf8))
        await world.cluster.settle()
        world.door.open()
        await world.cluster.settle()
        #expect(world.seen.entries == ["slow", "slow"])
        #expect(world.socket.answers.isEmpty && world.socket.session?.isOpen == true)
    }

    // MARK: time

    /// In pomelo 2.2.7 such a request hung for ever, and for a handler that answered twice all that follows ran twice;
    /// lib/common/service/handlerService.js.
    @Test(arguments: ["connector", "chat"])
    @Loop func aHandlerThatNeverReturnsIsAnsweredAtItsDeadlineOnce(_ type: String) async throws {
        let world = try await World()
        let id = world.socket.request("\(type).test.slow")
        await world.cluster.advance(by: .milliseconds(29_900), step: .milliseconds(300))
        #expect(world.socket.texts(id) == [])
        await world.cluster.advance(by: .milliseconds(200))
        #expect(world.socket.texts(id) == [Self.internalError])
        world.door.open()
        await world.cluster.settle()
        #expect(world.socket.texts(id) == [Self.internalError])
        #expect(world.cluster.network.violations == [])
    }

    @Test @Loop func aServerThatDiesIsAnsweredForAtOnce() async throws {
        let world = try await World()
        let id = world.socket.request("chat.test.slow")
        await world.cluster.settle()
        world.cluster.crash("chat-1")
        await world.cluster.settle()
        #expect(world.socket.texts(id) == [Self.internalError])
        world.door.open()
    }

    @Test @Loop func aClientThatLeavesGetsNothingMore() async throws {
        let world = try await World()
        let id = world.socket.request("connector.test.slow")
        await world.cluster.settle()
        world.socket.disconnect()
        world.door.open()
        await world.cluster.settle()
        #expect(world.socket.texts(id) == [])
    }

    // MARK: requests in flight

    @Test @Loop func aSessionWithTooManyRequestsIsNotReadUntilSomeEnd() async throws {
        let world = try await World()
        let ids = (0..<80).map { _ in world.socket.request("connector.test.slow") }
        await world.cluster.settle()
        #expect(world.socket.isPaused && world.door.count == 64)
        world.door.letOneThrough()
        await world.cluster.settle()
        #expect(world.door.count == 64 && world.socket.isPaused)
        world.door.open()
        await world.cluster.settle()
        #expect(!world.socket.isPaused)
        #expect(ids.allSatisfy { world.socket.texts($0) == ["{}"] })
        #expect(world.seen.entries.count == 80)
    }

    // MARK: forwarding

    @Test @Loop func aForwardedRequestCarriesTheSession() async throws {
        let world = try await World()
        let session = try #require(world.socket.session)
        let service = world.cluster["connector-1"].sessionService
        try await service.bind(session.id, "ann")
        try service.push(session.id, ["room": "lobby"])
        for type in ["connector", "chat"] {
            #expect(
                await world.ask("\(type).test.session")
                    == #"{"uid":"ann","frontend":"connector-1","room":"lobby"}"#)
        }
    }

    @Test @Loop func theRestOfTheDeadlineIsForwarded() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 1))
        let seen = Journal<String>()
        let note = DeadlineNote(cluster.clock, seen)
        try await cluster.start("connector-1") { app in
            app.limits.clientRequest = .seconds(10)
            app.globalFilter(Delay(cluster.clock, .seconds(4)))
        }
        try await cluster.start("chat-1") { app in
            app.before(note)
            try app.handle(Routes { $0.on(raw: "chat.test.raw") { body, _ in body } })
        }
        let socket = try #require(cluster.connect("connector-1"))
        let id = socket.request("chat.test.raw")
        await cluster.advance(by: .milliseconds(4100))
        #expect(seen.entries == ["6 s left"])
        #expect(socket.texts(id) == ["{}"])
    }

    @Test @Loop func routesAreServedByTheirTypeOnly() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 0))
        let app = try cluster.make("connector-1")
        for route in ["chat.test.a", "connector.test", ""] {
            #expect(
                await failureCode { try app.handle(Routes { $0.on(raw: route) { body, _ in body } }) }
                    == "configuration")
        }
        try app.handle(Routes { $0.on(raw: "connector.test.a") { body, _ in body } })
        #expect(
            await failureCode { try app.handle(Routes { $0.on(raw: "connector.test.a") { body, _ in body } }) }
                == "configuration")
        #expect(app.servedRoutes == ["connector.test.a"])
    }
}

@Loop private struct Delay: Filter {
    let clock: ManualClock
    let duration: Duration
    init(_ clock: ManualClock, _ duration: Duration) {
        self.clock = clock
        self.duration = duration
    }
    func before(_ request: Request) async throws { await clock.sleep(for: duration) }
}

@Loop private struct DeadlineNote: Filter {
    let clock: ManualClock
    let journal: Journal<String>
    init(_ clock: ManualClock, _ journal: Journal<String>) {
        self.clock = clock
        self.journal = journal
    }
    func before(_ request: Request) async throws {
        journal.note("\((request.deadline - clock.now + 500_000_000) / 1_000_000_000) s left")
    }
}
