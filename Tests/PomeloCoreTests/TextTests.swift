// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloCore

/// Two spellings that Swift's `String` takes for one; clients and Redis do not.
private let composed = "Zo\u{e9}"
private let spelled = "Zoe\u{301}"
/// Marks that no character stands before, in an order whose normal form takes long to find.
private let marks = String(repeating: "\u{301}\u{316}", count: 20_000)

/// Names, routes and settings are compared by their bytes and cut at their bytes.
@Suite struct TextTests {
    private func areTwo<Name: Identifier>(_ type: Name.Type) -> Bool {
        let (one, other) = (Name(composed), Name(spelled))
        return one != other && Set([one, other, one]).count == 2 && [one: 1, other: 2].count == 2
            && other < one && !(one < other) && [one, other].sorted() == [other, one]
    }

    @Test func identifiersAreTheirBytes() {
        #expect(areTwo(ServerID.self) && areTwo(ServerType.self) && areTwo(InstanceID.self))
        #expect(areTwo(UserID.self) && areTwo(ChannelName.self))
        #expect(UserID(composed) != UserID(spelled) && UserID(composed) == UserID("Zo\u{e9}"))
    }

    @Test(.timeLimit(.minutes(1))) func hostileIdentifiersAreComparedInLinearTime() {
        let long = String(repeating: marks, count: 12)
        let names = [long, long + "x", "x" + long, long].map { UserID($0) }
        #expect(Set(names).count == 3 && names[0] == names[3] && names.sorted()[0] == names[2])
        let routes = [Route("a.b." + long), Route("a.b." + long + "x")]
        #expect(Set(routes).count == 2 && routes[0].isComplete)
    }

    @Test(arguments: [
        ("chat.\u{301}handler.send", "chat", "send"), ("chat.handler.\u{301}send", "chat", "\u{301}send"),
        ("\u{301}chat.handler.send", "\u{301}chat", "send"), ("chat\u{301}.a.b", "chat\u{301}", "b"),
    ])
    func routesAreCutAtTheBytesOfTheirDots(text: String, type: String, method: String) {
        let route = Route(text)
        #expect(route.isComplete && route.serverType == ServerType(type) && Text(route.method) == Text(method))
    }

    @Test(arguments: ["chat", "chat.handler", "chat..send", ".a.b", "a.b.", "a.b.c.d", "a.b.c.d.e", "..", "...", ""])
    func routesOfOtherFormsAreIncomplete(text: String) {
        #expect(!Route(text).isComplete && Route(text).method.isEmpty)
        #expect(Route(text).text == text)
    }

