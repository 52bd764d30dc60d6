// SPDX-License-Identifier: MIT
public import PomeloCore
public import PomeloGlobalChannel
public import PomeloLoop
public import PomeloPublication
import PomeloRedis
public import PomeloStatus

/// The faults of a store in memory; one object for the stores of all servers is an outage of Redis.
@Loop public final class StoreFaults {
    /// Calls fail at once.
    public var isDown = false
    /// Calls that would change something fail at once.
    public var isReadOnly = false
    /// Calls are answered after this long, and executed somewhere in between.
    public var delay = Duration.zero
    /// Calls out of a thousand that are executed, and whose answer is lost.
    public var lostAnswersPerMille = 0
    /// Calls that changed something.
    public private(set) var writes = 0
    /// Calls under way.
    public private(set) var inFlight = 0

    private let clock: any LoopClock
    private let random: RandomSource

    /// Without faults.
    public init(clock: any LoopClock, random: RandomSource = RandomSource(seed: 1)) {
        self.clock = clock
        self.random = random
    }

    func call<Value>(writes: Bool = false, _ body: @Loop () async throws -> Value) async throws -> Value {
        inFlight += 1
        defer { inFlight -= 1 }
        if writes, isReadOnly { throw RedisError.reply("READONLY You can't write against a read only replica.") }
        try refuse()
        let first = delay == .zero ? 0 : random.next() % max(1, delay.clampedNanoseconds)
        if first > 0 { await clock.sleep(for: .nanoseconds(Int64(first))) }
        try refuse()
        if writes { self.writes += 1 }
        let value = try await body()
        if delay > .zero { await clock.sleep(for: delay - .nanoseconds(Int64(first))) }
        if isDown || Int(random.next() % 1000) < lostAnswersPerMille {
            throw RedisError.connection("redis is away", maybeExecuted: true)
        }
        return value
    }

    private func refuse() throws {
        if isDown { throw RedisError.connection("redis is away") }
    }
}

/// A channel store with faults around another one.
@Loop public final class FaultyChannelStore: ChannelStore {
    private let store: any ChannelStore
    private let faults: StoreFaults

    /// The faults act on calls after `start`.
    public init(_ store: any ChannelStore, _ faults: StoreFaults) {
        self.store = store
        self.faults = faults
    }

    /// As the store inside.
    public var needsMembership: Bool { store.needsMembership }

    /// Starts the store inside.
    public func start(_ owner: StoreOwner) async throws { try await store.start(owner) }

    /// Publishes, unless a fault strikes.
    public func publish(_ batch: ChannelBatch) async throws -> PublishedBatch {
        try await faults.call(writes: true) { try await store.publish(batch) }
    }

    /// Asks, unless a fault strikes.
    public func members(of channel: ChannelName, at server: ServerID) async throws -> [UserID] {
        try await faults.call { try await store.members(of: channel, at: server) }
    }

    /// Asks, unless a fault strikes.
    public func channels() async throws -> [ChannelName] { try await faults.call { try await store.channels() } }

    /// Asks, unless a fault strikes.
    public func counts(of channels: [ChannelName]) async throws -> [ChannelName: Int] {
        try await faults.call { try await store.counts(of: channels) }
    }

    /// Asks, unless a fault strikes.
    public func publishedSequence() async throws -> UInt64? {
        try await faults.call { try await store.publishedSequence() }
    }

    /// Destroys, unless a fault strikes.
    public func destroy(_ channel: ChannelName, at servers: [ServerID]) async throws {
        try await faults.call(writes: true) { try await store.destroy(channel, at: servers) }
    }

    /// Cleans, unless a fault strikes.
    public func clean() async throws { try await faults.call(writes: true) { try await store.clean() } }

    /// Cleans up, unless a fault strikes.
    public func cleanUp(
        _ server: ServerID, instance: InstanceID, proceed: @escaping @Loop () async throws -> Void,
        lost: @escaping @Loop (ChannelName, [UserID]) async -> Void
    ) async throws {
        try await faults.call {
            try await store.cleanUp(server, instance: instance, proceed: proceed, lost: lost)
        }
    }
}

/// A status store with faults around another one.
@Loop public final class FaultyStatusStore: StatusStore {
    private let store: any StatusStore
    private let faults: StoreFaults

    /// The faults act on calls after `start`.
    public init(_ store: any StatusStore, _ faults: StoreFaults) {
        self.store = store
        self.faults = faults
    }

    /// As the store inside.
    public var needsMembership: Bool { store.needsMembership }
    /// Whether the store inside is up and no fault says otherwise.
    public var isUp: Bool { store.isUp && !faults.isDown }

    /// Starts the store inside.
    public func start(_ owner: StoreOwner) async throws { try await store.start(owner) }

    /// Publishes, unless a fault strikes.
    public func publish(online: [UserID], offline: [UserID], sequence: UInt64) async throws -> PublishedStatus {
        try await faults.call(writes: true) {
            try await store.publish(online: online, offline: offline, sequence: sequence)
        }
    }

    /// Asks, unless a fault strikes.
    public func publishedSequence() async throws -> UInt64? {
        try await faults.call { try await store.publishedSequence() }
    }

    /// Asks, unless a fault strikes.
    public func publishedUsers() async throws -> [UserID] { try await faults.call { try await store.publishedUsers() } }

    /// Asks, unless a fault strikes.
    public func servers(of uids: [UserID]) async throws -> [[ServerID]] {
        try await faults.call { try await store.servers(of: uids) }
    }

    /// Asks, unless a fault strikes.
    public func areOnline(_ uids: [UserID]) async throws -> [Bool] {
        try await faults.call { try await store.areOnline(uids) }
    }

    /// Claims, unless a fault strikes.
    public func claim(_ uid: UserID, _ holder: Holder, gone: String?) async throws -> Claim {
        try await faults.call(writes: true) { try await store.claim(uid, holder, gone: gone) }
    }

    /// Revokes, unless a fault strikes.
    public func revoke(_ uid: UserID, from server: ServerID) async throws {
        try await faults.call(writes: true) { try await store.revoke(uid, from: server) }
    }

    /// Forgets, unless a fault strikes.
    public func forget(revoked uids: [UserID]) async throws {
        try await faults.call(writes: true) { try await store.forget(revoked: uids) }
    }

    /// Releases, unless a fault strikes.
    public func release(_ uids: [UserID]) async throws {
        try await faults.call(writes: true) { try await store.release(uids) }
    }

    /// Asks, unless a fault strikes.
    public func holders(of uids: [UserID]) async throws -> [Holder?] {
        try await faults.call { try await store.holders(of: uids) }
    }

    /// Cleans, unless a fault strikes.
    public func clean() async throws { try await faults.call(writes: true) { try await store.clean() } }

    /// Cleans up, unless a fault strikes.
    public func cleanUp(
        _ server: ServerID, instance: InstanceID, proceed: @escaping @Loop () async throws -> Void
    ) async throws {
        try await faults.call { try await store.cleanUp(server, instance: instance, proceed: proceed) }
    }
}
