// SPDX-License-Identifier: MIT
public import PomeloLoop

/// Notes that this process did not run for a while: stopped, swapped out, or held up by a turn that was far too long.
///
/// A timer that comes late tells it. What others sent meanwhile may have been given up by them.
@Loop public final class PauseWatch {
    private static let interval = Duration.milliseconds(500)
    /// Around it, so that the look at the registry is wake enough.
    private static let window = (least: Duration.milliseconds(400), most: Duration.milliseconds(560))
    /// A shorter one is no pause: nobody gives up so soon.
    public nonisolated static let threshold = Duration.seconds(1)

    private let clock: any LoopClock
    private var listeners: [@Loop (Duration) -> Void] = []
    private var timer: TimerID?
    private var due = UInt64.max
    private var wokeAt: UInt64 = 0
    /// Pauses since the start.
    public private(set) var count = 0

    init(_ clock: any LoopClock) { self.clock = clock }

    /// Is told how long each pause took, at most half a second too little; for the life of the watch.
    ///
    /// Nothing is watched before somebody wants to know.
    public func on(_ listener: @escaping @Loop (Duration) -> Void) {
        listeners.append(listener)
        start()
    }

    func start() {
        if timer == nil { watch() }
    }

    /// Whether what was read at an instant may have waited while this process did not run.
    func mayHaveWaited(_ arrival: UInt64, at now: UInt64) -> Bool {
        // Sockets are read before the timer can tell of the pause.
        arrival <= wokeAt || now > due && now - due >= Self.threshold.clampedNanoseconds
    }

    func stop() {
        listeners = []
        if let timer { clock.cancel(timer) }
    }

    private func watch() {
        let now = clock.now
        due = clock.deadline(after: Self.interval, from: now)
        let earliest = clock.deadline(after: Self.window.least, from: now)
        let latest = clock.deadline(after: Self.window.most, from: now)
        timer = clock.schedule(from: earliest, to: latest) { [weak self] in self?.fired() }
    }

    private func fired() {
        let now = clock.now
        let late = now - min(due, now)
        watch()
        guard late >= Self.threshold.clampedNanoseconds else { return }
        wokeAt = now
        count += 1
        for listener in listeners { listener(.nanoseconds(Int64(clamping: late))) }
    }
}
