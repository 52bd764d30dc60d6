// SPDX-License-Identifier: MIT
import PomeloCluster
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

/// Candidates for one office, each with what was called.
@Loop final class Candidate {
    let election: Election
    private(set) var events: [String] = []

    init(_ name: String, _ redis: any RedisPort, _ clock: any LoopClock, term: Duration = .seconds(10)) {
        election = Election(
            "master", RedisElectionStore(redis, cluster: "test"), as: name, term: term, clock: clock,
            random: RandomSource(seed: UInt64(name.utf8.first ?? 0)), logger: quiet)
        election.onElected = { [weak self] token in self?.events.append("elected \(token)") }
        election.onEnded = { [weak self] in self?.events.append("ended") }
        election.stand()
    }

    var token: UInt64? { election.token }
}

@Suite(.onEachLayout) struct ElectionTests {
    @Loop private final class World {
        let clock = ManualClock()
        let redis: FakeRedis
        private(set) var clients: [FakeRedisClient] = []

        init() { redis = FakeRedis(clock: clock, isCluster: RedisLayout.current.isCluster) }

        func candidate(_ name: String) async -> Candidate {
            clients.append(redis.client())
            let candidate = Candidate(name, clients[clients.count - 1], clock)
            await clock.pass(.milliseconds(100))
            return candidate
        }
    }

    @Test @Loop func oneOfThemIsElectedAndStays() async throws {
        let world = World()
        let (first, second) = (await world.candidate("a"), await world.candidate("b"))
        let token = try #require(first.token)
        for _ in 0..<60 {
            await world.clock.pass(.seconds(1))
            #expect(first.token == token && second.token == nil)
        }
        #expect(first.events == ["elected \(token)"] && second.events.isEmpty)
        #expect(second.election.holder == first.election.candidate)
    }

    @Test @Loop func anotherFollowsWithinATermAndASecondAfterADeath() async throws {
        let world = World()
        let (first, second) = (await world.candidate("a"), await world.candidate("b"))
        let token = try #require(first.token)
        world.clients[0].cut()
        await world.clock.pass(.seconds(9))
        #expect(second.token == nil)
        await world.clock.pass(.seconds(2))
        #expect(try #require(second.token) > token)
    }

    @Test @Loop func anotherFollowsWithinASecondAfterAResignation() async throws {
        let world = World()
        let (first, second) = (await world.candidate("a"), await world.candidate("b"))
        await first.election.resign()
        #expect(first.token == nil && first.events.last == "ended")
        await world.clock.pass(.milliseconds(1100))
        #expect(second.token != nil)
        await world.clock.pass(.seconds(30))
        #expect(first.token == nil)
    }

    /// A store that answers when it is told to.
    @Loop private final class SlowStore: ElectionStore {
        private(set) var calls: [String] = []
        private var waiting: [CheckedContinuation<Void, Never>] = []

        func stand(
            for office: String, _ candidate: String, term: Duration, above token: UInt64
        ) async throws -> ElectionAnswer {
            await withCheckedContinuation { waiting.append($0) }
            calls.append("stand")
            return .elected(token: 1)
        }

        func resign(_ office: String, _ candidate: String) async throws { calls.append("resign \(candidate)") }

        func answer() {
            for waiter in waiting { waiter.resume() }
            waiting = []
        }
    }

    @Test @Loop func whoResignsWhileAnAnswerIsOnItsWayGivesBackWhatThatBrings() async throws {
        let (clock, store) = (ManualClock(), SlowStore())
        let election = Election(
            "master", store, as: "a", clock: clock, random: RandomSource(seed: 1), logger: quiet)
        election.stand()
        await settle()
        let first = election.candidate
        for _ in 0..<2 { Loop.spawn { await election.resign() } }
        await settle()
        store.answer()
        await settle()
        #expect(store.calls == ["stand", "resign \(first)"] && election.token == nil && election.holder == nil)
        // What was sent to resign may be late: it must not end the next term.
        election.stand()
        #expect(election.candidate != first)
    }

    /// Nobody else may hold it before, and the timer that would tell may be late.
    @Test @Loop func aTermEndsByOnesOwnClockBeforeAnotherBegins() async throws {
        let world = World()
        let (first, second) = (await world.candidate("a"), await world.candidate("b"))
        world.clients[0].cut()
        var last = world.clock.now
        while second.token == nil, world.clock.now < 20_000_000_000 {
            if first.token != nil { last = world.clock.now }
            await world.clock.pass(.milliseconds(10))
            #expect(first.token == nil || second.token == nil)
        }
        #expect(second.token != nil && first.events.last == "ended")
        #expect(world.clock.now - last < 2_000_000_000)
    }

