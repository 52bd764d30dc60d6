// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Sessions of a frontend that was started anew: what was meant for the old ones reaches none of the new.
@Suite struct SessionInstanceTests {
    /// A frontend whose client left a copy of its session at a chat server, and which has another client since.
    @Loop private struct Restarted {
        let world: ChannelWorld
        let copy: Session
        let newcomer: TestSocket
        var session: ClientSession { get throws { try #require(newcomer.session) } }

        init() async throws {
            world = try await ChannelWorld(connectors: 1)
            let old = try #require(try await world.user("ann", "connector-1").session)
            let service = world["chat-1"].backendSessionService
            copy = try #require(try await service.get("connector-1", old.id))
            world.cluster.crash("connector-1")
            try await world.cluster.start("connector-1")
            newcomer = try world.client("connector-1")
        }
    }

    struct Late: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var code = "replaced"
        var isBound = false
        let act: @Loop @Sendable (Session) async throws -> Void
    }

    @Test(arguments: [
        Late(testDescription: "bind") { try await $0.bind("eve") },
        Late(testDescription: "unbind", isBound: true) { try await $0.unbind() },
        Late(testDescription: "push") {
            $0.set("a", 1)
            try await $0.push("a")
        },
        Late(testDescription: "pushAll") {
            $0.set("a", 1)
            try await $0.pushAll()
        },
        Late(testDescription: "kick", code: "none") { try await $0.kick() },
    ])
    @Loop func aLateCallReachesNoSessionOfTheNextStart(_ late: Late) async throws {
        let restarted = try await Restarted()
        let session = try restarted.session
        if late.isBound { try await restarted.world["connector-1"].sessionService.bind(session.id, "ann") }
        #expect(await failureCode { try await late.act(restarted.copy) } == late.code)
        #expect(session.uid == (late.isBound ? "ann" : nil) && session.settings.isEmpty)
        #expect(session.isOpen && restarted.newcomer.kick == nil)
    }

    /// A user who has come back to the next start is not meant either.
    @Test(arguments: ["chat-1", "connector-1"] as [ServerID])
    @Loop func aLateCallByUserFindsNobodyOfTheNextStart(_ caller: ServerID) async throws {
        let restarted = try await Restarted()
        let former = restarted.copy.instance
        let session = try restarted.session
        try await restarted.world["connector-1"].sessionService.bind(session.id, "ann")
        let service = restarted.world[caller].backendSessionService
        #expect(try await service.kick("connector-1", byUid: "ann", instance: former) == 0)
        #expect(try await service.get("connector-1", byUid: "ann", instance: former).isEmpty)
        #expect(try await service.get("connector-1", session.id, instance: former) == nil)
        #expect(try await service.kick("connector-1", session.id, instance: former) == false)
        let bind: @Loop () async throws -> Void = {
            try await service.bind("connector-1", session.id, "x", instance: former)
        }
        #expect(await failureCode(bind) == "replaced")
        #expect(session.isOpen)
        let now = restarted.world["connector-1"].instance
        #expect(try await service.get("connector-1", byUid: "ann").map(\.instance) == [now])
        #expect(try await service.kick("connector-1", byUid: "ann", instance: now) == 1)
    }

