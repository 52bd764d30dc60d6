// SPDX-License-Identifier: MIT
import Foundation
import PomeloLoop

/// Runs `body` as framework code runs: in a task that carries the loop as its preference.
func inSpawnedTask<T: Sendable>(_ body: @escaping @Loop @Sendable () async -> T) async -> T {
    await withCheckedContinuation { continuation in
        Loop.spawn { continuation.resume(returning: await body()) }
    }
}

/// Runs `body` on a thread that Swift concurrency knows nothing about.
func onForeignThread(_ body: @escaping @Sendable () -> Void) {
    Thread.detachNewThread(body)
}
