// SPDX-License-Identifier: MIT
import PomeloLoop

/// Does something again and again, a little sooner than said, never twice at once, as long as its owner lives.
///
/// Two of its looks are sooner than what is done each second must be done, so that this has no wake of its own.
@Loop final class PeriodicTask {
    private let clock: any LoopClock
    private let random: RandomSource
    private let interval: Duration
    private let body: @Loop @Sendable () async -> Void
    private var timer: TimerID?
    private var isRunning = false

    /// The body must hold its owner weakly.
    init(
        every interval: Duration, _ clock: any LoopClock, _ random: RandomSource,
        _ body: @escaping @Loop @Sendable () async -> Void
    ) {
        self.interval = interval
        self.clock = clock
        self.random = random
        self.body = body
    }

    func start() {
        isRunning = true
        arm()
    }

    func stop() {
        isRunning = false
        if let timer { clock.cancel(timer) }
        timer = nil
    }

    private func arm() {
        let earliest = clock.deadline(after: interval * 0.9)
        let latest = clock.deadline(after: random.jittered(interval * 0.93, by: 0.03))
        timer = clock.schedule(from: earliest, to: latest) { [weak self] in self?.fire() }
    }

    private func fire() {
        timer = nil
        Loop.spawn { [weak self, body] in
            await body()
            if let self, self.isRunning { self.arm() }
        }
    }
}
