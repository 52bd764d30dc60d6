// SPDX-License-Identifier: MIT
import Logging
public import PomeloLoop

/// State whose truth is this server's memory, and of which a store has a copy.
@Loop public protocol PublishedState: AnyObject {
    /// What it is, for logs.
    var name: String { get }
    /// Whether the copy differs, and something can be written now.
    var hasChanges: Bool { get }
    /// Whether the copy differs, or may soon, by what is not decided yet.
    var isBehind: Bool { get }
    /// Writes some of what differs together with the sequence, and calls `written` with the sequence that the store
    /// held before, as soon as that is known; what could not be written differs still.
    func publish(_ sequence: UInt64, written: @Loop (UInt64?) -> Void) async throws
    /// The last sequence the store holds for this instance; nil when it holds nothing of it.
    func publishedSequence() async throws -> UInt64?
    /// The store has lost what was written after `held`, or everything: notes what is to be written again.
    func lost(since held: UInt64?) async throws
    /// Compares some of the copy, once a second: heals what others have removed.
    func sweep() async throws
}

/// Publishes state in the background: written behind, in order, again after a failure, healed after a loss.
///
/// What waits is not a log of operations but what differs, looked up when it is written. So an outage cannot overflow
/// it, and nothing is replayed. There is one writing call at a time, so an older state is never written over a newer
/// one.
@Loop public final class WriteBehind: LeasePublisher {
    private static let retryAfter = Duration.milliseconds(500)
    private static let sweepEvery = Duration.seconds(1)
    /// All servers write everything at the same time when everything is gone: spread over so long.
    private static let spreadMilliseconds: UInt64 = 2000

    private let state: any PublishedState
    private let application: Application
    private var sequence: UInt64 = 0
    /// The last sequence the store confirmed: a lower one found there means that it has lost data.
    private var acknowledged: UInt64 = 0
    private var task: Task<Void, Never>?
    private var isStopped = false
    private var retryTimer: TimerID?
    private var sweepTimer: TimerID?
    /// A comparison that failed is to be repeated.
    private var comparesAgain = false
    /// Comparisons under way.
    private var comparisons = 0
    /// What the store lost and is not noted yet: all that was written after a sequence.
    private var unhealed: UInt64?
    private var waiters: [CheckedContinuation<Bool, Never>] = []

    /// Writes nothing before something is noted.
    public init(_ state: any PublishedState, of application: Application) {
        self.state = state
        self.application = application
    }

    /// Begins to sweep.
    public func start() { scheduleSweep() }

    /// Something may differ.
    public func kick() {
        guard task == nil, retryTimer == nil, !isStopped, state.hasChanges else { return }
        task = Loop.spawn {
            await self.run()
            self.task = nil
        }
    }

    /// Suspends until everything noted before is written; false when the store failed meanwhile.
    public func flushed() async -> Bool {
        await withCheckedContinuation { waiter in
            kick()
            let isIdle = task == nil && retryTimer == nil
            if isIdle { waiter.resume(returning: !state.hasChanges) } else { waiters.append(waiter) }
        }
    }

    /// Writes what is left, and what a loss has left, once, and nothing further.
    public func stop() async {
        isStopped = true
        if let sweepTimer { application.clock.cancel(sweepTimer) }
        if let retryTimer { application.clock.cancel(retryTimer) }
        retryTimer = nil
        await task?.value
        if comparesAgain { await compare() }
        if unhealed != nil { await rewrite() }
        await run()
    }

    /// Whether the copy differs from the truth, as far as is known here, or may since the store has lost data.
    public var isBehind: Bool { state.isBehind || unhealed != nil || comparisons > 0 || comparesAgain }

    // MARK: writing

    /// Writes until nothing differs or the store fails.
    private func run() async {
        while state.hasChanges {
            // Another instance has this server's id: what is published under it is no longer ours.
            guard application.membership?.isJoined ?? true else { return wake(false) }
            sequence += 1
            do {
                try await state.publish(sequence) { held in
                    if held ?? 0 < acknowledged { heal(since: held) }
                    acknowledged = sequence
                }
            } catch {
                return failed(error)
            }
        }
        wake(true)
    }

    private func failed(_ error: any Error) {
        application.log.warning("\(state.name) is not published", metadata: ["error": "\(error)"])
        wake(false)
        retryTimer = later {
            $0.retryTimer = nil
            $0.kick()
        }
    }

    @discardableResult
    private func later(_ action: @escaping @Loop (WriteBehind) -> Void) -> TimerID? {
        if isStopped { return nil }
        return application.clock.schedule(after: application.random.jittered(Self.retryAfter)) { [weak self] in
            if let self, !self.isStopped { action(self) }
        }
    }

    private func wake(_ success: Bool) {
        let ready = waiters
        waiters = []
        for waiter in ready { waiter.resume(returning: success) }
    }

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
            // Without a sequence there may be a loss too, of what is not confirmed by one.
            if held.map({ $0 < expected }) ?? true { heal(since: held) } else { kick() }
        } catch {
            application.log.warning("\(state.name) cannot be compared", metadata: ["error": "\(error)"])
            guard !comparesAgain else { return }
            comparesAgain = true
            later { writer in Loop.spawn { await writer.compareAgain() } }
        }
    }

    private func compareAgain() async {
        guard comparesAgain else { return }
        comparesAgain = false
        await compare()
    }

    private func heal(since held: UInt64?) {
        // A server that has published nothing has lost nothing.
        application.log.log(
            level: acknowledged > 0 ? .notice : .debug, "\(state.name): the store has lost data",
            metadata: ["held": "\(held ?? 0)", "confirmed": "\(acknowledged)"])
        unhealed = min(unhealed ?? .max, held ?? 0)
        guard !isStopped else { return }
        guard held == nil else {
            Loop.spawn { await self.rewrite() }
            return
        }
        let pause = Duration.milliseconds(Int64(application.random.next() % Self.spreadMilliseconds))
        _ = application.clock.schedule(after: pause) { [weak self] in
            if let self, !self.isStopped { Loop.spawn { await self.rewrite() } }
        }
    }

    private func rewrite() async {
        guard let held = unhealed else { return }
        do {
            try await state.lost(since: held == 0 ? nil : held)
            // REENTRANCY: what was lost during the await is noted by a call of its own.
            if unhealed == held { unhealed = nil }
        } catch {
            application.log.debug("\(state.name) is not healed yet: \(error)")
            later { writer in Loop.spawn { await writer.rewrite() } }
        }
        kick()
    }

    private func scheduleSweep() {
        sweepTimer = application.clock.schedule(after: Self.sweepEvery) { [weak self] in
            guard let self, !self.isStopped else { return }
            Loop.spawn {
                do {
                    try await self.state.sweep()
                } catch {
                    self.application.log.debug("\(self.state.name) was not compared: \(error)")
                }
                self.kick()
                self.scheduleSweep()
            }
        }
    }
}
