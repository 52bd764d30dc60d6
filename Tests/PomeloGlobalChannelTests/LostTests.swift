// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloGlobalChannel
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Members of a server that is gone.
@Suite struct LostTests {
    @Loop private func world(
        type: ServerType? = "chat", _ journals: [ServerID: Journal<String>]
    ) async throws -> World {
        let world = try await World(connectors: 3, chats: 2, onLost: journals) { $0.goneServerType = type }
        for (uid, frontend): (UserID, ServerID) in [
            ("ann", "connector-1"), ("bob", "connector-1"), ("cid", "connector-2"),
        ] {
            _ = try await world.client(frontend, uid)
            for channel: ChannelName in ["room", "hall"] { try await world.chat.add(channel, uid, frontend) }
        }
        await world.cluster.settle()
        return world
    }

    @Loop private func journals() -> [ServerID: Journal<String>] {
        let ids: [ServerID] = ["chat-1", "chat-2", "connector-2", "connector-3"]
        return Dictionary(uniqueKeysWithValues: ids.map { ($0, Journal<String>()) })
    }

    /// Members of a crashed frontend do not stay, and their end is told once per channel.
    @Test @Loop func regression6MembersOfACrashedFrontendEnd() async throws {
        let journals = journals()
        let world = try await world(journals)
        world.cluster.crash("connector-1")
        try await world.cluster.endLease(of: "connector-1")
        await world.cluster.settle(turns: 200)
        let told = journals.values.flatMap(\.entries).sorted()
        #expect(told == ["hall [ann, bob] connector-1", "room [ann, bob] connector-1"])
        #expect(journals["connector-2"]?.entries == [] && journals["connector-3"]?.entries == [])
        #expect(world.published() == [] && world.published("room", "connector-2") == ["cid"])
        #expect(await world.chat.getMembersByChannelName("connector", "room").uids == ["cid"])
        try await world.cluster.endLease(of: "connector-1")
        await world.cluster.settle(turns: 200)
        #expect(journals.values.flatMap(\.entries).count == 2)
    }

    @Test @Loop func withoutAServerOfTheTypeTheOneThatCleansUpHearsOfIt() async throws {
        for type: ServerType? in [nil, "area"] {
            let journals = journals()
            let world = try await world(type: type, journals)
            world.cluster.crash("connector-1")
            try await world.cluster.endLease(of: "connector-1")
            await world.cluster.settle(turns: 200)
            #expect(journals["chat-1"]?.entries.count == 2)
            #expect(journals.values.flatMap(\.entries).count == 2)
        }
    }

    @Test @Loop func aListenerThatDoesNotAnswerIsReplacedByTheOneThatCleansUp() async throws {
        let journals = journals()
        let world = try await world(journals)
        for id: ServerID in ["chat-1", "chat-2"] { world.cluster.network.freeze(id) }
        let done = Journal<String>()
        let instance = world.cluster["connector-1"].instance
        world.cluster.crash("connector-1")
        Loop.spawn {
            let cleaner = world["connector-2"]
            done.note(await failureCode { try await cleaner.cleanUp("connector-1", instance: instance) {} })
        }
        await world.cluster.advance(by: .seconds(12), step: .milliseconds(100))
        #expect(done.entries == ["none"])
        let told = Set(journals.values.flatMap(\.entries))
        #expect(told == ["hall [ann, bob] connector-1", "room [ann, bob] connector-1"])
    }

    @Test @Loop func aRestartAtOnceHasNoneOfTheOldMembers() async throws {
        let world = try await world(journals())
        world.cluster.crash("connector-1")
        try await world.start("connector-1")
        #expect(await world.chat.getMembersByChannelName("connector", "room").uids == ["cid"])
        #expect(world.published() == [])
        let ann = try await world.client("connector-1", "ann")
        try await world.chat.add("room", "ann", "connector-1")
        #expect(try await world.push("hello").queued == 2 && ann.texts == ["hello"])
        await world.cluster.settle()
        #expect(world.published() == ["ann"])
    }
}
