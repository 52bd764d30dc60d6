// SPDX-License-Identifier: MIT
import DequeModule

/// Starts bodies in the order they were queued: synchronous ones without a task, the others in one task as long as none
/// of them waits.
///
/// A task costs more than the work of most requests, and most requests never wait.
@Loop final class Runner {
    /// Bodies begun by one task, or between two jobs, so that other tasks have their turn.
    private static let bodiesEach = 16

    private enum Body {
        case synchronous(@Loop () -> Void)
        case asynchronous(QueuedBody?, @Loop @Sendable () async -> Void)
    }

    private var waiting: Deque<Body> = []
    /// A task that will begin with the first body has not begun yet.
    private var isStarting = false

    nonisolated init() {}

    func enqueue(_ queued: QueuedBody?, _ body: @escaping @Loop @Sendable () async -> Void) {
        waiting.append(.asynchronous(queued, body))
        // Behind others it is begun when they have: by their task, or by the loop.
        if waiting.count == 1 { startTask() }
    }

    func enqueueSynchronous(_ body: @escaping @Loop () -> Void) { waiting.append(.synchronous(body)) }

    /// Whether the next body is not a task's to begin.
    var needsLoop: Bool { !isStarting && !waiting.isEmpty }

    /// Runs the synchronous bodies in front, and starts a task for what follows them; called between jobs.
    func runSynchronous() {
        var left = Self.bodiesEach
        while left > 0, !isStarting, case .synchronous(let body) = waiting.first {
            waiting.removeFirst()
            body()
            left -= 1
            guard EventLoop.shared.spend() else { return }
        }
        startTask()
    }

    /// Starts a task if the next body needs one.
    private func startTask() {
        guard !isStarting, case .asynchronous = waiting.first else { return }
        isStarting = true
        let runner = RunnerTask()
        runner.task = Loop.spawn { await self.run(runner) }
    }

    private func run(_ runner: RunnerTask) async {
        isStarting = false
        for _ in 0..<Self.bodiesEach {
            guard let body = waiting.popFirst() else { break }
            // Should this body wait, another task goes on with the next.
            startTask()
            switch body {
            case .synchronous(let body): body()
            case .asynchronous(let queued, let body):
                queued?.runner = runner
                await body()
                queued?.runner = nil
            }
            // The task of a body that was cancelled is cancelled too, and must not run those that follow. Each body
            // counts when the loop decides to look at its sockets again.
            if Task.isCancelled || !EventLoop.shared.spend() { break }
        }
        runner.task = nil
        startTask()
    }
}

/// A task that runs bodies one after the other.
@Loop private final class RunnerTask {
    var task: Task<Void, Never>?
}

/// A body given to `Loop.enqueue`, while it waits and while it runs.
@Loop public final class QueuedBody {
    fileprivate var runner: RunnerTask?
    /// Whether `cancel` was called.
    public private(set) var isCancelled = false

    /// A body that is not queued yet.
    public init() {}

    /// Cancels this body and no other; one that has not begun begins nevertheless, and looks at `isCancelled`.
    public func cancel() {
        isCancelled = true
        runner?.task?.cancel()
    }
}
