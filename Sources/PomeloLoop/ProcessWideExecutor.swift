// SPDX-License-Identifier: MIT
import CLibuv
import CPomelo
import PomeloLibc

/// The switch that brings users' own `Task {}`, `Task.detached`, default actors and `Task.sleep` onto the loop.
///
/// Then no task needs a preference for the loop, which the runtime looks up under a lock at every `await`. It is no
/// place for what blocks, which is `offLoop`'s, nor for what computes long, which held up nobody on the pool.
///
/// It uses hook variables that the Swift runtime exports for embedders; where they are missing or without effect
/// the framework works unchanged, only such foreign tasks run on Swift's global pool. Threads, Dispatch queues and
/// executors of libraries are as before, and so is the main actor.
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
        let delay = Duration.nanoseconds(Int64(clamping: nanoseconds))
        EventLoop.shared.post {
            _ = SystemClock.shared.schedule(after: delay) { EventLoop.shared.admit(unowned) }
        }
    }

    /// The deadline is absolute on the runtime's clock of that number.
    private static func enqueue(
        _ job: UnsafeMutableRawPointer?, at seconds: Int64, _ nanoseconds: Int64, _ clock: Int32
    ) {
        var now = timespec()
        unsafe clock_gettime(kernelClock(clock), &now)
        let left =
            Duration.seconds(seconds) + .nanoseconds(nanoseconds)
            - .seconds(now.tv_sec) - .nanoseconds(now.tv_nsec)
        unsafe enqueue(job, after: left.clampedNanoseconds)
    }

    /// - Source: swift 6.3, stdlib/public/Concurrency/Clock.cpp (1 continuous, 2 suspending, 3 wall).
    private static func kernelClock(_ number: Int32) -> clockid_t {
        switch number {
        case 2: CLOCK_MONOTONIC
        case 3: CLOCK_REALTIME
        default: bootClock
        }
    }
}
