// SPDX-License-Identifier: MIT
//
// PomeloLoop: one libuv loop, which is also the Swift executor of everything in the framework.
// Reading order: Loop, EventLoop, JobRing, Runner, EventLoop+UV, TimerGate, FlushList, TimerHeap, LoopClock,
// FirstOutcome, Waiter, Backoff, OffLoop, ProcessWideExecutor, Watchdog; then the seams ByteStream, Network,
// RandomSource.

/// The isolation domain of the framework: code marked `@Loop` runs on the process's one event loop thread.
///
/// - Isolation: framework classes are isolated to it and call each other synchronously.
@globalActor @safe public actor Loop {
    /// The one instance a global actor has.
    public static let shared = Loop()

    /// Stored, so that a hop costs a load and a compare instead of a lazy-global access.
    public nonisolated let unownedExecutor: UnownedSerialExecutor

    private init() {
        unsafe unownedExecutor = EventLoop.shared.asUnownedSerialExecutor()
    }

    /// Runs a synchronous body with `@Loop` isolation; the caller must already be on the loop thread.
    public nonisolated static func assumeIsolated<T>(_ body: @Loop () throws -> T) rethrows -> T {
        precondition(EventLoop.shared.isOnLoop, "not on the event loop thread")
        return try unsafe entered(body)
    }

    /// The one door from C: what a libuv or hiredis callback uses to enter the loop's isolation.
    @inlinable @inline(__always)
    public nonisolated static func fromCallback<T>(_ body: @Loop () throws -> T) rethrows -> T {
        assert(EventLoop.shared.isOnLoop)
        EventLoop.shared.noteWork()
        return try unsafe entered(body)
    }

    /// The same for the loop's own code, once it is known that it works.
    @inline(__always)
    nonisolated static func inTurn<T, E: Error>(_ body: @Loop () throws(E) -> T) throws(E) -> T {
        assert(EventLoop.shared.isOnLoop)
        return try unsafe entered(body)
    }

    /// The isolation is a compile-time fact with no run-time part.
    ///
    /// What loses it is `call` and not the body, as in `MainActor.assumeIsolated`: that allocates, and checks that the
    /// body did not escape. Not made for its types this allocates too, so other modules are shown it.
    @inlinable @inline(__always) @unsafe
    nonisolated static func entered<T, E: Error>(_ body: @Loop () throws(E) -> T) throws(E) -> T {
        typealias Isolated = @Loop (@Loop () throws(E) -> T) throws(E) -> T
        typealias Free = (@Loop () throws(E) -> T) throws(E) -> T
        let isolated: Isolated = call
        return try unsafe unsafeBitCast(isolated, to: Free.self)(body)
    }

    @inlinable @inline(__always) @Loop
    static func call<T, E: Error>(_ body: @Loop () throws(E) -> T) throws(E) -> T { try body() }

    /// Starts a task on the loop; tasks started during one turn begin in the order of the calls.
    ///
    /// - Isolation: the task never leaves the loop thread, also when it awaits nonisolated functions.
    @discardableResult
    public nonisolated static func spawn(_ body: @escaping @Loop @Sendable () async -> Void) -> Task<
        Void, Never
    > {
        // With the process-wide executor a preference would cost extra enqueues (ProcessWideExecutor.swift).
        if EventLoop.shared.ownsProcess { return Task(operation: body) }
        return Task(executorPreference: EventLoop.shared, operation: body)
    }

    /// Runs a body soon: bodies begin in the order of the calls, each outside the turn's current job.
    ///
    /// - Isolation: as `spawn`, but bodies that do not wait share a task; `queued` cancels this body alone.
    @Loop public static func enqueue(
        _ queued: QueuedBody? = nil, _ body: @escaping @Loop @Sendable () async -> Void
    ) {
        EventLoop.shared.runner.enqueue(queued, body)
    }

    /// Runs a body soon, in order with those that may wait, and without a task: the cheapest way out of a callback.
    @Loop public static func enqueueSynchronous(_ body: @escaping @Loop () -> Void) {
        EventLoop.shared.runner.enqueueSynchronous(body)
    }

    /// Suspends until the jobs queued now have run.
    @Loop public static func yield() async {
        await withCheckedContinuation { continuation in
            EventLoop.shared.defer(continuation)
        }
    }

    /// Runs `body` on the loop and returns its value to a caller on any thread or actor.
    ///
    /// A task that does not carry the loop as its preference may be suspended on its way into any `async` function,
    /// also into `withCheckedContinuation`: code that waits must decide whether to wait inside the continuation's body.
    public nonisolated static func run<T: Sendable>(
        _ body: @escaping @Loop @Sendable () async throws -> T
    ) async throws -> T {
        if EventLoop.shared.ownsProcess { return try await body() }
        return try await withTaskExecutorPreference(EventLoop.shared) { try await body() }
    }
}
