// SPDX-License-Identifier: MIT
import Logging
public import PomeloCore
public import PomeloLoop

/// Publishes state in the background by a `ChangeFlusher`, and heals the copy.
///
/// What it has beside that: the copy hangs on a lease and may be lost, or go back in time. So each write carries a
/// sequence, which tells a loss, and the copy is compared bit by bit, which tells what others have removed.
@Loop public final class WriteBehind: LeasePublisher {
    private static let retryAfter = Duration.milliseconds(500)
    private static let sweepEvery = (least: Duration.milliseconds(800), most: Duration.seconds(1))
    /// All servers write everything at the same time when everything is gone: spread over so long.
    private static let spreadMilliseconds: UInt64 = 2000

    private let state: any PublishedState
    private let membership: (any Membership)?
    private let clock: any LoopClock
    private let random: RandomSource
    private let log: Logger
    private lazy var delays = LimitedLog(log, clock, "\(name) is not healed yet", lines: 1, per: .seconds(30))
    private lazy var flusher = ChangeFlusher(self, clock: clock, random: random, log: log)
    private var sequence: UInt64 = 0
    /// The last sequence the store confirmed: a lower one found there means that it has lost data.
    private var acknowledged: UInt64 = 0
    /// The start of the store that the copy was in when it was looked at last.
    private var run: String?
    private var isStopped = false
    private var sweepTimer: TimerID?
    /// A comparison that failed is to be repeated.
    private var comparesAgain = false
    /// Comparisons under way.
    private var comparisons = 0
    /// What the store lost and is not noted yet: all that was written after a sequence.
    private var unhealed: UInt64?
    /// Losses found.
    private var losses = 0

    /// Writes nothing before something is noted.
    public init(_ state: any PublishedState, of context: ServiceContext) {
        self.state = state
        membership = context.membership
        clock = context.clock
        random = context.random
        log = context.log
    }

    /// Begins to sweep.
    public func start() {
        // What is no start of the store is followed by one: the first write looks then.
        run = state.looksAtStart ? "" : state.storeRun
        scheduleSweep()
    }

    /// Something may differ.
    public func kick() { flusher.kick() }

    /// Suspends until everything noted before is written; false when the store failed meanwhile.
    public func flushed() async -> Bool { await flusher.flushed() }

    /// Writes what is left, and what a loss has left, once, and nothing further.
    public func stop() async {
        isStopped = true
        if let sweepTimer { clock.cancel(sweepTimer) }
        if comparesAgain { await compare() }
        if unhealed != nil { await rewrite() }
        do {
            try await flusher.stop()
        } catch {
            log.warning("\(name) is not published", metadata: ["error": "\(error)"])
        }
    }

    /// Whether the copy differs from the truth, as far as is known here, or may since the store has lost data.
    public var isBehind: Bool { state.isBehind || unhealed != nil || comparisons > 0 || comparesAgain }

    // MARK: healing

    /// Redis is back: nothing was lost when it holds the last confirmed sequence.
    public func redisReturned() async { await compare() }

    private func compare() async {
        comparisons += 1
        defer { comparisons -= 1 }
        // REENTRANCY: what is confirmed during the await has looked for a loss by itself.
        let expected = acknowledged
        do {
            let held = try await state.publishedSequence()
            comparesAgain = false
            run = state.storeRun
            // Without a sequence there may be a loss too, of what is not confirmed by one.
            if held.map({ $0 < expected }) ?? true { heal(since: held) } else { kick() }
        } catch {
            log.warning("\(name) cannot be compared", metadata: ["error": "\(error)"])
            guard !comparesAgain else { return }
            comparesAgain = true
            later { await $0.compareAgain() }
        }
    }

    private func compareAgain() async {
        guard comparesAgain else { return }
        comparesAgain = false
        await compare()
    }

    private func heal(since held: UInt64?) {
        // A server that has published nothing has lost nothing.
        log.log(
            level: acknowledged > 0 ? .notice : .debug, "\(name): the store has lost data",
            metadata: ["held": "\(held ?? 0)", "confirmed": "\(acknowledged)"])
        unhealed = min(unhealed ?? .max, held ?? 0)
        losses += 1
        let spread = Duration.milliseconds(Int64(random.next() % Self.spreadMilliseconds))
        later(after: held == nil ? spread : .zero) { await $0.rewrite() }
    }

    private func rewrite() async {
        guard let held = unhealed else { return }
        let found = losses
        do {
            try await state.lost(since: held == 0 ? nil : held)
            // REENTRANCY: what was lost during the await is noted by a call of its own.
            if losses == found { unhealed = nil }
        } catch {
            delays.write(["error": "\(error)"])
            later { await $0.rewrite() }
        }
        kick()
    }

    /// Does something after a pause, that of a failure or another one, unless this is stopped by then.
    private func later(after pause: Duration? = nil, _ action: @escaping @Loop @Sendable (WriteBehind) async -> Void) {
        guard !isStopped else { return }
        _ = clock.schedule(after: pause ?? random.jittered(Self.retryAfter)) { [weak self] in
            guard let self, !self.isStopped else { return }
            Loop.spawn { await action(self) }
        }
    }

    private func scheduleSweep() {
        let earliest = clock.deadline(after: Self.sweepEvery.least)
        let latest = clock.deadline(after: Self.sweepEvery.most)
        sweepTimer = clock.schedule(from: earliest, to: latest) { [weak self] in
            guard let self, !self.isStopped else { return }
            Loop.spawn {
                do {
                    try await self.state.sweep()
                } catch {
                    self.log.debug("\(self.name) was not compared: \(error)")
                }
                self.kick()
                self.scheduleSweep()
            }
        }
    }
}

extension WriteBehind: PendingChanges {
    package var name: String { state.name }
    package var hasChanges: Bool { state.hasChanges }
    /// False while another instance has this server's id: what is published under it is not ours then.
    package var mayWrite: Bool { membership?.isJoined ?? true }

    package func write() async throws {
        sequence += 1
        try await state.publish(sequence) { [sequence] held in
            // Before the first word of ours is confirmed, another start of the store may have brought an earlier
            // instance's entries back.
            let isAnotherStart = run.map { $0 != state.storeRun } ?? false
            if held.map({ $0 < acknowledged }) ?? (acknowledged > 0 || isAnotherStart) { heal(since: held) }
            run = state.storeRun
            acknowledged = sequence
        }
    }
}
