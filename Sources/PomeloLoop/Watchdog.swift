// SPDX-License-Identifier: MIT
import CLibuv
import CPomelo
import PomeloLibc
import Synchronization

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

    private static let deepest = 48

    private let stopped = Atomic<Bool>(false)
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
    public func stop() { stopped.store(true, ordering: .relaxed) }

    private func watch() {
        var reported: UInt64 = 0
        while !stopped.load(ordering: .relaxed) {
            var pause = limit
            let since = EventLoop.shared.busySince
            if since != 0, since != reported {
                let now = uv_hrtime() / 1_000_000
                let busy = now - min(since, now)
                if busy > limit {
                    reported = since
                    report(Stall(milliseconds: Int(busy), backtrace: Self.backtrace()))
                } else {
                    pause = limit - busy + 1
                }
            }
            usleep(UInt32(clamping: pause * 1000))
        }
    }

    private static func backtrace() -> String {
        var addresses = unsafe [UnsafeMutableRawPointer?](repeating: nil, count: deepest)
        let count = unsafe addresses.withUnsafeMutableBufferPointer { buffer in
            unsafe pomelo_backtrace(buffer.baseAddress, Int32(buffer.count))
        }
        return unsafe addresses.prefix(Int(count)).map { unsafe name(of: $0) }.joined(separator: "\n")
    }

    private static func name(of address: UnsafeMutableRawPointer?) -> String {
        var text = [CChar](repeating: 0, count: 1024)
        let isKnown = unsafe text.withUnsafeMutableBufferPointer { buffer in
            unsafe pomelo_symbol(address, buffer.baseAddress, buffer.count)
        }
        guard isKnown else { return "0x" + String(UInt(bitPattern: address), radix: 16) }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