    @Test @Loop func routesOfTwoSpellingsAreServedApart() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 0))
        try await cluster.start("connector-1") { app in
            try app.handle(
                Routes {
                    $0.on(raw: "connector.\(composed).x") { _, _ in Bytes("1".utf8) }
                    $0.on(raw: "connector.\(spelled).x") { _, _ in Bytes("2".utf8) }
                    $0.on(raw: "connector.\u{301}room.x") { _, _ in Bytes("3".utf8) }
                })
        }
        let socket = try #require(cluster.connect("connector-1"))
        #expect(await socket.ask("connector.\(composed).x") == "1")
        #expect(await socket.ask("connector.\(spelled).x") == "2")
        #expect(await socket.ask("connector.\u{301}room.x") == "3")
    }

    @Test @Loop func proceduresOfTwoSpellingsAreTwo() async {
        let table = ProcedureTable()
        table.immediate(Procedure(remote: composed)) { _, _ in [1] }
        table.immediate(Procedure(remote: spelled)) { _, _ in [2] }
        var replies: [Bytes] = []
        for name in [composed, spelled] {
            table.run(Procedure(remote: name), RPCCaller(server: "a", instance: "i", deadline: 0), []) {
                if case .success(let bytes) = $0 { replies.append(bytes) }
            }
        }
        #expect(replies == [[1], [2]])
    }

    @Test @Loop func settingsOfTwoSpellingsAreTwo() async throws {
        let world = try await ChannelWorld()
        let socket = try await world.user("ann", "connector-1")
        let id = try #require(socket.session).id
        let copy = try #require(try await world["chat-1"].backendSessionService.get("connector-1", id))
        copy.set(composed, 1)
        copy.set(spelled, 2)
        try await copy.pushAll()
        copy.remove(composed)
        try await copy.pushAll()
        let session = try #require(world["connector-1"].sessionService.get(id))
        #expect(session.get(composed) == nil && session.get(spelled) == 2)
    }

    @Test @Loop func pushesReachOneOfTwoSpellings() async throws {
        let world = try await ChannelWorld()
        let one = try await world.user(UserID(composed), "connector-1")
        let other = try await world.user(UserID(spelled), "connector-1")
        let channel = world.channel("room", (UserID(composed), "connector-1"))
        let report = try await channel.pushMessage(ChannelWorld.hello, "hi")
        #expect(report.queued == 1 && one.pushes.count == 1 && other.pushes.isEmpty)
        let kicked = try await world["chat-1"].backendSessionService.kick("connector-1", byUid: UserID(spelled))
        #expect(kicked == 1 && other.isClosed && !one.isClosed)
        #expect(channel.getMembers() == [UserID(composed)])
    }

    // MARK: limits of what is framed

    @Test @Loop func aPushThatNoClientCanBeSentIsAnErrorForItsSender() async throws {
        let world = try await ChannelWorld()
        try await world.user("ann", "connector-1")
        let channel = world.channel("room", ("ann", "connector-1"))
        let longest = String(repeating: "é", count: 127) + "x"
        #expect(try await channel.pushMessage(Push<String>(longest), "hi").queued == 1)
        for route in [longest + "x", ""] {
            let push = Push<String>(route)
            #expect(await failureCode { _ = try await channel.pushMessage(push, "hi") } == "encoding")
            let users: [(uid: UserID, frontend: ServerID)] = [("ann", "connector-1")]
            let service = world["chat-1"].channelService
            #expect(await failureCode { _ = try await service.pushMessageByUids(push, "hi", users) } == "encoding")
            #expect(await failureCode { _ = try await service.broadcast(to: "connector", push, "hi") } == "encoding")
            #expect(await failureCode { _ = try PushMessage(route: route, body: []) } == "encoding")
        }
        let large = Bytes(repeating: 0x20, count: Packet.maxBodyLength)
        #expect(await failureCode { _ = try PushMessage(route: "on", body: large) } == "encoding")
        _ = try PushMessage(route: "on", body: Bytes(repeating: 0x20, count: Packet.maxBodyLength - 4))
    }

    @Test @Loop func aReasonThatNoClientCanBeSentIsAnErrorForTheKicker() async throws {
        let world = try await ChannelWorld()
        let socket = try await world.user("ann", "connector-1")
        let id = try #require(socket.session).id
        let long = String(repeating: "x", count: Packet.maxBodyLength)
        for server in ["chat-1", "connector-1"] as [ServerID] {
            let sessions = world[server].backendSessionService
            #expect(await failureCode { _ = try await sessions.kick("connector-1", id, reason: long) } == "encoding")
            #expect(
                await failureCode { _ = try await sessions.kick("connector-1", byUid: "ann", reason: long) }
                    == "encoding")
        }
        #expect(!socket.isClosed)
    }

    // MARK: texts of peers and stores

    @Test func aPeersErrorIsReadByItsBytes() {
        let told = PomeloError(wire: "binding: \u{301}ann", otherwise: .noSession)
        #expect(told.code == .binding && Text(told.message) == "\u{301}ann")
        #expect(PomeloError(wire: "bindingx: a", otherwise: .noSession).code == .noSession)
        #expect(PomeloError(wire: marks, otherwise: .noSession).code == .noSession)
        #expect(PomeloError(wire: PomeloError(.overloaded, "a: b").wireText, otherwise: .noSession).message == "a: b")
    }

    @Test @Loop func channelsAndMembersWithMarksComeBackFromTheirStore() async throws {
        let store = MemoryLocalChannelStore()
        let world = try await ChannelWorld { if $0.serverID == "chat-1" { $0.channelService.store = store } }
        let names = ["\u{301}room", composed, spelled].map { ChannelName($0) }
        let users = ["\u{301}ann", composed, spelled].map { UserID($0) }
        for uid in users { try await world.user(uid, "connector-1") }
        for name in names { for uid in users { _ = world.channel(name, (uid, "connector-1")) } }
        await world.cluster.settle()
        #expect(store.sets.count == 4)
        world.cluster.crash("chat-1")
        try await world.cluster.start("chat-1") { $0.channelService.store = store }
        #expect(world["chat-1"].channelService.names == names.sorted())
        for name in names {
            #expect(world["chat-1"].channelService.getChannel(name)?.getMembers() == users.sorted())
        }
    }
}