    @Test @Loop func anOutageEndsTheTermAndTheSameOneMayBeElectedAgain() async throws {
        let world = World()
        let first = await world.candidate("a")
        let token = try #require(first.token)
        world.redis.down()
        await world.clock.pass(.seconds(11))
        #expect(first.token == nil && first.events == ["elected \(token)", "ended"])
        world.redis.up()
        await world.clock.pass(.seconds(2))
        #expect(try #require(first.token) > token)
    }

    /// The counter goes with the data; the time does not.
    @Test @Loop func tokensRiseAlsoWhenTheStoreHasLostAll() async throws {
        let world = World()
        let (first, second) = (await world.candidate("a"), await world.candidate("b"))
        let token = try #require(first.token)
        world.redis.down()
        world.redis.up(empty: true)
        await world.clock.pass(.seconds(12))
        let tokens = [first.token, second.token].compactMap { $0 }
        #expect(tokens.count == 1 && tokens.allSatisfy { $0 > token })
    }

    @Test @Loop func whoHearsOfAHigherTokenStandsAboveIt() async throws {
        let world = World()
        let first = await world.candidate("a")
        let token = try #require(first.token)
        first.election.met(token)
        first.election.met(.max)
        #expect(first.token == token)
        first.election.met(token + 1_000_000_000)
        #expect(first.token == nil && first.events.last == "ended")
        await world.clock.pass(.seconds(5))
        #expect(try #require(first.token) > token + 1_000_000_000)
    }

    /// Somebody has looked into Redis, and left it so.
    @Test @Loop func aTermWithoutAnEndGetsOne() async throws {
        let world = World()
        try await world.redis.send(
            RedisCommand("HSET", "pomelo:{test}:elect:master", "owner", "nobody", "token", 5))
        let first = await world.candidate("a")
        #expect(first.election.holder == "nobody")
        await world.clock.pass(.seconds(12))
        #expect(first.token != nil)
    }

    @Test @Loop func anAnswerThatIsNoneIsAFault() async throws {
        let world = World()
        try await world.redis.send(RedisCommand("SET", "pomelo:{test}:elect:master", "text"))
        let first = await world.candidate("a")
        await world.clock.pass(.seconds(5))
        #expect(first.token == nil)
        try await world.redis.send(RedisCommand("DEL", "pomelo:{test}:elect:master"))
        await world.clock.pass(.seconds(2))
        #expect(first.token != nil)
    }

    @Test @Loop func tokensAreRefusedBelowTheHighest() {
        let tokens = FencingTokens()
        #expect(tokens.admit(5, of: "master") && tokens.admit(5, of: "master"))
        #expect(!tokens.admit(4, of: "master") && tokens.admit(4, of: "probing"))
        #expect(tokens.admit(9, of: "master") && !tokens.admit(8, of: "master"))
        #expect(!tokens.admit(.max, of: "master"), "it would keep all others out")
        #expect(tokens.highest(of: "master") == 9 && tokens.highest(of: "none") == 0)
    }

    @Test @Loop func whatAnOfficeMustBeIsSaid() async throws {
        let cluster = MemoryCluster()
        let member = try await cluster.started("a", port: 1)
        let application = try #require(member.application)
        for (office, term) in [("", 10), ("a:fence", 10), ("a", 0)] {
            #expect(throws: PomeloError.self) { try application.election(office, term: .seconds(term)) }
        }
        let election = try application.election("probing")
        #expect(try application.election("probing") === election, "a server has one candidate")
        #expect(throws: PomeloError.self) { try application.election("probing", term: .seconds(5)) }
        election.stand()
        await cluster.clock.pass(.milliseconds(100))
        #expect(election.token != nil)
        try await cluster.clock.drive { await member.stop() }
        #expect(election.token == nil)
        #expect(try await cluster.redis.send(RedisCommand("EXISTS", "pomelo:{test}:elect:probing")).int == 0)
    }
}

extension WithRedis {
    @Suite("elections", .serialized, .onEachRedis(.standalone, .sentinel)) struct RealElectionTests {
        @Test @Loop func theOfficePassesOn() async throws {
            try await withRedis { _, redis in
                let first = Candidate("a", redis, SystemClock.shared, term: .seconds(1))
                await until("the first is elected") { first.token != nil }
                let second = Candidate("b", redis, SystemClock.shared, term: .seconds(1))
                await until("the second knows") { second.election.holder == first.election.candidate }
                let token = try #require(first.token)
                await first.election.resign()
                await until("the second is elected") { second.token != nil }
                #expect(try #require(second.token) > token)
                await second.election.resign()
            }
        }
    }
}
