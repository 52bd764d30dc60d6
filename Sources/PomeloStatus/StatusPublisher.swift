// SPDX-License-Identifier: MIT
import Logging
import PomeloCore
import PomeloLoop

/// Keeps the store's status of this server's users equal to its sessions: write-behind and healing.
///
/// What waits is a set of users, looked up when it is written, so an outage cannot overflow it. There is one
/// publication at a time.
@Loop final class StatusPublisher: LeasePublisher {
    private static let batch = 500
    /// Users whose publication is repeated each second, round-robin: heals what others removed.
    private static let sweepUsers = 200

    private let application: Application
    private let store: any StatusStore
    private var dirty: Set<UserID> = []
    private var sequence: UInt64 = 0
    /// The last sequence the store confirmed: a lower one found there means that it has lost data.
    private var acknowledged: UInt64 = 0
    private var task: Task<Void, Never>?
    private var stopped = false
    private var retryTimer: TimerID?
    private var sweepTimer: TimerID?
    private var sweepCursor: [UserID] = []
    /// Users whose binding is being claimed: their entry is not touched meanwhile.
    private(set) var claiming: Set<UserID> = []
    /// Users whose binding the store may have lost.
    private var unclaimed: Set<UserID> = []
    /// Takes back the binding of a user who is here.
    var reclaim: @Loop @Sendable (UserID) async throws -> Void = { _ in }

    init(_ application: Application, _ store: any StatusStore) {
        self.application = application
        self.store = store
    }

    /// Users whose status is not published.
    var backlog: Int { dirty.count }

    func note(_ uid: UserID) {
        dirty.insert(uid)
        kick()
    }

    /// False when the user id is being claimed already.
    func beginClaim(_ uid: UserID) -> Bool { claiming.insert(uid).inserted }

    /// What was not touched during the claim is published now.
    func endClaim(_ uid: UserID) {
        claiming.remove(uid)
        if dirty.contains(uid) { kick() }
    }

    func start() { scheduleSweep() }

    /// Publishes what is left, once.
    func stop() async {
        stopped = true
        if let sweepTimer { application.clock.cancel(sweepTimer) }
        if let retryTimer { application.clock.cancel(retryTimer) }
        await task?.value
        await run()
    }

    // MARK: writing

    private func kick() {
        guard task == nil, retryTimer == nil, !stopped else { return }
        task = Loop.spawn {
            await self.run()
            self.task = nil
        }
    }

    private func run() async {
        // Another instance has this server's id: what is published under it is no longer ours.
        while application.membership?.isJoined ?? true {
            let batch = Set(dirty.lazy.filter { !self.claiming.contains($0) }.prefix(Self.batch))
            guard !batch.isEmpty else { return }
            dirty.subtract(batch)
            sequence += 1
            do {
                let offline = batch.filter { !isHere($0) }.sorted()
                let previous = try await store.publish(
                    online: batch.filter { isHere($0) }.sorted(), offline: offline, sequence: sequence)
                if previous ?? 0 < acknowledged { heal(since: previous) }
                acknowledged = sequence
                try await forEach(batch.filter { isHere($0) && unclaimed.contains($0) }) { uid in
                    try await self.reclaim(uid)
                    self.unclaimed.remove(uid)
                }
                try await forEach(Set(offline)) { try await self.release($0) }
            } catch {
                dirty.formUnion(batch)
                return failed(error)
            }
        }
    }

    private func isHere(_ uid: UserID) -> Bool { !application.sessionService.get(byUid: uid).isEmpty }

    /// Together, so that a store may answer many in one round trip; the first error ends it.
    private func forEach(
        _ uids: Set<UserID>, _ body: @escaping @Loop @Sendable (UserID) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for uid in uids.sorted() { group.addTask { @Loop @Sendable in try await body(uid) } }
            try await group.waitForAll()
        }
    }

    /// Gives up the binding of a user who is gone, and still is when its turn comes.
    private func release(_ uid: UserID) async throws {
        guard !isHere(uid), !claiming.contains(uid) else {
            // REENTRANCY: who came back during the awaits was published as gone: once more.
            dirty.insert(uid)
            return
        }
        unclaimed.remove(uid)
        try await store.release([uid])
        guard isHere(uid) || claiming.contains(uid) else { return }
        // A store may have executed the release after the claim that came meanwhile.
        dirty.insert(uid)
        unclaimed.insert(uid)
    }

    private func failed(_ error: any Error) {
        application.log.warning("status is not published", metadata: ["error": "\(error)"])
        guard !stopped else { return }
        retryTimer = application.clock.schedule(after: application.random.jittered(.milliseconds(500))) { [weak self] in
            self?.retryTimer = nil
            self?.kick()
        }
    }

    // MARK: healing

    /// Redis is back: nothing was lost when it holds the last confirmed sequence.
    func redisReturned() async {
        // REENTRANCY: publications confirmed during the await have looked for a loss by themselves.
        let expected = acknowledged
        do {
            let held = try await store.publishedSequence()
            if held ?? 0 < expected { heal(since: held) } else { kick() }
        } catch {
            application.log.warning("cannot compare the published status", metadata: ["error": "\(error)"])
        }
    }

    /// Publishes everybody again, takes bindings back, and removes who came back with older data.
    private func heal(since held: UInt64?) {
        application.log.notice("published status was lost", metadata: ["held": "\(held ?? 0)"])
        // All servers do this at the same time: spread it.
        let pause = Duration.milliseconds(held == nil ? Int64(application.random.next() % 2000) : 0)
        _ = application.clock.schedule(after: pause) { [weak self] in
            Loop.spawn { await self?.healNow() }
        }
    }

    private func healNow() async {
        let users = application.sessionService.users
        dirty.formUnion(users)
        unclaimed.formUnion(users)
        do {
            dirty.formUnion(try await store.publishedUsers().filter { !isHere($0) })
        } catch {
            application.log.debug("cannot list the published users: \(error)")
        }
        kick()
    }

    private func scheduleSweep() {
        sweepTimer = application.clock.schedule(after: .seconds(1)) { [weak self] in
            guard let self, !self.stopped else { return }
            if self.sweepCursor.isEmpty { self.sweepCursor = Array(self.application.sessionService.users) }
            let users = Array(self.sweepCursor.suffix(Self.sweepUsers))
            self.sweepCursor.removeLast(users.count)
            if self.store.isUp {
                self.dirty.formUnion(users)
                if !self.dirty.isEmpty { self.kick() }
            }
            self.scheduleSweep()
        }
    }
}
