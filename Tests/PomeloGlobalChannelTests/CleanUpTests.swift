// SPDX-License-Identifier: MIT
import Foundation
import PomeloBytes
import PomeloCluster
import PomeloCore
import PomeloGlobalChannel
import PomeloLoop
import PomeloPublication
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

/// What is left of a server that is gone, on a Redis in memory, under the plugins that servers use in earnest.
@Suite(.onEachLayout) struct CleanUpTests {
    @Loop private final class RedisWorld {
        let cluster = TestCluster(TestCluster.records(connectors: 2, chats: 1), hasRegistry: false)
        let redis: FakeRedis
        let lost = Journal<String>()
        private(set) var clients: [ServerID: FakeRedisClient] = [:]

        init() async throws {
            redis = FakeRedis(clock: cluster.clock, isCluster: RedisLayout.current.isCluster)
            for record in cluster.records { try await start(record.id) }
            await pass(1)
        }

        func start(_ id: ServerID) async throws {
            let client = redis.client()
            clients[id] = client
            try await cluster.start(id) { app in
                try app.use(Cluster(redis: client, messages: client))
                try app.use(GlobalChannel(redis: client))
                app.globalChannel.onGone { self.lost.note("\($0.channel) \($0.uids)") }
            }
        }

        func member(_ uid: UserID, _ channel: ChannelName, _ frontend: ServerID = "connector-1") async throws {
            _ = try await cluster.client(frontend, uid)
            try await cluster["chat-1"].globalChannel.add(channel, uid, frontend)
        }

        func crash(_ id: ServerID) {
            cluster.crash(id)
            clients[id]?.cut()
        }

        func pass(_ seconds: Double) async { await cluster.advance(by: .seconds(seconds), step: .milliseconds(50)) }

        func keys(_ pattern: String) async throws -> [String] {
            var keys: [String] = []
            for node in redis.nodes {
                try await node.forEachPage({ RedisCommand("SCAN", $0, "MATCH", pattern) }) { keys += $0 }
            }
            return keys.sorted()
        }
    }

    enum Path: String, CaseIterable, Sendable { case reaper, nextStart }

    /// A Redis that is full evicts keys: the list of a server's channels too.
    @Test(arguments: Path.allCases) @Loop func channelsWithoutAnIndexAreFound(_ path: Path) async throws {
        let world = try await RedisWorld()
        for number in 0..<60 { try await world.member(UserID("u\(number)"), ChannelName("room \(number)")) }
        try await world.member("ann", "e\u{301}:*")
        try await world.member("bob", "\u{301}x")
        try await world.member("cid", "room 1", "connector-2")
        await world.pass(2)
        #expect(try await world.keys("POMELO:CHANNEL:*").count == 63)
        _ = try await world.redis.send(RedisCommand("UNLINK", "pomelo:{pomelo/connector-1}:channels"))
        world.crash("connector-1")
        if path == .nextStart { try await world.start("connector-1") }
        await world.pass(15)
        let left = world.redis.isCluster ? "{pomelo/connector-2}:room 1" : "room 1:connector-2"
        #expect(try await world.keys("POMELO:CHANNEL:*") == ["POMELO:CHANNEL:\(left)"])
        #expect(Set(world.lost.entries).count == 62)
    }

    /// The index and the lease are both gone, and with them what counted the channels.
    @Test @Loop func channelsWithoutIndexAndLeaseAreFoundByTheReaper() async throws {
        let world = try await RedisWorld()
        try await world.member("ann", "room")
        await world.pass(1)
        world.crash("connector-1")
        _ = try await world.redis.send(
            RedisCommand("UNLINK", "pomelo:{pomelo/connector-1}:channels", "pomelo:{pomelo/connector-1}:lease"))
        await world.pass(15)
        #expect(try await world.keys("POMELO:CHANNEL:*") == [])
    }

    /// Redis goes back to before a clean-up; in a cluster it is the node of that server alone, and not the registry's.
    @Test @Loop func aServerThatIsBackWithoutAnEntryIsCleanedUpAfterOnceMore() async throws {
        let world = try await RedisWorld()
        try await world.member("ann", "room")
        await world.pass(1)
        let replica = world.redis.state
        world.crash("connector-1")
        await world.pass(15)
        #expect(try await world.keys("POMELO:CHANNEL:*") == [])
        let node = world.redis.isCluster ? FakeRedis.node(of: "pomelo:{pomelo/connector-1}:lease") : nil
        world.redis.failOver(to: replica, node: node)
        #expect(try await world.keys("POMELO:CHANNEL:*").count == 1)
        await world.pass(25)
        #expect(try await world.keys("POMELO:CHANNEL:*") == [])
        #expect(try await world.keys("pomelo:{pomelo/connector-1}:*") == [])
    }

