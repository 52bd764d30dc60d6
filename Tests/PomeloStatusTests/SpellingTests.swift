// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloStatus
import PomeloTesting
import TestHelpers
import Testing

/// `Zoë` in two spellings: two users in Redis, and so in memory.
@Suite struct SpellingTests {
    private static let one = UserID("Zo\u{e9}")
    private static let other = UserID("Zoe\u{301}")

    @Test @Loop func twoSpellingsAreTwoUsers() async throws {
        let world = try await World()
        let first = try await world.client("connector-1", Self.one)
        let second = try await world.client("connector-1", Self.other)
        await world.cluster.settle()
        #expect(try await world.push("for one", Self.one).queued == 1)
        #expect(first.texts == ["for one"] && second.texts.isEmpty)
        #expect(try await world.chat.getStatusByUids([Self.one, Self.other]).count == 2)
        _ = try await world.cluster["chat-1"].backendSessionService.kick("connector-1", byUid: Self.other)
        await world.cluster.settle()
        #expect(second.isClosed && !first.isClosed)
        #expect(try await world.chat.getStatusByUid(Self.one))
        #expect(try await world.chat.getStatusByUid(Self.other) == false)
        first.disconnect()
        await world.cluster.settle()
        #expect(try await world.chat.getStatusByUid(Self.one) == false, "no key stays behind")
    }

    @Test(arguments: ["connector-1", "connector-2"] as [ServerID])
    @Loop func refusingTellsThemApartOnEveryFrontend(second: ServerID) async throws {
        let world = try await World(policy: .refuse)
        let first = try await world.client("connector-1", Self.one)
        let socket = try await world.client(second, Self.other)
        #expect(first.kick == nil && socket.kick == nil)
        for uid in [Self.one, Self.other] {
            let again = try await world.client("connector-2")
            #expect(await failureCode { try await world.bind(again, uid, "connector-2") } == "binding")
        }
    }
}
