// SPDX-License-Identifier: MIT
#if Keel
    import NIOCore
    import NIOPosix
    import PomeloLoop

    /// The one thread of NIO: bytes of HTTP are moved on it, and never cost the loop a turn.
    ///
    /// It starts with the first use and lasts as long as the process. Everything of this room that is no `@Loop` is
    /// touched on it alone, so that nothing needs a lock.
    enum KeelThread {
        static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        static let loop: any NIOCore.EventLoop = group.next()
        /// What tasks of libraries prefer, for Swift's own executor may be the loop's.
        static let executor = KeelExecutor(loop: loop)

        /// Does something on NIO's thread, in the order of the calls.
        static func run(_ body: @escaping @Sendable () -> Void) { loop.execute(body) }

        /// Does something on the loop, in the order of the calls.
        static func onLoop(_ body: @escaping @Loop @Sendable () -> Void) { PomeloLoop.EventLoop.shared.post(body) }

        /// The instant after a duration; what is longer than a day is a day.
        static func deadline(after duration: Duration) -> NIODeadline { .now() + time(duration) }

        /// A duration in NIO's words; what is longer than a day is a day.
        static func time(_ duration: Duration) -> TimeAmount {
            .nanoseconds(Int64(clamping: min(duration, .seconds(86400)).clampedNanoseconds))
        }
    }

    /// Runs tasks on a thread of NIO.
    final class KeelExecutor: TaskExecutor {
        private let loop: any NIOCore.EventLoop

        init(loop: any NIOCore.EventLoop) { self.loop = loop }

        func enqueue(_ job: consuming ExecutorJob) { loop.executor.enqueue(job) }
    }
#endif
