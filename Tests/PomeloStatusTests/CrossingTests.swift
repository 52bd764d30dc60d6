// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloPublication
import PomeloRedis
import PomeloStatus
import PomeloTesting
import TestHelpers
import Testing

/// A store in memory whose calls a test lets through one by one.
@Loop private final class HeldStore: StatusStore {
    private let store: MemoryStatusStore
    /// Kinds of calls that wait before they are executed.
    var held: Set<String> = []
    /// Kinds of calls that fail, without being executed.
    var failing: Set<String> = []
    private(set) var calls: [String] = []
    private var waiting: [(kind: String, waiter: CheckedContinuation<Void, Never>)] = []

    init(_ entries: MemoryStatusStore.Entries) { store = MemoryStatusStore(entries) }

    func letThrough(_ kind: String) {
        let ready = waiting.filter { $0.kind == kind }
        waiting.removeAll { $0.kind == kind }
        for entry in ready { entry.waiter.resume() }
    }

    private func enter(_ kind: String) async throws {
        await withCheckedContinuation { if held.contains(kind) { waiting.append((kind, $0)) } else { $0.resume() } }
        if failing.contains(kind) { throw RedisError.connection("redis is away") }
        calls.append(kind)
    }

    var isUp: Bool { true }
    func start(_ owner: StoreOwner) async throws { try await store.start(owner) }
    func publish(online: [UserID], offline: [UserID], sequence: UInt64) async throws -> PublishedStatus {
        try await enter("publish")
        return try store.publish(online: online, offline: offline, sequence: sequence)
    }
    func publishedSequence() async throws -> UInt64? { store.publishedSequence() }
    func publishedUsers() async throws -> [UserID] {
        try await enter("publishedUsers")
        return store.publishedUsers()
    }
    func servers(of uids: [UserID]) async throws -> [[ServerID]] { store.servers(of: uids) }
    func areOnline(_ uids: [UserID]) async throws -> [Bool] { store.areOnline(uids) }
    func claim(_ uid: UserID, _ holder: Holder, gone: String?) async throws -> Claim {
        try await enter(gone == nil ? "claim" : "take")
        return try store.claim(uid, holder, gone: gone)
    }
    func revoke(_ uid: UserID, from server: ServerID) async throws {
        try await enter("revoke")
        store.revoke(uid, from: server)
    }
    func forget(revoked uids: [UserID]) async throws { store.forget(revoked: uids) }
    func release(_ uids: [UserID]) async throws {
        try await enter("release")
        store.release(uids)
    }
    func holders(of uids: [UserID]) async throws -> [Holder?] { store.holders(of: uids) }
    func cleanUp(
        _ server: ServerID, instance: InstanceID, proceed: @escaping @Loop () async throws -> Void
    ) async throws { try await store.cleanUp(server, instance: instance, proceed: proceed) }
}

/// Calls that cross: each order of a claim and what goes on beside it.
@Suite struct CrossingTests {
    @Loop private final class World {
        let cluster = TestCluster(TestCluster.records(connectors: 2, chats: 0))
        let entries = MemoryStatusStore.Entries()
        var stores: [ServerID: HeldStore] = [:]

        init() async throws {
            for record in cluster.records { try await start(record.id) }
        }

        func start(_ id: ServerID) async throws {
            let store = HeldStore(entries)
            stores[id] = store
            var options = Status.Options()
            options.singleSession = .refuse
            try await cluster.start(id) { try $0.use(Status(store: store, options: options)) }
        }

        func begin(_ uid: UserID, _ frontend: ServerID) throws -> (socket: TestSocket, outcome: Journal<String>) {
            let socket = try #require(cluster.connect(frontend))
            let session = try #require(socket.session).id
            let outcome = Journal<String>()
            Loop.spawn {
                outcome.note(await failureCode { try await self.cluster[frontend].sessionService.bind(session, uid) })
            }
            return (socket, outcome)
        }
    }

