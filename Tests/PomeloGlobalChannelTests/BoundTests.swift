// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloGlobalChannel

/// What is remembered and what waits has its bound, and beyond it the policy that the documents name.
@Suite struct BoundTests {
    @Test func theOldestOf65536WordsIsForgotten() {
        let ending = Ending(server: "connector-2", instance: "i", number: nil)
        var log = PresenceLog()
        let began = log.tick
        for number in 0..<PresenceLog.limit { log.noteComing("room", UserID("user-\(number)"), 0) }
        #expect(PresenceLog.limit == 65_536 && log.reaches(began))
        let isOvertaken = !log.gone("room", "user-0", ending, began: began)
        #expect(isOvertaken)
        log.noteComing("room", "one more", 0)
        // What was told since is not known any more: nothing older than that is passed on.
        #expect(!log.reaches(began) && log.reaches(log.tick))
        let isTold = log.gone("room", "user-0", ending, began: log.tick)
        #expect(isTold)
    }

    @Loop private func users(_ count: Int) -> [UserID: Ending] {
        let ending = Ending(server: "connector-2", instance: "i", number: nil)
        return Dictionary((0..<count).map { (UserID("user-\($0)"), ending) }) { first, _ in first }
    }

    @Test @Loop func whoseAbsenceWaitsBehind50000OthersIsAGap() async throws {
        let world = try await World(connectors: 3, chats: 2, tells: true) { $0.goneServerType = "chat" }
        let ann = try await world.client("connector-1", "ann")
        try await world.chat.add("room", "ann", "connector-1")
        // Nothing can be decided.
        world.cluster.network.freeze("connector-3")
        let judged = Journal<String>()
        let (chat, many, one) = (world.chat, users(50_000), users(1))
        Loop.spawn { judged.note("\(await chat.departures.judge("crowd", many)?.uids.count ?? 0)") }
        await world.cluster.settle()
        #expect(chat.departures.waiting == 50_000 && chat.departures.givenUp == 0)
        #expect(await chat.departures.judge("room", one) == nil)
        #expect(chat.departures.waiting == 50_000 && chat.departures.givenUp == 1)
        await world.cluster.advance(by: .seconds(2), step: .milliseconds(100))
        #expect(ann.pushes.count { $0.route == "onGap" } == 1)
        world.cluster.network.thaw("connector-3")
        await world.cluster.advance(by: .seconds(5), step: .milliseconds(100))
        #expect(judged.entries == ["50000"] && chat.departures.waiting == 0)
    }

    @Test(arguments: [1024, 1025]) @Loop func beyond1024ChannelsAFrontendIsToldOfAll(count: Int) async throws {
        let world = try await World(connectors: 2, tells: true)
        let ann = try await world.client("connector-1", "ann")
        try await world.chat.add("room", "ann", "connector-1")
        for number in 0..<count { world.chat.missed.note(ChannelName("other-\(number)"), at: "connector-1") }
        await world.cluster.advance(by: .seconds(2), step: .milliseconds(100))
        #expect(ann.pushes.count { $0.route == "onGap" } == (count > 1024 ? 1 : 0))
        #expect(world.chat.missed.count == 0)
    }

    /// A database whose keys never end.
    @Loop private final class EndlessRedis: RedisPort {
        let inside: FakeRedis
        private(set) var pages = 0

        init(_ inside: FakeRedis) { self.inside = inside }

        var isUp: Bool { true }

        func pipeline(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
            guard commands.first?.name == "SCAN" else { return try await inside.pipeline(commands) }
            pages += 1
            return [.array([.text("17"), .array([])])]
        }

        func run(
            _ script: RedisScript, keys: [String], args: [RedisArgument]
        ) async throws(RedisError) -> RedisReply { try await inside.run(script, keys: keys, args: args) }

        func observe(_ handler: @escaping @Loop (RedisEvent) -> Void) -> RedisObservation { inside.observe(handler) }
        func unobserve(_ observation: RedisObservation) { inside.unobserve(observation) }
    }

    @Test @Loop func aWalkEndsAfter10000Pages() async throws {
        let redis = EndlessRedis(FakeRedis(clock: ManualClock()))
        try await RedisChannelStore(redis: redis).cleanUp(
            "connector-2", instance: "i", proceed: {}, lost: { _, _ in })
        #expect(redis.pages == 10_000)
    }
}