    /// Also where nobody names an instance: the numbers of two starts have nothing in common.
    @Test @Loop func sessionIdsOfTwoStartsHaveNothingInCommon() async throws {
        let world = try await ChannelWorld(connectors: 1, chats: 0)
        var seen: Set<SessionID> = []
        for _ in 0..<20 {
            let ids = try (0..<50).map { _ in try #require(try world.client("connector-1").session).id }
            #expect(ids == ids.sorted() && ids.allSatisfy { $0.rawValue < 1 << 53 })
            #expect(seen.isDisjoint(with: ids))
            seen.formUnion(ids)
            world.cluster.crash("connector-1")
            try await world.cluster.start("connector-1")
        }
    }

    /// A forwarded request carries which start of the frontend its session is of.
    @Test @Loop func aForwardedRequestKnowsTheInstanceOfItsFrontend() async throws {
        let journal = Journal<String>()
        let world = try await ChannelWorld { app in
            guard app.serverType == "chat" else { return }
            let routes = Routes {
                $0.on(raw: "chat.test.who") { _, session in
                    journal.note("\(session.instance)")
                    return []
                }
            }
            try app.handle(routes)
        }
        try world.client("connector-1").request("chat.test.who", [])
        await world.cluster.settle()
        #expect(journal.entries == ["\(world["connector-1"].instance)"])
    }

    @Test(arguments: [
        (Procedure(1, "a"), "[1]"), (Procedure(1, "a").at("i1"), "[1]"), (Procedure(1, "a").at("i2"), "replaced"),
        (Procedure(1, "a").at(""), "[1]"), (Procedure(3, "c").at(""), "400"),
        (Procedure(2, "b").at("i1"), "unimplemented"),
        (Procedure(2, "b").at("i2"), "unimplemented"), (Procedure(remote: "a"), "unimplemented"),
        (Procedure(remote: ""), "unimplemented"), (Procedure(3, "c"), "400"), (Procedure(3, "c").at("i1"), "[2]"),
        (Procedure(3, "another word").at("i1"), "[2]"), (Procedure(3, "c").at("i2"), "replaced"),
        (Procedure(remote: "d"), "[3]"), (Procedure(remote: "d").at("i2"), "replaced"),
    ])
    @Loop func aProcedureIsAskedOfOneStartOfItsServer(_ procedure: Procedure, _ expected: String) {
        let table = ProcedureTable(instance: "i1")
        table.immediate(Procedure(1, "a")) { _, _ in [1] }
        table.immediate(Procedure(3, "c"), addressed: true) { _, _ in [2] }
        table.immediate(Procedure(remote: "d")) { _, _ in [3] }
        let journal = Journal<String>()
        table.run(procedure, RPCCaller(server: "x", instance: "x1", deadline: .max), []) { outcome in
            switch outcome {
            case .success(let reply): journal.note("\(reply)")
            case .failure(let error) where error.isReplaced: journal.note("replaced")
            case .failure(.failed(let code, _)): journal.note("\(code)")
            case .failure(.unimplemented): journal.note("unimplemented")
            case .failure(let error): journal.note("\(error)")
            }
        }
        #expect(journal.entries == [expected])
    }

    /// After a success the pauses between attempts are short again.
    @Test @Loop func failuresAreForgottenAfterASuccess() async throws {
        let world = try await ChannelWorld()
        let users = [try await world.user("ann", "connector-1"), try await world.user("bob", "connector-1")]
        let channel = world.channel("room", ("ann", "connector-1"), ("bob", "connector-1"))
        await world.cluster.settle()
        world.cluster.network.freeze("chat-1")
        users[0].disconnect()
        // Attempts of two seconds, and pauses of 250 ms, 500 ms, 1 s between them.
        await world.cluster.advance(by: .seconds(9))
        world.cluster.network.thaw("chat-1")
        await world.cluster.advance(by: .seconds(3))
        #expect(channel.getMembers() == ["bob"])
        world.cluster.network.freeze("chat-1")
        users[1].disconnect()
        await world.cluster.settle()
        let calls = world.cluster.network.calls
        await world.cluster.advance(by: .milliseconds(2400))
        #expect(world.cluster.network.calls == calls + 1, "tried again 250 ms after the first failure")
        world.cluster.network.thaw("chat-1")
        await world.cluster.advance(by: .seconds(3))
        #expect(channel.getMembers().isEmpty)
    }

    /// The asker of before is told nothing, and is not told on and on.
    @Test @Loop func theEndOfASessionIsNotToldToTheNextStartOfWhoAsked() async throws {
        let world = try await ChannelWorld()
        let ann = try await world.user("ann", "connector-1")
        _ = world.channel("room", ("ann", "connector-1"))
        await world.cluster.settle()
        world.cluster.crash("chat-1")
        try await world.cluster.start("chat-1")
        let calls = world.cluster.network.calls
        ann.disconnect()
        await world.cluster.advance(by: .seconds(30), step: .milliseconds(500))
        #expect(world.cluster.network.calls == calls)
    }
}
