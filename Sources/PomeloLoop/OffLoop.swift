// SPDX-License-Identifier: MIT
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
    try await withCheckedThrowingContinuation { continuation in
        let accepted = WorkerPool.shared.submit {
            continuation.resume(with: Result { try body() })
        }
        if !accepted { continuation.resume(throwing: OffLoopError.queueFull(limit: WorkerPool.queueLimit)) }
    }
}

/// Jobs of `offLoop` that wait or run; one that has ended may count for a moment longer.
package var offLoopJobs: Int { WorkerPool.shared.count }

/// A fixed number of threads over one bounded queue.
final class WorkerPool: Sendable {
    static let shared = WorkerPool()
    static let threadCount = 2
    static let queueLimit = 256

    private struct Jobs {
        var waiting: [@Sendable () -> Void] = []
        var running = 0
    }

    private let queue = PosixMutex(Jobs())

    private init() {
        for _ in 0..<Self.threadCount { startThread() }
    }

    func submit(_ job: @escaping @Sendable () -> Void) -> Bool {
        let accepted = queue.withLock { jobs in
            if jobs.waiting.count >= Self.queueLimit { return false }
            jobs.waiting.append(job)
            return true
        }
        if accepted { queue.signal() }
        return accepted
    }

    var count: Int { queue.withLock { $0.waiting.count + $0.running } }

    private func next() -> @Sendable () -> Void {
        queue.waitFor { jobs in
            if jobs.waiting.isEmpty { return nil }
            jobs.running += 1
            return jobs.waiting.removeFirst()
        }
    }

    private func startThread() {
        var thread = pthread_t()
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        let status = unsafe pthread_create(
            &thread, nil,
            { context in
                guard let context = unsafe context else { return nil }
                let pool = unsafe Unmanaged<WorkerPool>.fromOpaque(context).takeUnretainedValue()
                while true {
                    pool.next()()
                    pool.queue.withLock { $0.running -= 1 }
                }
            }, context)
        precondition(status == 0, "a worker thread could not be started")
        pthread_detach(thread)
    }
}
