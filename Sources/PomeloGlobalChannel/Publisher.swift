// SPDX-License-Identifier: MIT
import Logging
import PomeloCore
import PomeloLoop

/// Keeps the store's copy equal to the owner's memory: write-behind, healing by sequence number, sweep.
///
/// What waits is not a log of operations but the set of members that differ, so an outage cannot overflow it, and
/// commands are never replayed: pending state is.
@Loop final class Publisher: LeasePublisher {
    /// Members written in one transaction.
    private static let batchMembers = 512
    /// Channels whose counts are compared each second.
    private static let sweepChannels = 200

    private let channels: OwnedChannels
    private let store: any ChannelStore
    private let application: Application
    private var dirty: [ChannelName: Set<UserID>] = [:]
    private var order: [ChannelName] = []
    private var written: [ChannelName: UInt64] = [:]
    private var sequence: UInt64 = 0
    private var running = false
    private var stopped = false
    private var retryTimer: TimerID?
    private var sweepTimer: TimerID?
    private var sweepCursor: [ChannelName] = []
    private var waiters: [(sequence: UInt64, continuation: CheckedContinuation<Bool, Never>)] = []

    init(_ channels: OwnedChannels, _ store: any ChannelStore, _ application: Application) {
        self.channels = channels
        self.store = store
        self.application = application
    }

    /// Channels with changes that are not published.
    var backlog: Int { dirty.count }

    /// Notes that a membership differs from the published copy.
    func note(_ channel: ChannelName, _ uid: UserID) {
        if dirty[channel] == nil { order.append(channel) }
        dirty[channel, default: []].insert(uid)
        kick()
    }

    /// Suspends until everything noted before is published; false when the store failed meanwhile.
    func flushed() async -> Bool {
        if dirty.isEmpty && !running { return true }
        return await withCheckedContinuation { waiters.append((sequence + 1, $0)) }
    }

    func start() {
        scheduleSweep()
    }

    func stop() async {
        stopped = true
        if let sweepTimer { application.clock.cancel(sweepTimer) }
        if let retryTimer { application.clock.cancel(retryTimer) }
        await run()
    }

    // MARK: writing

    private func kick() {
        guard !running, retryTimer == nil, !stopped else { return }
        running = true
        Loop.spawn {
            self.running = false
            await self.run()
        }
    }

    /// Publishes until nothing is dirty or the store fails; one at a time.
    private func run() async {
        guard !running else { return }
        running = true
        defer { running = false }
        while let batch = nextBatch() {
            do {
                let counts = try await store.publish(batch)
                for change in batch.changes { await compare(change.channel, change.count, counts[change.channel]) }
            } catch {
                putBack(batch)
                return failed(error)
            }
        }
        wake(true)
    }

    private func nextBatch() -> ChannelBatch? {
        var changes: [ChannelBatch.Change] = []
        var budget = Self.batchMembers
        while budget > 0, let name = order.first {
            var pending = dirty[name] ?? []
            var change = ChannelBatch.Change(channel: name, added: [], removed: [], count: 0)
            while budget > 0, let uid = pending.popFirst() {
                if channels.contains(name, uid) { change.added.append(uid) } else { change.removed.append(uid) }
                budget -= 1
            }
            // A channel split over two batches has its true count only with the last of them.
            change.count = pending.isEmpty ? channels.count(name) : -1
            changes.append(change)
            if pending.isEmpty {
                dirty[name] = nil
                order.removeFirst()
            } else {
                dirty[name] = pending
            }
        }
        guard !changes.isEmpty else { return nil }
        sequence += 1
        for change in changes { written[change.channel] = channels.count(change.channel) == 0 ? nil : sequence }
        return ChannelBatch(changes: changes, sequence: sequence)
    }

    private func putBack(_ batch: ChannelBatch) {
        for change in batch.changes {
            if dirty[change.channel] == nil { order.append(change.channel) }
            dirty[change.channel, default: []].formUnion(change.added + change.removed)
        }
    }

    private func failed(_ error: any Error) {
        application.log.warning("channel memberships are not published", metadata: ["error": "\(error)"])
        wake(false)
        guard !stopped else { return }
        retryTimer = application.clock.schedule(after: application.random.jittered(.milliseconds(500))) { [weak self] in
            self?.retryTimer = nil
            self?.kick()
        }
    }

    private func wake(_ success: Bool) {
        let ready = waiters
        waiters = []
        for waiter in ready { waiter.continuation.resume(returning: success) }
    }

    // MARK: healing

    /// A count that differs means the copy was changed or lost by others: write the whole channel again.
    private func compare(_ channel: ChannelName, _ expected: Int, _ counted: Int?) async {
        guard let counted, expected >= 0, counted != expected, dirty[channel] == nil else { return }
        await rewrite(channel)
    }

    private func rewrite(_ channel: ChannelName) async {
        let members = channels.members(channel)
        sequence += 1
        if !members.isEmpty { written[channel] = sequence }
        do {
            try await store.replace(channel, with: members, sequence: sequence)
        } catch {
            for uid in members { note(channel, uid) }
        }
    }

    /// Redis is back: nothing was lost when it holds our last sequence, else what was written after the one it holds.
    func redisReturned() async {
        let held: UInt64?
        do {
            held = try await store.publishedSequence()
        } catch {
            return application.log.warning("cannot compare the published memberships", metadata: ["error": "\(error)"])
        }
        if held == sequence { return kick() }
        if held == nil, !written.isEmpty {
            // Everybody re-publishes everything at the same time: spread it.
            await application.clock.sleep(for: .milliseconds(Int64(application.random.next() % 2000)))
        }
        for (channel, sequence) in written where sequence > held ?? 0 { await rewrite(channel) }
        kick()
    }

    private func scheduleSweep() {
        sweepTimer = application.clock.schedule(after: .seconds(1)) { [weak self] in
            guard let self, !self.stopped else { return }
            Loop.spawn {
                await self.sweep()
                self.scheduleSweep()
            }
        }
    }

    private func sweep() async {
        if sweepCursor.isEmpty { sweepCursor = channels.names }
        let names = Array(sweepCursor.suffix(Self.sweepChannels)).filter { dirty[$0] == nil }
        sweepCursor.removeLast(min(Self.sweepChannels, sweepCursor.count))
        guard !names.isEmpty, !running else { return }
        do {
            let before = names.map { channels.count($0) }
            let counts = try await store.counts(of: names)
            for (name, count) in zip(names, before) where channels.count(name) == count {
                await compare(name, count, counts[name])
            }
        } catch {
            application.log.debug("sweep skipped: \(error)")
        }
    }
}
