// SPDX-License-Identifier: MIT
import CLibuv
import CPomelo
import Glibc

/// The switch that brings users' own `Task {}`, `Task.detached`, default actors and `Task.sleep` onto the loop.
///
/// It uses hook variables that the Swift runtime exports for embedders; where they are missing or without effect
/// the framework works unchanged, only such foreign tasks run on Swift's global pool.
public enum ProcessWideExecutor {
    /// Installs the hooks and proves them with one detached task; returns whether they work.
    ///
    /// Call once, before other tasks are started. `@MainActor` code stays on the main thread.
    public static func install() async -> Bool {
        guard EventLoop.shared.uv != nil else { return false }
        let installed = unsafe pomelo_install_executor_hooks(
            { job in unsafe ProcessWideExecutor.enqueue(job) },
            { nanoseconds, job in unsafe ProcessWideExecutor.enqueue(job, after: nanoseconds) },
            { seconds, nanoseconds, clock, job in
                unsafe ProcessWideExecutor.enqueue(job, at: seconds, nanoseconds, clock)
            })
        guard installed == 1 else { return false }
        let landed = await Task.detached { EventLoop.shared.isOnLoop }.value
        if landed { await takeOwnership() }
        return landed
    }

    @Loop private static func takeOwnership() { EventLoop.shared.setOwnsProcess() }

    private static func enqueue(_ job: UnsafeMutableRawPointer?) {
        guard let job = unsafe job else { return }
        EventLoop.shared.admit(unsafe unsafeBitCast(job, to: UnownedJob.self))
    }

    private static func enqueue(_ job: UnsafeMutableRawPointer?, after nanoseconds: UInt64) {
        guard let job = unsafe job else { return }
        let unowned = unsafe unsafeBitCast(job, to: UnownedJob.self)
        EventLoop.shared.post {
            let clock = SystemClock.shared
            _ = clock.schedule(at: clock.now &+ nanoseconds) { EventLoop.shared.admit(unowned) }
        }
    }

    /// The deadline is absolute on `clock` (1 and 3 are the suspending clock's numbers in the 6.3 runtime).
    private static func enqueue(
        _ job: UnsafeMutableRawPointer?, at seconds: Int64, _ nanoseconds: Int64, _ clock: Int32
    ) {
        var now = timespec()
        unsafe clock_gettime(clock == 1 || clock == 3 ? CLOCK_MONOTONIC : CLOCK_BOOTTIME, &now)
        let delay = (seconds - Int64(now.tv_sec)) * 1_000_000_000 + nanoseconds - Int64(now.tv_nsec)
        unsafe enqueue(job, after: UInt64(max(0, delay)))
    }
}
