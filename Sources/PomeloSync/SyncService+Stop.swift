// SPDX-License-Identifier: MIT
import Logging
import PomeloLoop

/// The end: what waits is written, and what cannot be stays in the journal.
extension SyncService {
    /// Between two rounds of a stop.
    private static let pause = Duration.milliseconds(200)
    /// The journal has so long for its last words.
    private static let lastWords = Duration.seconds(2)

    /// A little longer than `stopSeconds`.
    public var stopDeadline: Duration? { owner.options.stop + Self.lastWords * 2 }

    /// Writes what waits, within `stopSeconds`, and says what is left.
    public func stop() async {
        owner.isClosed = true
        let limit = owner.clock.deadline(after: owner.options.stop)
        while !isDone, owner.clock.now < limit {
            let round = Loop.spawn { await self.sync() }
            let timer = owner.clock.schedule(at: limit) { [self] in stopWriters() }
            await round.value
            owner.clock.cancel(timer)
            if !isDone { await owner.clock.sleep(for: min(Self.pause, owner.clock.left(until: limit))) }
        }
        stopWriters()
        await stopJournal()
        for sink in lanes.sinks { await sink.stop() }
    }

    private func stopWriters() {
        for lane in lanes.all { lane.writer.stop() }
    }

    private func stopJournal() async {
        let left = lanes.all.filter { $0.line.count > 0 }.map { "\($0.line.count) of \($0.line.name)" }.sorted()
        guard let journal = owner.journal else {
            if !isDone { log.error("values are lost that no sink has taken", metadata: ["sync.left": "\(left)"]) }
            return
        }
        let isWhole = await journal.stop(within: Self.lastWords)
        if let claims {
            let limit = owner.clock.deadline(after: Self.lastWords)
            while !claims.isDone, isDone, owner.clock.now < limit { await owner.clock.sleep(for: .milliseconds(20)) }
            claims.stop()
        }
        if isDone, isWhole { return await journal.unregister() }
        if isWhole {
            log.warning("values stay in the journal, for the next start", metadata: ["sync.left": "\(left)"])
        } else {
            log.error(
                "values are lost that neither a sink nor the journal has taken, as far as is known",
                metadata: ["sync.left": "\(left)", "sync.reason": "\(journal.away ?? "")"])
        }
    }
}