    /// The user comes back while the id is being given back: executed in the other order, the release would leave a
    /// session without its binding, and another server would bind the same user.
    @Test @Loop func aClaimDoesNotOvertakeARelease() async throws {
        let world = try await World()
        let store = try #require(world.stores["connector-1"])
        let first = try world.begin("ann", "connector-1")
        await world.cluster.advance(by: .milliseconds(100))
        #expect(first.outcome.entries == ["none"])
        store.held = ["release"]
        first.socket.disconnect()
        await world.cluster.advance(by: .milliseconds(40))
        let second = try world.begin("ann", "connector-1")
        await world.cluster.advance(by: .milliseconds(40))
        #expect(second.outcome.entries == [])
        store.held = []
        store.letThrough("release")
        // Earlier than the sweep, which would find it too.
        await world.cluster.advance(by: .milliseconds(100))
        #expect(second.outcome.entries == ["none"])
        #expect(world.entries.holder(of: "ann")?.session == second.socket.session?.id)
        #expect(MemoryStatusStore(world.entries).areOnline(["ann"]) == [true])
        let other = try world.begin("ann", "connector-2")
        await world.cluster.advance(by: .milliseconds(100))
        #expect(other.outcome.entries == ["binding"])
    }

    /// Were it told after the claim, a claimant that fails in between would leave two sessions of one user.
    @Test @Loop func aHolderThatCannotBeAskedIsRevokedBeforeTheClaim() async throws {
        let world = try await World()
        let first = try world.begin("ann", "connector-1")
        await world.cluster.advance(by: .milliseconds(100))
        world.cluster.network.freeze("connector-1")
        let store = try #require(world.stores["connector-2"])
        store.failing = ["revoke"]
        let second = try world.begin("ann", "connector-2")
        await world.cluster.advance(by: .milliseconds(900))
        #expect(second.outcome.entries == ["redisUnavailable"])
        #expect(world.entries.holder(of: "ann")?.server == "connector-1")
        store.failing = []
        store.held = ["revoke"]
        let third = try world.begin("ann", "connector-2")
        await world.cluster.advance(by: .milliseconds(900))
        #expect(third.outcome.entries == [] && world.entries.holder(of: "ann")?.server == "connector-1")
        store.held = []
        store.letThrough("revoke")
        await world.cluster.advance(by: .milliseconds(20))
        #expect(third.outcome.entries == ["none"] && world.entries.holder(of: "ann")?.server == "connector-2")
        #expect(store.calls.filter { ["revoke", "take"].contains($0) } == ["revoke", "take"])
        await world.cluster.advance(by: .seconds(2))
        #expect(first.socket.isClosed && first.socket.kick == "rebound")
    }

    /// The store executes the claim when its caller has given up, and the release that follows that was before it.
    @Test(arguments: ["claim", "take"]) @Loop func aClaimGrantedTooLateIsReleased(_ kind: String) async throws {
        let world = try await World()
        let store = try #require(world.stores["connector-1"])
        if kind == "take" {
            // A holder that is gone: the second call of the claim takes its place.
            let gone = Holder(server: "connector-2", instance: "gone", session: SessionID(1))
            _ = try MemoryStatusStore(world.entries).claim("ann", gone, gone: nil)
        }
        store.held = [kind]
        let late = try world.begin("ann", "connector-1")
        await world.cluster.advance(by: .milliseconds(2500))
        #expect(late.outcome.entries == ["redisUnavailable"])
        #expect(store.calls.contains("release"))
        store.held = []
        store.letThrough(kind)
        await world.cluster.advance(by: .milliseconds(700))
        #expect(world.entries.holder(of: "ann")?.server != "connector-1")
        let other = try world.begin("ann", "connector-2")
        await world.cluster.advance(by: .milliseconds(100))
        #expect(other.outcome.entries == ["none"])
    }

    // MARK: the sweep

