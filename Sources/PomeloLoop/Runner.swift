// SPDX-License-Identifier: MIT
import DequeModule

/// Starts bodies in the order they were queued, in one task as long as none of them waits.
///
/// A task costs more than the work of most requests, and most requests never wait.
@Loop final class Runner {
    static let shared = Runner()
    /// Bodies begun by one task, so that other tasks have their turn.
    private static let bodiesEach = 16

    private var waiting: Deque<@Loop @Sendable () async -> Void> = []
    /// A task that will begin with the first body has not begun yet.
    private var isStarting = false

    nonisolated private init() {}

    func enqueue(_ body: @escaping @Loop @Sendable () async -> Void) {
        waiting.append(body)
        startTask()
    }

    private func startTask() {
        guard !isStarting, !waiting.isEmpty else { return }
        isStarting = true
        Loop.spawn { await self.run() }
    }

    private func run() async {
        isStarting = false
        for _ in 0..<Self.bodiesEach {
            guard let body = waiting.popFirst() else { return }
            // Should this body wait, another task goes on with the next.
            startTask()
            await body()
            // A body can cancel only the task it runs in, and must not cancel those that follow. Each body counts when
            // the loop decides to look at its sockets again.
            if Task.isCancelled || !EventLoop.shared.spend() { break }
        }
        startTask()
    }
}
