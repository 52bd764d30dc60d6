// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloGlobalChannel
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// The published copy: written behind, never ahead, healed when it was lost.
@Suite struct PublishingTests {
    @Loop private func world(_ users: UserID...) async throws -> World {
        let world = try await World(connectors: 1)
        for uid in users {
            _ = try await world.client("connector-1", uid)
            try await world.chat.add("room", uid, "connector-1")
        }
        await world.cluster.settle()
        return world
    }

    // MARK: outages

    /// What the store did not take is never reported as done.
    @Test @Loop func regression1AStoreFailureIsNeverASuccess() async throws {
        let world = try await world("ann")
        let bob = try await world.client("connector-1", "bob")
        world.faults.isDown = true
        try await world.chat.add("room", "bob", "connector-1")
        #expect(try await world.push("hello").queued == 2 && bob.texts == ["hello"])
        #expect(await world.members() == ["ann", "bob"])
        await world.cluster.settle()
        #expect(world["connector-1"].backlog == 1 && world.published() == ["ann"])
        let journal = Journal<String>()
        Loop.spawn {
            journal.note(await failureCode { try await world.chat.add("room", "bob", "connector-1", durable: true) })
        }
        await world.cluster.advance(by: .milliseconds(1500))
        #expect(journal.entries == ["redisUnavailable"])
        world.faults.isDown = false
        await world.cluster.advance(by: .seconds(1))
        #expect(world["connector-1"].backlog == 0 && world.published() == ["ann", "bob"])
    }

    @Test @Loop func aDurableAddReturnsWhenItIsPublished() async throws {
        let world = try await world()
        world.faults.delay = .milliseconds(300)
        _ = try await world.client("connector-1", "ann")
        let journal = Journal<String>()
        Loop.spawn {
            journal.note(await failureCode { try await world.chat.add("room", "ann", "connector-1", durable: true) })
            journal.note("\(world.published())")
            journal.note(await failureCode { try await world.chat.leave("room", "ann", "connector-1", durable: true) })
            journal.note("\(world.published())")
        }
        await world.cluster.advance(by: .milliseconds(250))
        #expect(journal.entries == [])
        await world.cluster.advance(by: .milliseconds(1000))
        #expect(journal.entries == ["none", "[ann]", "none", "[]"])
    }

    @Test @Loop func stormsOfAddsAndLeavesCollapse() async throws {
        let world = try await world("ann", "bob")
        world.faults.delay = .milliseconds(100)
        let writes = world.faults.writes
        for _ in 0..<200 {
            try await world.chat.leave("room", "ann", "connector-1")
            try await world.chat.add("room", "ann", "connector-1")
            try await world.chat.leave("room", "bob", "connector-1")
        }
        await world.cluster.advance(by: .milliseconds(400))
        #expect(world.published() == ["ann"] && world.faults.writes - writes <= 3)
        #expect(world["connector-1"].backlog == 0)
    }

    @Test @Loop func anOutageOfManyChangesLeavesABacklogOfWhatDiffers() async throws {
        let world = try await world("ann", "bob")
        world.faults.isDown = true
        for round in 0..<500 {
            let channel = ChannelName("room-\(round % 5)")
            try await world.chat.add(channel, "ann", "connector-1")
            try await world.chat.leave(channel, "ann", "connector-1")
        }
        try await world.chat.add("hall", "bob", "connector-1")
        await world.cluster.advance(by: .seconds(3), step: .milliseconds(100))
        #expect(world["connector-1"].backlog == 6)
        world.faults.isDown = false
        await world.cluster.advance(by: .seconds(1))
        #expect(world.published("hall") == ["bob"] && world.published("room-1") == [])
    }

    @Test @Loop func whatIsLeftIsPublishedAtTheStop() async throws {
        let world = try await world("ann", "bob")
        world.faults.delay = .milliseconds(50)
        let stop = Journal<String>()
        Loop.spawn {
            await world.cluster.stop("connector-1")
            stop.note("stopped")
        }
        await world.cluster.advance(by: .milliseconds(500))
        #expect(stop.entries == ["stopped"] && world.published() == [])
    }

    @Test(arguments: 0..<10)
    @Loop func theStopWaitsForWhatIsUnderWay(seed: Int) async throws {
        let world = try await World(connectors: 1, seed: UInt64(seed))
        world.faults.delay = .milliseconds(200)
        _ = try await world.client("connector-1", "ann")
        try await world.chat.add("room", "ann", "connector-1")
        await world.cluster.settle()
        Loop.spawn { await world.cluster.stop("connector-1") }
        await world.cluster.advance(by: .seconds(1))
        #expect(world.published() == [])
    }

