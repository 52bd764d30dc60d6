// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Sessions found and acted on from another server than their own.
@Suite struct BackendSessionTests {
    @Test @Loop func kicksByUserTellTheReasonAndCountTheSessions() async throws {
        let world = try await ChannelWorld()
        let sockets = [try await world.user("ann", "connector-1"), try await world.user("ann", "connector-1")]
        let ids = sockets.compactMap(\.session?.id)
        let bob = try await world.user("bob", "connector-1")
        let service = world["chat-1"].backendSessionService
        #expect(try await service.get("connector-1", byUid: "ann").map(\.id) == ids)
        #expect(try await service.kick("connector-1", byUid: "ann", reason: "banned") == 2)
        #expect(sockets.map(\.kick) == ["banned", "banned"] && bob.kick == nil)
        #expect(try await service.kick("connector-1", byUid: "ann") == 0)
        #expect(try await service.get("connector-1", byUid: "ann").isEmpty)
    }

    @Test @Loop func sessionsAreBoundAndWrittenByTheirIds() async throws {
        let world = try await ChannelWorld()
        let socket = try world.client("connector-1")
        let session = try #require(socket.session)
        for server in ["chat-1", "connector-1"] as [ServerID] {
            let service = world[server].backendSessionService
            try await service.bind("connector-1", session.id, "ann")
            #expect(session.uid == "ann")
            try await service.push("connector-1", session.id, ["a": 1, "b": 2])
            try await service.push("connector-1", session.id, ["b": 3], removing: ["a"])
            #expect(session.settings == ["b": 3])
            #expect(await failureCode { try await service.unbind("connector-1", session.id, "bob") } == "binding")
            try await service.unbind("connector-1", session.id, "ann")
            #expect(session.uid == nil)
        }
        #expect(try await world["chat-1"].backendSessionService.kick("connector-1", session.id, reason: "bye"))
        #expect(socket.kick == "bye")
    }

    @Test @Loop func theOwnFrontendIsNotCalled() async throws {
        let world = try await ChannelWorld(chats: 0)
        let session = try #require(try await world.user("ann", "connector-1").session)
        let service = world["connector-1"].backendSessionService
        let calls = world.cluster.network.calls
        let copy = try #require(try await service.get("connector-1", session.id))
        copy.set("a", 1)
        try await copy.pushAll()
        #expect(session.get("a") == 1)
        #expect(try await service.get("connector-1", byUid: "ann").map(\.id) == [session.id])
        #expect(try await service.kick("connector-1", byUid: "ann") == 1)
        #expect(try await service.kick("connector-1", session.id) == false)
        #expect(world.cluster.network.calls == calls)
    }

    struct Mistake: Sendable, CustomTestStringConvertible {
        let frontend: ServerID
        let code: String
        let testDescription: String
    }

    /// "getByUid of undefined" was the answer to most of these.
    @Test(arguments: [
        Mistake(frontend: "nobody", code: "unknownServer", testDescription: "a server nobody knows"),
        Mistake(frontend: "chat-2", code: "notAFrontend", testDescription: "another backend"),
        Mistake(frontend: "chat-1", code: "notAFrontend", testDescription: "the backend itself"),
        Mistake(frontend: "connector-1", code: "unreachable", testDescription: "a frontend that has crashed"),
        Mistake(frontend: "connector-2", code: "unreachable", testDescription: "a frontend that does not answer"),
    ])
    @Loop func regressionAServerWithoutTheSessionIsAClearError(_ mistake: Mistake) async throws {
        let world = try await ChannelWorld(chats: 2)
        world.cluster.crash("connector-1")
        world.cluster.network.freeze("connector-2")
        let service = world["chat-1"].backendSessionService
        let calls: [@Loop @Sendable () async throws -> Void] = [
            { _ = try await service.get(mistake.frontend, SessionID(1)) },
            { _ = try await service.get(mistake.frontend, byUid: "ann") },
            { try await service.kick(mistake.frontend, SessionID(1)) },
            { try await service.kick(mistake.frontend, byUid: "ann") },
            { try await service.bind(mistake.frontend, SessionID(1), "ann") },
            { try await service.unbind(mistake.frontend, SessionID(1), "ann") },
            { try await service.push(mistake.frontend, SessionID(1), [:]) },
        ]
        let journal = Journal<String>()
        for call in calls { Loop.spawn { journal.note(await failureCode(call)) } }
        await world.cluster.advance(by: .milliseconds(2050))
        #expect(journal.entries == Array(repeating: mistake.code, count: calls.count))
    }
}