    @Test(arguments: [true, false])
    @Loop func aBindingThatOthersRemovedIsPutRight(_ isTaken: Bool) async throws {
        let world = try await World()
        let ann = try world.begin("ann", "connector-1")
        let bob = try world.begin("bob", "connector-1")
        await world.cluster.advance(by: .milliseconds(100))
        // Nothing but the binding: neither the sequence nor the status says that something is missing.
        let low = MemoryStatusStore(world.entries)
        try await low.start(world.cluster["connector-1"].context.owner)
        low.release(["ann"])
        let thief = Holder(
            server: "connector-2", instance: world.cluster["connector-2"].instance, session: SessionID(99))
        if isTaken {
            let other = try world.begin("ann", "connector-2")
            await world.cluster.advance(by: .milliseconds(50))
            #expect(other.outcome.entries == ["none"] && other.socket.session?.id != thief.session)
        }
        await world.cluster.advance(by: .milliseconds(2500))
        #expect(ann.socket.isClosed == isTaken && ann.socket.kick == (isTaken ? "rebound" : nil))
        #expect(world.entries.holder(of: "ann")?.server == (isTaken ? "connector-2" : "connector-1"))
        #expect(!bob.socket.isClosed)
    }

    // MARK: a second failure

    /// Older data brought somebody back who is gone; the look at who is published failed while that was healed.
    @Test @Loop func whoCameBackWithOlderDataIsRemovedAlsoWhenTheHealingFailedOnce() async throws {
        let world = try await World()
        let store = try #require(world.stores["connector-1"])
        let ann = try world.begin("ann", "connector-1")
        _ = try world.begin("bob", "connector-1")
        await world.cluster.advance(by: .milliseconds(100))
        let old = world.entries.copy()
        ann.socket.disconnect()
        await world.cluster.advance(by: .milliseconds(100))
        world.entries.restore(old)
        store.failing = ["publishedUsers"]
        world.cluster.redisReturned()
        await world.cluster.advance(by: .milliseconds(300))
        store.failing = []
        await world.cluster.advance(by: .seconds(3))
        #expect(MemoryStatusStore(world.entries).areOnline(["ann", "bob"]) == [false, true])
        #expect(world.entries.holder(of: "ann") == nil)
    }

    /// A frontend where one user stays, one goes while nothing can be written, and so do thousands of passers-by.
    @Loop private func afterACrowd() async throws -> (TestCluster, HeldStore, MemoryStatusStore, TestSocket) {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 0))
        let entries = MemoryStatusStore.Entries()
        let store = HeldStore(entries)
        try await cluster.start("connector-1") { try $0.use(Status(store: store)) }
        let stays = try await cluster.client("connector-1", "stays")
        let went = try await cluster.client("connector-1", "went")
        await cluster.settle()
        store.failing = ["publish"]
        went.disconnect()
        for number in 0..<12_000 {
            try await cluster.client("connector-1", UserID("user-\(number)")).disconnect()
            // Others are on this loop too.
            await Loop.yield()
        }
        return (cluster, store, MemoryStatusStore(entries), stays)
    }

    @Test @Loop func marksOfThoseWhoLeftAreBounded() async throws {
        let (cluster, store, copy, stays) = try await afterACrowd()
        #expect(cluster["connector-1"].status.backlog <= 10_002)
        store.failing = []
        await cluster.advance(by: .seconds(2))
        #expect(copy.areOnline(["stays", "went", "user-1"]) == [true, false, false])
        #expect(!stays.isClosed && cluster["connector-1"].status.backlog == 0)
    }

    @Test @Loop func aComparisonThatFailedIsMadeAgain() async throws {
        let (cluster, store, copy, stays) = try await afterACrowd()
        store.failing = ["publishedUsers"]
        await cluster.advance(by: .seconds(2))
        #expect(copy.areOnline(["went"]) == [true])
        store.failing = []
        await cluster.advance(by: .seconds(2))
        #expect(copy.areOnline(["stays", "went"]) == [true, false])
        #expect(!stays.isClosed && cluster["connector-1"].status.backlog == 0)
    }
}