    /// A server that has no channels, or all of them in its index, costs no walk over the keys of others.
    @Test @Loop func anIndexThatIsWholeNeedsNoWalk() async throws {
        let world = try await RedisWorld()
        try await world.member("ann", "room")
        await world.pass(1)
        for number in 0..<5000 { _ = try await world.redis.send(RedisCommand("SET", "foreign:\(number)", "x")) }
        for id: ServerID in ["connector-1", "connector-2"] { world.crash(id) }
        let before = world.redis.calls
        try await world.start("connector-1")
        #expect(world.redis.calls - before < 60)
        #expect(try await world.keys("POMELO:CHANNEL:*") == [])
    }

    /// One millisecond each way; 2000 in the long form.
    @Test @Loop func twoThousandChannelsAreCleanedUpInTime() async throws {
        let isLong = ProcessInfo.processInfo.environment["POMELO_SIMULATION_SEEDS"] != nil
        let count = isLong ? 2000 : 500
        let clock = ManualClock()
        let redis = FakeRedis(clock: clock, isCluster: RedisLayout.current.isCluster)
        let gone = RedisChannelStore(redis: redis.client())
        let instance: InstanceID = "9f00"
        try await gone.start(StoreOwner(server: "connector-1", instance: instance, cluster: "pomelo"))
        for start in stride(from: 0, to: count, by: 500) {
            let changes = (start..<start + 500).map { number in
                ChannelBatch.Change(
                    channel: ChannelName("room-\(number)"), added: (0..<10).map { UserID("u\(number * 5 + $0)") },
                    count: 10)
            }
            _ = try await gone.publish(ChannelBatch(changes: changes, sequence: UInt64(start + 1)))
        }
        redis.delay = .milliseconds(1) ... .milliseconds(1)
        let live = RedisChannelStore(redis: redis.client())
        try await live.start(StoreOwner(server: "connector-2", instance: "a111", cluster: "pomelo"))
        let control = redis.client()
        let told = Journal<String>()
        let outcome = Journal<String>()
        let begin = clock.now
        Loop.spawn {
            outcome.note(
                await failureCode {
                    try await live.cleanUp(
                        "connector-1", instance: instance,
                        proceed: { _ = try await control.send(RedisCommand("PING")) },
                        lost: { channel, uids in told.note("\(channel) \(uids.count)") })
                })
        }
        for _ in 0..<20_000 where outcome.entries.isEmpty {
            for _ in 0..<30 { await Loop.yield() }
            if outcome.entries.isEmpty, let next = clock.nextDeadline { clock.advance(to: next) }
        }
        #expect(outcome.entries == ["none"])
        #expect(told.entries.count == count && told.entries.allSatisfy { $0.hasSuffix(" 10") })
        #expect(clock.now - begin < UInt64(count) * 250_000, "\((clock.now - begin) / 1_000_000) ms")
        redis.delay = .zero ... .zero
        var left: [String] = []
        for node in redis.nodes {
            left += try await node.send(RedisCommand("SCAN", "0", "COUNT", "10000")).page().texts
        }
        #expect(left == ["pomelo:{pomelo/connector-1}:lease"])
    }

    /// A server that was away writes nothing when it is another by now, and hears why.
    @Test @Loop func aFormerInstanceThatWakesUpPublishesNothing() async throws {
        let world = try await RedisWorld()
        try await world.member("ann", "room")
        await world.pass(1)
        let client = world.redis.client()
        let old = RedisChannelStore(redis: client)
        try await old.start(world.cluster["connector-1"].context.owner)
        world.crash("connector-1")
        try await world.start("connector-1")
        try await world.member("bob", "room")
        await world.pass(1)
        let lease = try await world.redis.send(RedisCommand("HGETALL", "pomelo:{pomelo/connector-1}:lease")).dictionary
        #expect(lease?["seq"]?.hasPrefix("\(world.cluster["connector-1"].instance)/") == true)
        let late = ChannelBatch(
            changes: [.init(channel: "room", added: ["cid"], removed: ["bob"], count: 1)], sequence: 1000)
        #expect(await failureCode { _ = try await old.publish(late) } == "replaced")
        #expect(try await old.members(of: "room", at: "connector-1") == ["bob"])
        let after = try await world.redis.send(RedisCommand("HGETALL", "pomelo:{pomelo/connector-1}:lease")).dictionary
        #expect(after == lease)
    }
}

