// SPDX-License-Identifier: MIT
import Metrics
import PomeloLoop

/// What sync counts, for swift-metrics.
@Loop struct SyncMeter {
    private let pending = Gauge(label: "pomelo.sync.pending")
    private let bytes = Gauge(label: "pomelo.sync.pendingBytes")
    private let age = Gauge(label: "pomelo.sync.oldestAge")
    private let merged = Gauge(label: "pomelo.sync.mergeRatio")
    private let letters = Gauge(label: "pomelo.sync.deadLetters")
    private let retries = Gauge(label: "pomelo.sync.retries")
    private let flush = Timer(label: "pomelo.sync.flush.duration")

    /// A sink has answered for a batch.
    func flushed(_ duration: Duration) {
        flush.recordNanoseconds(Int64(clamping: duration.clampedNanoseconds))
    }

    /// Once a second: what waits; of the age seconds, of merges calls for one value written.
    func record(_ info: SyncService.Info) {
        pending.record(info.pending)
        bytes.record(info.pendingBytes)
        age.record(Double(info.oldestAge.clampedMilliseconds) / 1000)
        if info.written > 0 { merged.record(Double(info.executed) / Double(info.written)) }
        letters.record(info.deadLetters)
        retries.record(info.retries)
    }
}
