// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloStatus
import PomeloTesting
import TestHelpers
import Testing

/// One identity in the whole cluster: who may bind a user id.
@Suite struct ClaimTests {
    @Loop private func world(seed: UInt64 = 1) async throws -> World {
        let world = try await World(connectors: 3, seed: seed, policy: .refuse)
        return world
    }

    @Test @Loop func aBoundUserIsRefusedEverywhere() async throws {
        let world = try await world()
        let ann = try await world.client("connector-1", "ann")
        try await world.bind(ann, "ann")
        for frontend: ServerID in ["connector-1", "connector-2"] {
            let other = try await world.client(frontend)
            #expect(await failureCode { try await world.bind(other, "ann", frontend) } == "binding")
            try await world.bind(other, UserID("bob of \(frontend)"), frontend)
        }
        ann.disconnect()
        await world.cluster.settle()
        _ = try await world.client("connector-2", "ann")
        #expect(world.entries.holder(of: "ann")?.server == "connector-2")
    }

    @Test @Loop func anUnboundUserIsFree() async throws {
        let world = try await world()
        let ann = try await world.client("connector-1", "ann")
        try world.cluster["connector-1"].sessionService.unbind(try #require(ann.session).id, "ann")
        await world.cluster.settle()
        _ = try await world.client("connector-2", "ann")
        #expect(await failureCode { try await world.bind(ann, "ann") } == "binding")
    }

    @Test @Loop func aUserCanComeBackBeforeTheReleaseIsWritten() async throws {
        let world = try await world()
        world.faults.delay = .milliseconds(200)
        let first = try await world.client()
        let bound = world.begin(first, "ann")
        await world.cluster.advance(by: .milliseconds(500))
        #expect(bound.entries == ["none"])
        first.disconnect()
        await world.cluster.advance(by: .milliseconds(60))
        let second = try await world.client()
        let again = world.begin(second, "ann")
        for _ in 0..<60 {
            await world.cluster.advance(by: .milliseconds(50))
            guard !again.entries.isEmpty else { continue }
            #expect(world.entries.holder(of: "ann")?.session == second.session?.id)
        }
        #expect(again.entries == ["none"])
        #expect(try #require(second.session).uid == "ann")
    }

    // MARK: holders

    @Test @Loop func aGoneHolderLosesTheUserAtOnce() async throws {
        let world = try await world()
        _ = try await world.client("connector-1", "ann")
        world.cluster.crash("connector-1")
        _ = try await world.client("connector-2", "ann")
        #expect(world.entries.holder(of: "ann")?.server == "connector-2")
    }

    @Test @Loop func aFormerInstanceHoldsNothing() async throws {
        let world = try await world()
        _ = try await world.client("connector-1", "ann")
        let old = try #require(world.entries.holder(of: "ann"))
        world.cluster.crash("connector-1")
        try await world.start("connector-1")
        let store = MemoryStatusStore(world.entries)
        #expect(try store.claim("ann", old, gone: nil) == .granted)
        _ = try await world.client("connector-2", "ann")
    }

    @Test @Loop func aHolderThatDeniesLosesTheUserAtOnce() async throws {
        let world = try await world()
        let server = world.cluster["connector-1"]
        let stale = Holder(server: "connector-1", instance: server.instance, session: SessionID(77))
        _ = try MemoryStatusStore(world.entries).claim("ann", stale, gone: nil)
        _ = try await world.client("connector-2", "ann")
        _ = try MemoryStatusStore(world.entries).claim("bob", stale, gone: nil)
        _ = try await world.client("connector-1", "bob")
    }

    @Test @Loop func aHolderThatDoesNotAnswerLosesTheUserAfterHalfASecond() async throws {
        let world = try await world()
        _ = try await world.client("connector-1", "ann")
        world.cluster.network.freeze("connector-1")
        let other = try await world.client("connector-2")
        let outcome = world.begin(other, "ann", "connector-2")
        await world.cluster.advance(by: .milliseconds(480))
        #expect(outcome.entries == [])
        await world.cluster.advance(by: .milliseconds(60))
        #expect(outcome.entries == ["none"])
    }

    @Test @Loop func twoThatClaimAtOnceAreDecided() async throws {
        for seed in 0..<20 {
            let world = try await world(seed: UInt64(seed))
            world.faults.delay = .milliseconds(100)
            world.cluster.network.delay = .zero ... .milliseconds(40)
            var outcomes: [Journal<String>] = []
            for frontend: ServerID in ["connector-1", "connector-2", "connector-3", "connector-1"] {
                outcomes.append(world.begin(try await world.client(frontend), "ann", frontend))
            }
            await world.cluster.advance(by: .seconds(2))
            #expect(outcomes.flatMap(\.entries).sorted() == ["binding", "binding", "binding", "none"], "seed \(seed)")
        }
    }

    // MARK: an absent store

    @Test @Loop func withoutRedisNobodyIsBound() async throws {
        let world = try await world()
        world.faults.isDown = true
        let ann = try await world.client()
        #expect(await failureCode { try await world.bind(ann, "ann") } == "redisUnavailable")
        world.faults.isDown = false
        await world.cluster.advance(by: .seconds(1))
        try await world.bind(ann, "ann")
    }

    @Test(arguments: 0..<10)
    @Loop func aClaimIsDecidedInTimeOrFailsAndIsGivenBack(seed: Int) async throws {
        let world = try await world(seed: UInt64(seed))
        world.faults.delay = .seconds(3)
        let ann = try await world.client()
        let outcome = world.begin(ann, "ann")
        await world.cluster.advance(by: .milliseconds(1750))
        #expect(outcome.entries == [])
        await world.cluster.advance(by: .milliseconds(100))
        #expect(outcome.entries == ["redisUnavailable"])
        world.faults.delay = .zero
        await world.cluster.advance(by: .seconds(12), step: .milliseconds(50))
        #expect(world.entries.holder(of: "ann") == nil)
        _ = try await world.client("connector-2", "ann")
    }

    @Test @Loop func aSessionThatClosesDuringTheClaimGivesTheUserBack() async throws {
        let world = try await world()
        world.faults.delay = .milliseconds(300)
        let ann = try await world.client()
        let outcome = world.begin(ann, "ann")
        await world.cluster.advance(by: .milliseconds(100))
        ann.disconnect()
        await world.cluster.advance(by: .seconds(2))
        #expect(outcome.entries == ["noSession"] && world.entries.holder(of: "ann") == nil)
    }

    @Test @Loop func aClaimWhoseAnswerWasLostIsGivenBack() async throws {
        let world = try await world()
        world.faults.lostAnswersPerMille = 1000
        let ann = try await world.client()
        #expect(await failureCode { try await world.bind(ann, "ann") } == "redisUnavailable")
        world.faults.lostAnswersPerMille = 0
        await world.cluster.advance(by: .seconds(2))
        #expect(world.entries.holder(of: "ann") == nil)
    }

    /// Users come, go and come back at several servers while the store is slow and loses answers: never are two of them
    /// bound to one id, and in the end the store holds exactly who is bound.
    @Test(arguments: 0..<20)
    @Loop func neverTwoHolders(seed: Int) async throws {
        let world = try await world(seed: UInt64(seed))
        var random = SplitMix64(seed: UInt64(seed))
        world.faults.delay = .milliseconds(seed * 4)
        world.faults.lostAnswersPerMille = 100
        let users: [UserID] = ["ann", "bob"]
        var sockets: [(TestSocket, ServerID)] = []
        for _ in 0..<150 {
            let uid = users[Int(random.next() % 2)]
            switch random.next() % 5 {
            case 0, 1:
                let frontend = ServerID("connector-\(random.next() % 3 + 1)")
                let socket = try await world.client(frontend)
                sockets.append((socket, frontend))
                _ = world.begin(socket, uid, frontend)
            case 2:
                if let (socket, _) = sockets.randomElement(using: &random) { socket.disconnect() }
            case 3:
                if let (socket, frontend) = sockets.randomElement(using: &random),
                    let session = socket.session, let bound = session.uid, session.isOpen
                {
                    try world.cluster[frontend].sessionService.unbind(session.id, bound)
                    _ = world.begin(socket, uid, frontend)
                }
            default: world.faults.isDown = random.next() % 4 == 0
            }
            await world.cluster.advance(by: .milliseconds(Int64(random.next() % 80)))
            for uid in users {
                let holders = sockets.filter { $0.0.session?.uid == uid && $0.0.session?.isOpen == true }
                #expect(holders.count <= 1, "seed \(seed): \(uid) at \(holders.map(\.1))")
            }
        }
        world.faults.isDown = false
        world.faults.lostAnswersPerMille = 0
        await world.cluster.advance(by: .seconds(8), step: .milliseconds(50))
        for uid in users {
            let holder = sockets.first { $0.0.session?.uid == uid && $0.0.session?.isOpen == true }
            #expect(world.entries.holder(of: uid)?.server == holder?.1, "seed \(seed), \(uid)")
            #expect(world.entries.holder(of: uid)?.session == holder?.0.session?.id, "seed \(seed), \(uid)")
        }
    }
}
