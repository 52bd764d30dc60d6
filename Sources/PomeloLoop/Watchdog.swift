// SPDX-License-Identifier: MIT
import CLibuv
import PomeloLibc

/// A thread that notices when the loop does not return to its poll, and says where it hangs.
///
/// It only looks, and never wakes the loop: once in each `limit`, so that it sees every stall that long begin, and then
/// when that stall is due. It only reports: it never renews a lease, because a blocked loop is a dead server.
public final class Watchdog: Sendable {
    /// One stall: how long the loop had not turned when it was noticed, and where it was.
    public struct Stall: Sendable {
        /// How long the loop had not turned.
        public let milliseconds: Int
        /// The loop thread's stack with names, innermost first, one frame a line; empty when it could not be had.
        public let backtrace: String
    }

    /// Whether it is stopped; held while it reports.
    private let stopped = PosixMutex(false)
    private let limit: UInt64
    private let report: @Sendable (Stall) -> Void

    /// Starts watching; `report` is called on the watchdog's thread, once per stall.
    ///
    /// - Guarantee: no system call of the loop's thread is interrupted: while it waits in one, its stack is read, and
    ///   only while it computes is it sampled by a signal.
    public init(limitMilliseconds: Int = 250, report: @escaping @Sendable (Stall) -> Void) {
        limit = UInt64(clamping: max(1, limitMilliseconds))
        self.report = report
        guard EventLoop.shared.uv != nil else { return }
        var thread = pthread_t()
        let context = unsafe Unmanaged.passRetained(self).toOpaque()
        let status = unsafe pthread_create(
            &thread, nil,
            { context in
                guard let context = unsafe context else { return nil }
                unsafe Unmanaged<Watchdog>.fromOpaque(context).takeRetainedValue().watch()
                return nil
            }, context)
        if status == 0 { pthread_detach(thread) }
    }

    /// Ends the thread at its next look.
    ///
    /// - Guarantee: nothing is reported any more.
    public func stop() { stopped.withLock { $0 = true } }

    private func watch() {
        var reported: UInt64 = 0
        while !stopped.withLock({ $0 }) {
            var pause = limit
            let since = EventLoop.shared.busySince
            if since != 0, since != reported {
                let now = uv_hrtime() / 1_000_000
                let busy = now - min(since, now)
                if busy > limit {
                    reported = since
                    let stall = Stall(milliseconds: Int(busy), backtrace: LoopStack.text)
                    stopped.withLock { if !$0 { report(stall) } }
                } else {
                    pause = limit - busy + 1
                }
            }
            usleep(UInt32(clamping: pause * 1000))
        }
    }
}
