// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloGlobalChannel

/// Two spellings of a name: two channels, two members.
@Suite struct SpellingTests {
    private static let one = "Zo\u{e9}"
    private static let other = "Zoe\u{301}"

    @Test @Loop func twoSpellingsAreTwoMembers() async throws {
        let world = try await World()
        let first = try await world.client("connector-1", UserID(Self.one))
        let second = try await world.client("connector-1", UserID(Self.other))
        try await world.chat.add("room", UserID(Self.one), "connector-1")
        #expect(try await world.push("a").queued == 1)
        try await world.chat.add("room", UserID(Self.other), "connector-1")
        #expect(try await world.push("b", except: [UserID(Self.one)]).queued == 1)
        await world.cluster.settle()
        #expect(world.published() == [UserID(Self.other), UserID(Self.one)])
        try await world.chat.leave("room", UserID(Self.other), "connector-1")
        #expect(await world.members() == [UserID(Self.one)])
        #expect(first.texts == ["a"] && second.texts == ["b"])
    }

    @Test @Loop func twoSpellingsAreTwoChannels() async throws {
        let world = try await World()
        let socket = try await world.client("connector-1", "ann")
        for name in [Self.one, "\u{301}room"] { try await world.chat.add(ChannelName(name), "ann", "connector-1") }
        #expect(try await world.push("a", ChannelName(Self.other)).queued == 0)
        #expect(try await world.push("b", ChannelName(Self.one)).queued == 1)
        #expect(try await world.push("c", "\u{301}room").queued == 1)
        #expect(socket.texts == ["b", "c"])
    }

    /// A star before a mark is one character, and to Redis still a star.
    @Test @Loop func patternsAreEscapedByScalars() {
        #expect(RedisCommand.pattern("a*\u{301}?[\u{316}") == "a\\*\u{301}\\?\\[\u{316}")
    }

    @Test @Loop func aPushThatNoClientCanBeSentIsAnErrorForItsSender() async throws {
        let world = try await World()
        _ = try await world.client("connector-1", "ann")
        try await world.chat.add("room", "ann", "connector-1")
        let long = Push<String>(String(repeating: "r", count: 256))
        let sent = await failureCode { _ = try await world.chat.pushMessage("connector", long, "hi", "room") }
        #expect(sent == "encoding")
    }
}
