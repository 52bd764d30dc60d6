// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloCore

/// Rules that see the request or wait, hashes, and calls without a session.
@Suite struct RoutingTests {
    static let whereami = Remote<Nothing, String>("chat.remote.where")

    /// A connector, three chats that tell who they are, to clients and to servers, and a journal of what they serve.
    @Loop final class World {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 3))
        let journal = Journal<String>()
        let app: Application

        init(_ setUp: @escaping @Loop (Application) -> Void = { _ in }) async throws {
            let journal = journal
            try await cluster.startAll { app in
                if app.serverType == "connector" { setUp(app) }
                try app.configure("all", "chat") { app in
                    let id = app.serverID.rawValue
                    try app.handle(
                        Routes {
                            $0.on(RoutingTests.whereami) { _ in id }
                            $0.on(raw: "chat.test.where") { body, _ in
                                journal.note(String(decoding: body, as: UTF8.self))
                                return Array(id.utf8)
                            }
                            $0.on(raw: "chat.test.other") { _, _ in Array(id.utf8) }
                        })
                }
            }
            app = cluster["connector-1"]
        }

        func client(_ number: Int = 0, room: JSON? = nil) async throws -> TestSocket {
            let socket = try await cluster.client("connector-1", UserID("user-\(number)"))
            if let room { try app.sessionService.push(try #require(socket.session).id, ["room": room]) }
            return socket
        }
    }

    // MARK: keys

    @Test(arguments: [RouteHash.highestWeight, .crc32Modulo])
    @Loop func sessionsAndCallsMeetByTheirKey(_ hash: RouteHash) async throws {
        let world = try await World { $0.route("chat", by: "room", hash: hash) }
        var places: Set<String> = []
        for number in 0..<12 {
            let socket = try await world.client(number, room: .int(Int64(number)))
            let place = await socket.ask("chat.test.where")
            #expect(try await world.app.rpc.call(Self.whereami, Nothing(), by: number) == place)
            #expect(try await world.app.rpc.call(Self.whereami, Nothing(), by: "\(number)") == place)
            #expect(try world.app.router.pick("chat", by: number).rawValue == place)
            places.insert(place ?? "")
        }
        #expect(places.count == 3)
        let half = try await world.client(room: 0.5)
        #expect(try await world.app.rpc.call(Self.whereami, Nothing(), by: 0.5) == half.ask("chat.test.where"))
        let whole = try await world.client(room: .double(7))
        #expect(try await world.app.rpc.call(Self.whereami, Nothing(), by: 7.0) == whole.ask("chat.test.where"))
    }

    /// A setting taken from a session is a key as it is; its JSON text is another one.
    @Test @Loop func aKeyMayBeJSON() async throws {
        let world = try await World { $0.route("chat", by: "room") }
        let keys: [JSON] = [
            "hall", "", "1", 1, true, 0.1, JSON(Float(0.1)), .double(7), .uint(.max), .string("\0é\"\u{202E}"),
            .string(String(repeating: "x", count: 100_000)),
        ]
        for (number, key) in keys.enumerated() {
            let place = await (try await world.client(number, room: key)).ask("chat.test.where")
            #expect(try await world.app.rpc.call(Self.whereami, Nothing(), by: key) == place)
        }
        let float: Float = 0.1
        #expect(try world.app.router.pick("chat", by: float) == world.app.router.pick("chat", by: JSON(Float(0.1))))
        for key: JSON in [nil, [], ["hall"], [:]] {
            #expect(
                await failureText { try await world.app.rpc.call(Self.whereami, Nothing(), by: key) }
                    == "not sent: a key is a text, a number or a boolean")
        }
    }

    @Test @Loop func withoutARuleACallByAUserMeetsItsSessions() async throws {
        for hash in [nil, RouteHash.crc32Modulo] {
            let world = try await World { app in if let hash { app.route("chat", hash: hash) } }
            for number in 0..<12 {
                let place = await (try await world.client(number)).ask("chat.test.where")
                let user = UserID("user-\(number)")
                #expect(try await world.app.rpc.call(Self.whereami, Nothing(), by: user) == place)
            }
        }
    }

    /// pomelo 2.2.7 takes the CRC-32 of the user modulo the number of servers; lib/components/proxy.js.
    @Test(arguments: [("", 0), ("user-1", 2), ("小明", 0), ("a\u{10FFFF}", 1)])
    @Loop func theHashOfPomeloIsTheModuloOfItsChecksum(_ key: String, _ place: Int) async throws {
        let world = try await World()
        let servers = world.app.servers.up("chat")
        #expect(RouteHash.crc32Modulo.pick(key, servers) == servers[Int(CRC32.pomelo(key)) % 3].id)
        #expect(RouteHash.crc32Modulo.pick(key, servers).rawValue == "chat-\(place + 1)")
    }

    // MARK: all

    @Test @Loop func aCallToAllHasOneOutcomeForEach() async throws {
        let world = try await World()
        world.cluster.crash("chat-2")
        let outcomes = try await world.app.rpc.callAll(Self.whereami, Nothing(), within: .seconds(1))
        #expect(Set(outcomes.keys) == ["chat-1", "chat-2", "chat-3"])
        #expect(try outcomes["chat-1"]?.get() == "chat-1" && outcomes["chat-3"]?.get() == "chat-3")
        #expect(throws: RPCError.self) { try outcomes["chat-2"]?.get() }
        let nowhere = Remote<Nothing, String>("nowhere.remote.where")
        #expect(try await world.app.rpc.callAll(nowhere, Nothing()).isEmpty)
    }

    // MARK: rules

    @Test @Loop func aRuleForATypeThatNoServerHasIsToldOf() async throws {
        let logs = CapturedLogs.installed
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 1))
        try await cluster.startAll { app in
            app.route("rom of a test", by: "room")
            app.route("chat", by: "room")
        }
        #expect(logs.lines("pomelo", where: "pomelo.type", is: "rom of a test").count == 2, "by each server")
        #expect(logs.lines("pomelo", where: "pomelo.types", is: #"["chat", "connector"]"#).count == 2)
        await cluster.stopAll()
    }

    @Test @Loop func aRuleSeesWhatIsAsked() async throws {
        let world = try await World { app in
            app.route("chat") { request in
                if request.route.method == "other" { return "chat-3" }
                return ServerID("chat-\(try JSON.parse(request.body)["number"]?.int ?? 1)")
            }
        }
        let socket = try await world.client()
        #expect(await socket.ask("chat.test.where", ["number": 2]) == "chat-2")
        #expect(await socket.ask("chat.test.where", [:]) == "chat-1")
        #expect(await socket.ask("chat.test.other", ["number": 2]) == "chat-3")
    }

    @Test @Loop func aRuleThatWaitsHoldsUpItsSessionAlone() async throws {
        let door = Door()
        let world = try await World { app in
            app.route("chat") { request in
                if request.body.contains(UInt8(ascii: "!")) { await door.pass() }
                return request.body.contains(UInt8(ascii: "2")) ? "chat-2" : "chat-1"
            }
        }
        let (one, other) = (try await world.client(1), try await world.client(2))
        let ids = ["first!", "second", "third2"].map { one.request("chat.test.where", Array($0.utf8)) }
        _ = other.request("chat.test.where", Array("other".utf8))
        await world.cluster.settle()
        #expect(world.journal.entries == ["other"])
        door.open()
        await world.cluster.settle()
        #expect(world.journal.entries == ["other", "first!", "second", "third2"])
        #expect(ids.map { one.texts($0) } == [["chat-1"], ["chat-1"], ["chat-2"]])
        #expect(await one.ask("chat.test.where", ["a": 2]) == "chat-2", "and nothing is held up any more")
    }

    @Test @Loop func aRuleThatNeverChoosesIsAnsweredForAtTheDeadline() async throws {
        let door = Door()
        let world = try await World { app in
            app.route("chat") { request in
                if request.body.contains(UInt8(ascii: "!")) { await door.pass() }
                return "chat-1"
            }
        }
        let socket = try await world.client()
        let ids = ["!", "behind"].map { socket.request("chat.test.where", Array($0.utf8)) }
        await world.cluster.advance(by: .seconds(29), step: .milliseconds(500))
        #expect(ids.allSatisfy { socket.texts($0) == [] })
        await world.cluster.advance(by: .seconds(2), step: .milliseconds(500))
        #expect(ids.allSatisfy { socket.texts($0) == [#"{"code":500}"#] })
        #expect(await socket.ask("chat.test.where") == "chat-1", "later requests go on")
        #expect(world.journal.entries == ["{}"], "who was answered for is not served")
        door.open()
    }

    @Test @Loop func aCallForASessionAsksARuleThatWaits() async throws {
        let world = try await World { app in
            app.route("chat") { request in
                await Loop.yield()
                return request.session.get("room")?.string == "far" ? "chat-3" : "chat-1"
            }
        }
        let session = try #require((try await world.client(room: "far")).session)
        let copy = world.app.backendSessionService.copy(of: session)
        #expect(try await world.app.rpc.call(Self.whereami, Nothing(), for: copy) == "chat-3")
    }
}