/// What is remembered of changes that cannot be written.
@Suite struct BacklogTests {
    @Loop private func owned() async throws -> (TestCluster, OwnedChannelsWorld) {
        let world = try await OwnedChannelsWorld()
        return (world.cluster, world)
    }

    /// 600 channels that differ, and a store that fails twice a second.
    @Test @Loop func anOutageOfManyChannelsDoesNotGrowTheBacklog() async throws {
        let (cluster, world) = try await owned()
        let service = cluster["connector-1"].globalChannel
        _ = try await cluster.client("connector-1", "ann")
        world.faults.isDown = true
        for number in 0..<600 { try await service.add(ChannelName("room-\(number)"), "ann", "connector-1") }
        await cluster.advance(by: .seconds(2))
        let marks = service.backlogMarks
        await cluster.advance(by: .seconds(60), step: .milliseconds(250))
        #expect(service.backlogMarks == marks && marks <= 1200)
        #expect(service.backlog == 600)
        world.faults.isDown = false
        await cluster.advance(by: .seconds(2))
        #expect(service.backlog == 0 && service.backlogMarks == 0)
        let store = MemoryChannelStore(world.entries)
        #expect((0..<600).allSatisfy { store.members(of: ChannelName("room-\($0)"), at: "connector-1") == ["ann"] })
    }

    /// Members that come and go, and channels that come and go.
    @Test @Loop func marksOfLeaversAndOfEmptyChannelsAreBounded() async throws {
        let (cluster, world) = try await owned()
        let service = cluster["connector-1"].globalChannel
        _ = try await cluster.client("connector-1", "ann")
        try await service.add("room", "ann", "connector-1")
        try await service.add("gone", "ann", "connector-1")
        await cluster.settle()
        world.faults.isDown = true
        try await service.leave("gone", "ann", "connector-1")
        var most = 0
        for number in 0..<3000 {
            let uid = UserID("u\(number)")
            let socket = try await cluster.client("connector-1", uid)
            try await service.add("room", uid, "connector-1")
            socket.disconnect()
            most = max(most, service.backlogMarks)
        }
        // The name once, its 1024 marks more than members, and the other channel.
        #expect(most <= 1030)
        for number in 0..<11_000 {
            try await service.add(ChannelName("match-\(number)"), "ann", "connector-1")
            try await service.leave(ChannelName("match-\(number)"), "ann", "connector-1")
            most = max(most, service.backlogMarks)
        }
        // Then nothing is remembered but that all are to be compared.
        #expect(most <= 10_002 * 2 && service.backlogMarks == 0 && service.backlog > 0)
        world.faults.isDown = false
        await cluster.advance(by: .seconds(3))
        let store = MemoryChannelStore(world.entries)
        #expect(service.backlog == 0 && service.backlogMarks == 0)
        #expect(store.members(of: "room", at: "connector-1") == ["ann"])
        #expect(
            store.members(of: "gone", at: "connector-1") == [] && store.members(of: "match-7", at: "connector-1") == [])
    }

    /// A channel of many members is written in several batches, and is whole in the end.
    @Test @Loop func aLongChannelIsWrittenInParts() async throws {
        let (cluster, world) = try await owned()
        let service = cluster["connector-1"].globalChannel
        for number in 0..<2000 {
            let uid = UserID("u\(number)")
            _ = try await cluster.client("connector-1", uid)
            try await service.add("room", uid, "connector-1")
        }
        await cluster.advance(by: .seconds(1))
        world.entries.removeAll()
        let writes = world.faults.writes
        cluster.redisReturned()
        await cluster.advance(by: .seconds(4))
        #expect(MemoryChannelStore(world.entries).members(of: "room", at: "connector-1").count == 2000)
        #expect((4...8).contains(world.faults.writes - writes))
        #expect(service.backlog == 0)
    }
}

/// One frontend with a store that can fail.
@Loop private final class OwnedChannelsWorld {
    let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 0))
    let entries = MemoryChannelStore.Entries()
    let faults: StoreFaults

    init() async throws {
        faults = StoreFaults(clock: cluster.clock)
        try await cluster.start("connector-1") {
            try $0.use(GlobalChannel(store: FaultyChannelStore(MemoryChannelStore(entries), faults)))
        }
    }
}
