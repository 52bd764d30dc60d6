// SPDX-License-Identifier: MIT
import Metrics
import PomeloLoop

/// What one connection counts, for swift-metrics.
@Loop final class RedisMeter {
    /// One batch of so many is timed: a clock read for each would be a part of its cost.
    private static let sampleEvery = 16

    private let duration: Timer
    private let pending: Gauge
    private let reconnects: Counter
    private var batches = 0

    init(_ connection: String) {
        let dimensions = [("connection", connection)]
        duration = Timer(label: "pomelo.redis.command.duration", dimensions: dimensions)
        pending = Gauge(label: "pomelo.redis.pending", dimensions: dimensions)
        reconnects = Counter(label: "pomelo.redis.reconnects", dimensions: dimensions)
    }

    /// When a batch was sent; nil when it is not timed.
    func begun(_ clock: any LoopClock) -> UInt64? {
        batches &+= 1
        return batches % Self.sampleEvery == 1 ? clock.now : nil
    }

    /// The batch has its replies; so many commands still wait for theirs.
    func answered(_ start: UInt64?, pending count: Int, _ clock: any LoopClock) {
        guard let start else { return }
        duration.recordNanoseconds(Int64(clamping: clock.elapsed(since: start).clampedNanoseconds))
        pending.record(count)
    }

    /// It is up again after a loss.
    func reconnected() { reconnects.increment() }
}

/// What a client counts of its messages and its health.
@Loop struct RedisClientMeter {
    private let gaps = Counter(label: "pomelo.redis.gaps")
    private let health = Gauge(label: "pomelo.redis.health")

    func gap() { gaps.increment() }

    /// 0 for ready, 1 for degraded.
    func became(_ health: RedisHealth) { self.health.record(health == .ready ? 0 : 1) }
}
