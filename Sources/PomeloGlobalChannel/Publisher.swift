// SPDX-License-Identifier: MIT
import Logging
import PomeloCore
import PomeloLoop

/// Keeps the store's copy equal to the owner's memory: write-behind, healing by sequence number, sweep.
///
/// What waits is not a log of operations but the set of members that differ, so an outage cannot overflow it, and
/// commands are never replayed: pending state is. There is one writing call at a time, so an older state is never
/// written over a newer one.
@Loop final class Publisher: LeasePublisher {
    /// Members written in one transaction.
    private static let batchMembers = 512
    /// Channels whose counts are compared each second.
    private static let sweepChannels = 200

    private let channels: OwnedChannels
    private let store: any ChannelStore
    private let application: Application
    private var backlogOf = ChannelBacklog()
    /// The sequence that last wrote each channel with members.
    private var written: [ChannelName: UInt64] = [:]
    private var sequence: UInt64 = 0
    /// The last sequence the store confirmed: a lower one found there means that it has lost data.
    private var acknowledged: UInt64 = 0
    private var task: Task<Void, Never>?
    private var stopped = false
    private var retryTimer: TimerID?
    private var sweepTimer: TimerID?
    private var sweepCursor: [ChannelName] = []
    private var waiters: [CheckedContinuation<Bool, Never>] = []

    init(_ channels: OwnedChannels, _ store: any ChannelStore, _ application: Application) {
        self.channels = channels
        self.store = store
        self.application = application
    }

    /// Channels with changes that are not published.
    var backlog: Int { backlogOf.count }

    /// Notes that a membership differs from the published copy.
    func note(_ channel: ChannelName, _ uid: UserID) {
        backlogOf.note(channel, uid)
        kick()
    }

    /// Suspends until everything noted before is published; false when the store failed meanwhile.
    func flushed() async -> Bool {
        await withCheckedContinuation { waiter in
            if backlogOf.isEmpty, task == nil { waiter.resume(returning: true) } else { waiters.append(waiter) }
        }
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

    /// Publishes until nothing is left or the store fails.
    private func run() async {
        // Another instance has this server's id: what is published under it is no longer ours.
        guard application.membership?.isJoined ?? true else { return wake(false) }
        while let batch = nextBatch() {
            do {
                confirm(batch, try await store.publish(batch))
            } catch {
                backlogOf.putBack(batch)
                return failed(error)
            }
        }
        wake(true)
    }

    private func nextBatch() -> ChannelBatch? {
        let changes = backlogOf.take(Self.batchMembers, channels)
        guard !changes.isEmpty else { return nil }
        sequence += 1
        for change in changes { written[change.channel] = channels[change.channel] == nil ? nil : sequence }
        return ChannelBatch(changes: changes, sequence: sequence)
    }

    private func confirm(_ batch: ChannelBatch, _ published: PublishedBatch) {
        let lost = published.previous ?? 0 < acknowledged
        if lost { heal(since: published.previous) }
        acknowledged = batch.sequence
        for change in batch.changes where change.count >= 0 {
            // Another count means that the copy was changed or lost by others.
            let isWhole = published.counts[change.channel].map { $0 == change.count } ?? true
            if !isWhole || (lost && !change.replaces) { backlogOf.rewrite(change.channel) }
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
        for waiter in ready { waiter.resume(returning: success) }
    }

    // MARK: healing

    /// Redis is back: nothing was lost when it holds the last confirmed sequence.
    func redisReturned() async {
        // REENTRANCY: flushes confirmed during the await have looked for a loss by themselves.
        let expected = acknowledged
        do {
            let held = try await store.publishedSequence()
            if held ?? 0 < expected { heal(since: held) } else { kick() }
        } catch {
            application.log.warning("cannot compare the published memberships", metadata: ["error": "\(error)"])
        }
    }

    /// Writes every channel again that was written after the sequence the store still holds.
    private func heal(since held: UInt64?) {
        application.log.notice(
            "published memberships were lost", metadata: ["held": "\(held ?? 0)", "confirmed": "\(acknowledged)"])
        let behind = written.filter { $0.value > held ?? 0 }.keys.sorted()
        let resume: @Loop () -> Void = { [weak self] in
            for channel in behind { self?.backlogOf.rewrite(channel) }
            self?.kick()
            self?.sweepCursor = []
        }
        // All servers write everything at the same time when everything is gone: spread it.
        guard held == nil else { return resume() }
        let pause = Duration.milliseconds(Int64(application.random.next() % 2000))
        _ = application.clock.schedule(after: pause, resume)
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

    /// Compares counts, some channels a second; each round begins with what the store has and nobody here is in.
    private func sweep() async {
        do {
            if sweepCursor.isEmpty {
                for name in try await store.channels() where channels[name] == nil { backlogOf.rewrite(name) }
                sweepCursor = channels.names
            }
            let names = sweepCursor.suffix(Self.sweepChannels).filter { !backlogOf.contains($0) }
            sweepCursor.removeLast(min(Self.sweepChannels, sweepCursor.count))
            let before = names.map { channels.count($0) }
            let counts = names.isEmpty ? [:] : try await store.counts(of: names)
            // REENTRANCY: what changed during the await is in the backlog, or was, and is compared by its flush.
            for (name, count) in zip(names, before) where channels.count(name) == count && counts[name] != count {
                backlogOf.rewrite(name)
            }
        } catch {
            application.log.debug("sweep skipped: \(error)")
        }
        if !backlogOf.isEmpty { kick() }
    }
}
