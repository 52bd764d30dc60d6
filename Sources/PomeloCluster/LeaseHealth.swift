// SPDX-License-Identifier: MIT
import Logging
import Metrics
import PomeloCore
import PomeloLoop

/// When the lease was last renewed, and what follows from that.
///
/// Measured from the moment a renewal was sent, on this server's own clock: never later than the others count.
@Loop final class LeaseHealth {
    private(set) var current = MembershipHealth.healthy
    /// Whether commands and messages arrive, whatever becomes of the lease.
    var delivers = true {
        didSet { if delivers != oldValue { record() } }
    }
    private let clock: any LoopClock
    private let patience: Duration
    private let log: Logger
    private let gauge = Gauge(label: "pomelo.cluster.health")
    private var timer: TimerID?

    init(lease: Duration, _ clock: any LoopClock, _ log: Logger) {
        patience = lease * 2
        self.clock = clock
        self.log = log
    }

    /// A renewal that was sent then has been confirmed.
    func renewed(sentAt time: UInt64) {
        if let timer { clock.cancel(timer) }
        timer = clock.schedule(at: time + patience.clampedNanoseconds) { [weak self] in self?.isolate() }
        if current != .healthy { log.notice("the lease is renewed again", metadata: ["pomelo.was": "\(current)"]) }
        become(.healthy)
    }

    /// Redis is away or does not renew; told once.
    func degrade(_ reason: String) {
        guard current == .healthy else { return }
        log.warning("redis is away: the lease is not renewed", metadata: ["pomelo.reason": "\(reason)"])
        become(.degraded)
    }

    /// Nothing is measured any more.
    func stop() {
        if let timer { clock.cancel(timer) }
        timer = nil
    }

    private func isolate() {
        log.error("isolated: the lease was not renewed for \(patience), user ids cannot be bound")
        become(.isolated)
    }

    private func become(_ health: MembershipHealth) {
        current = health
        record()
    }

    /// The gauge says 0 for healthy, 1 for degraded, 2 for isolated.
    private func record() {
        switch current {
        case .healthy: gauge.record(delivers ? 0 : 1)
        case .degraded: gauge.record(1)
        case .isolated: gauge.record(2)
        }
    }
}
