// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop

/// Looks whether the files of the schemas have changed, off the loop, and reads them when they have.
///
/// A change counts once it has stood still for one look, so that a file is not read while it is being written, and two
/// files that change together are read together. One state of the files is tried once.
@Loop final class SchemaWatch {
    private enum Look: Sendable {
        case unchanged
        case moving(SchemaFiles.Stamp)
        case changed(SchemaFiles.Stamp, Result<MessageSchemas, any Error>)
    }

    private let files: SchemaFiles
    private let clock: any LoopClock
    private let period: Duration
    private let found: @Loop (Result<MessageSchemas, any Error>) -> Void
    private var used: SchemaFiles.Stamp
    private var tried: SchemaFiles.Stamp
    private var last: SchemaFiles.Stamp
    private var timer: TimerID?
    private var isStopped = false

    /// `used` is the state whose schemas are in use.
    init(
        _ files: SchemaFiles, used: SchemaFiles.Stamp, _ clock: any LoopClock, every period: Duration,
        found: @escaping @Loop (Result<MessageSchemas, any Error>) -> Void
    ) {
        self.files = files
        self.clock = clock
        self.period = period
        self.found = found
        self.used = used
        tried = used
        last = used
        wait()
    }

    func stop() {
        isStopped = true
        if let timer { clock.cancel(timer) }
        timer = nil
    }

    private func wait() {
        guard !isStopped else { return }
        // Not held by its timer: a port that cannot be opened never stops what was made for it.
        timer = clock.schedule(after: period) { [weak self] in
            guard let self else { return }
            Loop.spawn { await self.look() }
        }
    }

    private func look() async {
        let (files, used, tried, last) = (files, used, tried, last)
        do {
            take(try await offLoop { Self.look(at: files, used, tried, last) })
        } catch {
            // No thread is free: the next look will do.
        }
        wait()
    }

    private nonisolated static func look(
        at files: SchemaFiles, _ used: SchemaFiles.Stamp, _ tried: SchemaFiles.Stamp, _ last: SchemaFiles.Stamp
    ) -> Look {
        let now = files.stamp()
        if now == tried { return .unchanged }
        if now != last { return .moving(now) }
        let outcome = Result { try files.read(instead: used) }
        let after = files.stamp()
        return after == now ? .changed(now, outcome) : .moving(after)
    }

    private func take(_ look: Look) {
        guard !isStopped else { return }
        switch look {
        case .unchanged: last = tried
        case .moving(let stamp): last = stamp
        case .changed(let stamp, let outcome):
            (tried, last) = (stamp, stamp)
            if case .success = outcome { used = stamp }
            found(outcome)
        }
    }
}
