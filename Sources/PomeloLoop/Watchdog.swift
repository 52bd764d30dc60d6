// SPDX-License-Identifier: MIT
import CLibuv
import CPomelo
import PomeloLibc
import Synchronization

/// A thread that notices when the loop does not turn and says where it hangs.
///
/// It only reports: it never renews a lease, because a blocked loop is a dead server.
public final class Watchdog: Sendable {
    /// One stall: how long the loop had not turned when it was noticed, and where it was.
    public struct Stall: Sendable {
        /// How long the loop had not turned.
        public let milliseconds: Int
        /// The loop thread's stack, one frame a line; empty when it could not be sampled.
        public let backtrace: String
    }

    private let stopped = Atomic<Bool>(false)
    private let limitMilliseconds: Int
    private let report: @Sendable (Stall) -> Void

    /// Starts watching; `report` is called on the watchdog's thread, once per stall.
    public init(limitMilliseconds: Int = 250, report: @escaping @Sendable (Stall) -> Void) {
        self.limitMilliseconds = limitMilliseconds
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
    public func stop() { stopped.store(true, ordering: .relaxed) }

    /// A loop that sleeps in its poll also does not turn, so the watchdog asks it to, and measures the answer.
    private func watch() {
        let answer = Answer()
        var asked: UInt64 = 0
        var reported = false
        while !stopped.load(ordering: .relaxed) {
            let now = uv_hrtime()
            if answer.given.load(ordering: .acquiring) {
                answer.given.store(false, ordering: .releasing)
                asked = now
                reported = false
                EventLoop.shared.post { answer.given.store(true, ordering: .releasing) }
            } else if !reported, Int((now - asked) / 1_000_000) > limitMilliseconds {
                reported = true
                report(Stall(milliseconds: Int((now - asked) / 1_000_000), backtrace: Self.backtrace()))
            }
            usleep(50_000)
        }
    }

    private static func backtrace() -> String {
        var text = [CChar](repeating: 0, count: 16_384)
        let length = unsafe text.withUnsafeMutableBufferPointer { buffer in
            unsafe pomelo_sample_backtrace(buffer.baseAddress, buffer.count)
        }
        return String(decoding: text.prefix(length).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

private final class Answer: Sendable {
    let given = Atomic<Bool>(true)
}
