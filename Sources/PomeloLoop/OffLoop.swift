// SPDX-License-Identifier: MIT
import CLibuv
import PomeloLibc

/// Why blocking work could not be taken.
public enum OffLoopError: Error, Sendable, Equatable {
    /// The bounded queue of the worker threads is full.
    case queueFull(limit: Int)
}

/// Runs blocking or CPU-heavy work on a worker thread and returns its value on the caller's actor.
///
/// - Isolation: `body` runs on one of 2 worker threads, never on the loop.
/// - Throws: what `body` throws; `OffLoopError.queueFull` at once when 256 jobs are waiting.
public func offLoop<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await WorkerPool.shared.run(body)
}

/// Jobs of `offLoop` that wait or run; one that has ended may count for a moment longer.
package var offLoopJobs: Int { WorkerPool.shared.count }

/// Monotonic milliseconds of a thread that has no loop whose clock it could ask.
package var threadMilliseconds: Int64 { Int64(clamping: uv_hrtime() / 1_000_000) }

/// Why a job of a thread that had others to do was left: it waited for too long.
package struct OffLoopNotBegun: Error, CustomStringConvertible {
    let limit: Duration
    package var description: String { "what came before it took longer than \(limit)" }
}

/// A thread of its own, for a library that may block for seconds: those of `offLoop` stay free for everybody else.
package final class WorkerThread: Sendable {
    private let pool = WorkerPool(threads: 1)

    /// Starts it.
    package init() {}

    deinit { pool.close() }

    /// Runs jobs one after the other, as `offLoop` does.
    package func run<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await pool.run(body)
    }

    /// Runs a job unless those before it take longer than `limit`.
    ///
    /// - Throws: what `body` throws; `OffLoopNotBegun`, `OffLoopError` when nothing of it was done.
    package func run<T: Sendable>(
        waitingAtMost limit: Duration, _ body: @escaping @Sendable () throws -> T
    ) async throws -> T {
        let start = threadMilliseconds
        return try await pool.run {
            if threadMilliseconds - start > limit.clampedMilliseconds { throw OffLoopNotBegun(limit: limit) }
            return try body()
        }
    }

    /// Runs a last job behind all others, which finds room in any case.
    package func runLast(_ body: @escaping @Sendable () -> Void) async {
        await withCheckedContinuation { continuation in
            pool.add {
                body()
                continuation.resume()
            }
        }
    }
}

/// A fixed number of threads over one bounded queue.
final class WorkerPool: Sendable {
    static let shared = WorkerPool(threads: threadCount)
    static let threadCount = 2
    static let queueLimit = 256

    private struct Jobs {
        var waiting: [@Sendable () -> Void] = []
        var running = 0
        var isClosed = false
    }

    private let queue = PosixMutex(Jobs())

    init(threads: Int) {
        for _ in 0..<threads { startThread() }
    }

    func run<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            let accepted = submit { continuation.resume(with: Result { try body() }) }
            if !accepted { continuation.resume(throwing: OffLoopError.queueFull(limit: Self.queueLimit)) }
        }
    }

    /// Its threads end when what waits is done; for a pool of one thread.
    func close() {
        queue.withLock { $0.isClosed = true }
        queue.signal()
    }

    private func submit(_ job: @escaping @Sendable () -> Void) -> Bool {
        let accepted = queue.withLock { jobs in
            if jobs.waiting.count >= Self.queueLimit { return false }
            jobs.waiting.append(job)
            return true
        }
        if accepted { queue.signal() }
        return accepted
    }

    func add(_ job: @escaping @Sendable () -> Void) {
        queue.withLock { $0.waiting.append(job) }
        queue.signal()
    }

    var count: Int { queue.withLock { $0.waiting.count + $0.running } }

    /// Nil when it is closed.
    private func next() -> (@Sendable () -> Void)? {
        queue.waitFor { jobs -> (@Sendable () -> Void)?? in
            if jobs.waiting.isEmpty { return jobs.isClosed ? .some(nil) : nil }
            jobs.running += 1
            return jobs.waiting.removeFirst()
        }
    }

    private func startThread() {
        var thread = pthread_t()
        let context = unsafe Unmanaged.passRetained(self).toOpaque()
        let status = unsafe pthread_create(
            &thread, nil,
            { context in
                guard let context = unsafe context else { return nil }
                let pool = unsafe Unmanaged<WorkerPool>.fromOpaque(context).takeRetainedValue()
                while let job = pool.next() {
                    job()
                    pool.queue.withLock { $0.running -= 1 }
                }
                return nil
            }, context)
        precondition(status == 0, "a worker thread could not be started")
        pthread_detach(thread)
    }
}
