// SPDX-License-Identifier: MIT
import PomeloLoop

/// Who waits for what becomes of commands, and is told once: whoever holds it forgets it before.
///
/// Its continuation is an unchecked one, for a checked one is an object of its own for each command; the batches that
/// hold one do not end before they have told it.
@safe struct RedisWaiter: Sendable {
    private let continuation: UnsafeContinuation<PendingBatch.Word, Never>

    /// Suspends until the waiter given to `body` is told.
    @inline(__always)
    @Loop static func wait(_ body: (RedisWaiter) -> Void) async -> PendingBatch.Word {
        await unsafe withUnsafeContinuation { unsafe body(RedisWaiter(continuation: $0)) }
    }

    func resume(_ word: PendingBatch.Word) { unsafe continuation.resume(returning: word) }
    func fail(_ error: RedisError) { resume(.ended(.failure(error))) }
}
