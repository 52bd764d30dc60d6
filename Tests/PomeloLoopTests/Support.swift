// SPDX-License-Identifier: MIT
import CLibuv
import Foundation
import PomeloLoop
import Testing

/// What happened, in order.
@Loop final class Journal<Entry: Sendable> {
    var entries: [Entry] = []

    func note(_ entry: Entry) { entries.append(entry) }
}

/// Returns when the condition holds; records a failure when it does not within 20 s.
@Loop func until(
    _ what: String, at location: SourceLocation = #_sourceLocation, _ condition: @Loop () -> Bool
) async {
    let deadline = SystemClock.shared.deadline(after: .seconds(20))
    while !condition() {
        guard SystemClock.shared.now < deadline else {
            Issue.record("never became true: \(what)", sourceLocation: location)
            return
        }
        await SystemClock.shared.sleep(for: .milliseconds(1))
    }
}

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

/// How many open handles of each type the loop owns.
@Loop func handleCounts() -> [uv_handle_type.RawValue: Int] {
    guard let driver = EventLoop.shared.uv else { return [:] }
    var counts: [uv_handle_type.RawValue: Int] = [:]
    unsafe withUnsafeMutablePointer(to: &counts) { counts in
        unsafe uv_walk(
            driver.loop,
            { handle, counts in
                guard let handle = unsafe handle, let counts = unsafe counts else { return }
                let type = unsafe handle.pointee.type.rawValue
                unsafe counts.assumingMemoryBound(to: [uv_handle_type.RawValue: Int].self).pointee[
                    type, default: 0] += 1
            }, counts)
    }
    return counts
}