    @Test @Loop func aStopWithoutRedisEnds() async throws {
        let world = try await world("ann")
        world.faults.isDown = true
        await world.cluster.stop("connector-1")
        #expect(world.published() == ["ann"])
    }

    // MARK: healing

    @Test @Loop func nothingLostNothingWritten() async throws {
        let world = try await world("ann", "bob")
        let writes = world.faults.writes
        world.cluster.redisReturned()
        await world.cluster.advance(by: .seconds(5), step: .milliseconds(100))
        #expect(world.faults.writes == writes)
    }

    /// More channels than the sweep looks at in that time.
    private var manyRooms: [ChannelName] { (0..<1000).map { ChannelName("room-\($0)") } }

    /// A flush that comes before anybody has looked must not hide the loss behind its own sequence.
    @Test(arguments: ["when told", "at the next flush", "at a flush before it is told"])
    @Loop func anEmptiedRedisIsFilledAgainWithinTwoSeconds(_ noticed: String) async throws {
        let world = try await world("ann", "bob")
        for room in manyRooms { try await world.chat.add(room, "ann", "connector-1") }
        await world.cluster.settle()
        world.entries.removeAll()
        if noticed != "when told" { try await world.chat.add("hall", "bob", "connector-1") }
        await world.cluster.settle()
        if noticed != "at the next flush" { world.cluster.redisReturned() }
        await world.cluster.advance(by: .milliseconds(2100))
        #expect(world.published() == ["ann", "bob"])
        #expect(manyRooms.allSatisfy { world.published($0) == ["ann"] })
    }

    @Test @Loop func olderDataIsBroughtUpToDate() async throws {
        let world = try await world("ann", "bob")
        try await world.chat.add("hall", "ann", "connector-1")
        try await world.chat.add("quiet", "bob", "connector-1")
        await world.cluster.settle()
        let old = world.entries.copy()
        try await world.chat.leave("hall", "ann", "connector-1")
        try await world.chat.leave("room", "bob", "connector-1")
        try await world.chat.add("new", "bob", "connector-1")
        await world.cluster.settle()
        world.entries.restore(old)
        let writes = world.faults.writes
        world.cluster.redisReturned()
        await world.cluster.advance(by: .milliseconds(1200))
        #expect(world.published("room") == ["ann"] && world.published("new") == ["bob"])
        #expect(world.published("hall") == [] && world.published("quiet") == ["bob"])
        #expect(world.faults.writes - writes <= 3)
    }

    @Test @Loop func aRemovedKeyAndAForeignMemberAreRepairedByTheSweep() async throws {
        let world = try await world("ann", "bob")
        let foreign = world.stores["connector-1"]
        _ = try foreign?.publish(
            ChannelBatch(
                changes: [
                    .init(channel: "room", added: [], count: 0, replaces: true),
                    .init(channel: "ghosts", added: ["gone"], count: 1),
                ], sequence: 1000))
        await world.cluster.advance(by: .seconds(3), step: .milliseconds(100))
        #expect(world.published() == ["ann", "bob"] && world.published("ghosts") == [])
    }

