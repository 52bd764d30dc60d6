// SPDX-License-Identifier: MIT
import Logging
import PomeloCore
import PomeloLoop

/// Keeps the store's status of this server's users equal to its sessions: write-behind and healing.
///
/// What waits is a set of users, looked up when it is written, so an outage cannot overflow it.
@Loop final class StatusPublisher: LeasePublisher {
    private static let batch = 500
    /// Users whose publication is repeated each second, round-robin: heals what others removed.
    private static let sweepUsers = 200

    private let application: Application
    private let store: any StatusStore
    private var dirty: Set<UserID> = []
    private var running = false
    private var stopped = false
    private var retryTimer: TimerID?
    private var sweepTimer: TimerID?
    private var sweepCursor: [UserID] = []
    /// Users whose binding is being claimed: their entry is not touched meanwhile.
    var claiming: Set<UserID> = []

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

    func start() { scheduleSweep() }

    func stop() async {
        stopped = true
        if let sweepTimer { application.clock.cancel(sweepTimer) }
        if let retryTimer { application.clock.cancel(retryTimer) }
        await run()
    }

    private func kick() {
        guard !running, retryTimer == nil, !stopped else { return }
        running = true
        Loop.spawn {
            self.running = false
            await self.run()
        }
    }

    private func run() async {
        guard !running else { return }
        running = true
        defer { running = false }
        while true {
            let batch = dirty.lazy.filter { !self.claiming.contains($0) }.prefix(Self.batch).sorted()
            guard !batch.isEmpty else { return }
            dirty.subtract(batch)
            let sessions = application.sessionService
            let online = batch.filter { !sessions.get(byUid: $0).isEmpty }
            let offline = batch.filter { sessions.get(byUid: $0).isEmpty }
            do {
                try await store.publish(online: online, offline: offline)
                try await store.release(offline)
                // REENTRANCY: a user who came back during the awaits was published as gone: once more.
                for uid in offline where !sessions.get(byUid: uid).isEmpty { dirty.insert(uid) }
            } catch {
                dirty.formUnion(batch)
                return failed(error)
            }
        }
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

    func redisReturned() async {
        do {
            if try await store.isIntact() { return kick() }
        } catch {
            return application.log.warning("cannot compare the published status", metadata: ["error": "\(error)"])
        }
        // Everybody re-publishes everything at the same time: spread it.
        await application.clock.sleep(for: .milliseconds(Int64(application.random.next() % 2000)))
        dirty.formUnion(application.sessionService.users)
        await reclaim(Array(application.sessionService.users))
        kick()
    }

    /// Takes back the bindings of users here, after the store lost them.
    var reclaim: @Loop ([UserID]) async -> Void = { _ in }

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
