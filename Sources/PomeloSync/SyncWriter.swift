// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop

/// Brings the values of one key to their sink, one batch at a time.
///
/// A sink that throws has told nothing of any value. The batch is halved then, until one value is left: it counts as an
/// attempt of that value. When the sink does not take the next one either it is an outage: all go back as they are, and
/// one is tried after a pause that gets longer. So it is always where the order counts, for then none may be tried past
/// another: a sink refuses by its outcome what it will never take.
@Loop final class SyncWriter {
    private let line: any SyncLine
    private let sink: any SyncSink
    private let owner: SyncOwner
    private let warnings: LimitedLog
    private var isRunning = false
    private var timer: TimerID?
    private var limit: Int
    /// Whether the sink took something at its last word.
    private var takes = true
    private var backoff = Backoff(first: .milliseconds(500), limit: .seconds(60))
    private var pause: Task<Void, Never>?
    private var rounds: [FirstOutcome<Void>] = []
    private(set) var isStopped = false

    init(_ line: any SyncLine, _ sink: any SyncSink, _ owner: SyncOwner, _ log: Logger) {
        self.line = line
        self.sink = sink
        self.owner = owner
        warnings = LimitedLog(log, owner.clock, "values are not written", lines: 4, per: .seconds(30))
        limit = owner.options.maxBatch
    }

    /// Something more waits, and becomes due with time.
    func noted() { if timer == nil { wake() } }

    /// Something waits, or is due.
    func wake() {
        if line.hasDue, !isRunning, !isStopped {
            isRunning = true
            Loop.spawn { await self.run() }
        }
        guard timer == nil, line.isTicking, !isStopped else { return }
        // Strong for a tick: a weak one makes every reference to this slower.
        timer = owner.clock.schedule(after: owner.tick) { [self] in
            timer = nil
            line.tick()
            wake()
        }
    }

    /// Makes everything due, and returns when all of it has been tried.
    func drain() async {
        line.makeAllDue()
        guard line.hasDue || isRunning, !isStopped else { return }
        let end = FirstOutcome<Void>()
        rounds.append(end)
        hurry()
        await end.wait()
    }

    /// Somebody waits for what is due: a pause ends now.
    func hurry() {
        pause?.cancel()
        wake()
    }

    /// Writes nothing further; a batch under way is not waited for.
    func stop() {
        isStopped = true
        if let timer { owner.clock.cancel(timer) }
        timer = nil
        pause?.cancel()
        line.end("sync has stopped")
        endRounds()
    }

    private func endRounds() {
        let ended = rounds
        rounds = []
        for round in ended { round.end() }
    }

    private func run() async {
        while !isStopped {
            let batch = line.take(limit)
            if batch.isEmpty {
                // What cannot be encoded has been given up.
                owner.tellRoom()
                break
            }
            let start = owner.clock.now
            let isThere = await write(batch)
            owner.meter.flushed(owner.clock.elapsed(since: start))
            owner.tellRoom()
            // A long batch has taken its part of a turn.
            await Loop.yield()
            if isThere { continue }
            // Whoever waits for all of it has heard by now.
            endRounds()
            await rest()
        }
        isRunning = false
        endRounds()
        wake()
    }

    private func rest() async {
        let duration = backoff.failed()
        let pause = Loop.spawn { await self.owner.clock.sleep(for: duration) }
        self.pause = pause
        await pause.value
        self.pause = nil
    }

    /// False when the sink takes nothing.
    private func write(_ batch: [SyncEntry]) async -> Bool {
        let (start, limit) = (owner.clock.now, owner.options.write)
        do {
            if let outcomes = try await owner.clock.within(limit, { [sink] in try await sink.write(batch) }) {
                conclude(batch, outcomes)
            } else {
                let reason = "the sink did not answer within \(limit)"
                tell(reason, batch)
                // It was this process that stood still, and the sink may have answered.
                if owner.clock.elapsed(since: start) > limit + .seconds(1) { return giveBack(batch[...], reason) }
                for entry in batch { line.conclude(entry, .refused(reason)) }
            }
            return true
        } catch {
            tell("\(error)", batch)
            // The sink has not looked at any of them.
            if error is OffLoopNotBegun || error is OffLoopError { return giveBack(batch[...], "\(error)") }
            // Past one that may be written later none must go.
            guard takes, !line.isOrdered else { return giveBack(batch[...], "\(error)") }
            if batch.count == 1 {
                // Its own fault, if the sink takes the next one.
                line.conclude(batch[0], .failed("\(error)", counts: true))
                takes = false
                return true
            }
            let half = batch.count / 2
            guard await write(Array(batch[..<half])) else { return giveBack(batch[half...], "\(error)") }
            return await write(Array(batch[half...]))
        }
    }

    private func giveBack(_ batch: ArraySlice<SyncEntry>, _ reason: String) -> Bool {
        limit = 1
        for entry in batch { line.conclude(entry, .failed(reason, counts: false)) }
        return false
    }

    private func tell(_ reason: String, _ batch: [SyncEntry]) {
        warnings.write([
            "sync.key": "\(line.name)", "sync.count": "\(batch.count)", "sync.reason": "\(reason)",
        ])
    }

    private func conclude(_ batch: [SyncEntry], _ outcomes: [SyncOutcome]) {
        takes = true
        backoff.succeeded()
        limit = min(owner.options.maxBatch, limit * 2)
        for (index, entry) in batch.enumerated() {
            guard index < outcomes.count else {
                line.conclude(entry, .failed("the sink told nothing of it", counts: true))
                continue
            }
            switch outcomes[index] {
            case .written: line.conclude(entry, .written)
            case .failed(let reason): line.conclude(entry, .failed(reason, counts: true))
            case .refused(let reason): line.conclude(entry, .refused(reason))
            }
        }
    }
}