    @Test @Loop func aLossInTheMiddleOfHealingIsHealedToo() async throws {
        let world = try await world("ann")
        for number in 0..<30 { try await world.chat.add(ChannelName("room-\(number)"), "ann", "connector-1") }
        await world.cluster.settle()
        world.faults.delay = .milliseconds(100)
        world.entries.removeAll()
        world.cluster.redisReturned()
        await world.cluster.advance(by: .milliseconds(1000))
        world.entries.removeAll()
        world.faults.isDown = true
        await world.cluster.advance(by: .milliseconds(700))
        world.faults.isDown = false
        world.cluster.redisReturned()
        await world.cluster.advance(by: .seconds(4))
        for number in 0..<30 { #expect(world.published(ChannelName("room-\(number)")) == ["ann"]) }
    }

    /// A store that says less than it was told, or is slow, or loses answers: the copy is never older than it was, and
    /// equals the owner's memory in the end.
    @Test(arguments: 0..<25)
    @Loop func anOlderStateIsNeverWrittenOverANewerOne(seed: Int) async throws {
        let world = try await World(connectors: 1, seed: UInt64(seed))
        var random = SplitMix64(seed: UInt64(seed))
        world.faults.delay = .milliseconds(seed * 3)
        world.faults.lostAnswersPerMille = 150
        let store = try #require(world.stores["connector-1"])
        let users: [UserID] = ["ann", "bob", "cid", "dan"]
        let rooms: [ChannelName] = ["room", "hall", "yard"]
        var sockets: [UserID: TestSocket] = [:]
        var last: UInt64 = 0
        for step in 0..<120 {
            let uid = users[Int(random.next() % 4)]
            let room = rooms[Int(random.next() % 3)]
            switch random.next() % 6 {
            case 0, 1:
                if sockets[uid]?.isClosed != false { sockets[uid] = try await world.client("connector-1", uid) }
                try await world.chat.add(room, uid, "connector-1")
            case 2: try await world.chat.leave(room, uid, "connector-1")
            case 3: sockets[uid]?.disconnect()
            case 4: world.faults.isDown = step < 100 && random.next() % 3 == 0
            default: world.cluster.redisReturned()
            }
            await world.cluster.advance(by: .milliseconds(Int64(random.next() % 60)))
            let held = store.publishedSequence() ?? 0
            #expect(held >= last)
            last = held
        }
        world.faults.isDown = false
        world.faults.lostAnswersPerMille = 0
        await world.cluster.advance(by: .seconds(6), step: .milliseconds(50))
        for room in rooms {
            let members = await world.members(room)
            #expect(world.published(room) == members, "seed \(seed), \(room)")
        }
        #expect(world["connector-1"].backlog == 0)
    }

    // MARK: the store's life

    /// A store without a start of its own is used as it is.
    @Test @Loop func regression3AStoreNeedsNoStart() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 0))
        let store = PlainStore()
        try await cluster.start("connector-1") { try $0.use(GlobalChannel(store: store)) }
        let socket = try #require(cluster.connect("connector-1"))
        let app = cluster["connector-1"]
        try await app.sessionService.bind(try #require(socket.session).id, "ann")
        try await app.globalChannel.add("room", "ann", "connector-1", durable: true)
        #expect(store.batches.count == 1)
    }

    /// The first error wins, and a store that did not start is not cleaned.
    @Test @Loop func regression4AFailedStartIsToldAsItIs() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 0))
        let store = PlainStore()
        store.startError = Fault(7, "no connection")
        var options = GlobalChannel.Options()
        options.cleanOnStartUp = true
        #expect(
            await failureCode {
                try await cluster.start("connector-1") { try $0.use(GlobalChannel(store: store, options: options)) }
            } == "fault 7: no connection")
        #expect(store.cleans == 0)
        store.startError = nil
        try await cluster.start("connector-1") { try $0.use(GlobalChannel(store: store, options: options)) }
        #expect(store.cleans == 1)
    }

    @Test @Loop func aStoreUnderLeasesNeedsACluster() throws {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 0))
        let store = PlainStore()
        store.needsMembership = true
        let error = try #require(throws: PomeloError.self) {
            try cluster.make("connector-1") { app in
                app.membership = nil
                try app.use(GlobalChannel(store: store))
            }
        }
        #expect(error.code == .configuration && error.message.contains("Cluster"))
    }
}

/// The least a store can be.
@Loop private final class PlainStore: ChannelStore {
    var needsMembership = false
    var startError: Fault?
    private(set) var batches: [ChannelBatch] = []
    private(set) var cleans = 0

    func start(_ owner: StoreOwner) async throws {
        if let startError { throw startError }
    }

    func publish(_ batch: ChannelBatch) -> PublishedBatch {
        defer { batches.append(batch) }
        return PublishedBatch(counts: [:], previous: batches.last?.sequence)
    }

    func members(of channel: ChannelName, at server: ServerID) -> [UserID] { [] }
    func channels() -> [ChannelName] { [] }
    func counts(of channels: [ChannelName]) -> [ChannelName: Int] { [:] }
    func publishedSequence() -> UInt64? { batches.last?.sequence }
    func destroy(_ channel: ChannelName, at servers: [ServerID]) {}
    func clean() { cleans += 1 }
    func cleanUp(
        _ server: ServerID, instance: InstanceID, proceed: @escaping @Loop () async throws -> Void,
        lost: @escaping @Loop (ChannelName, [UserID]) async -> Void
    ) {}
}
