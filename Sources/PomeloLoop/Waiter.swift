// SPDX-License-Identifier: MIT

/// Who is suspended until told, which is once: whoever holds it forgets it before.
///
/// Its continuation is an unchecked one, for a checked one is an object of its own for each wait: only for what many
/// callers a turn wait for, held by an object that does not end before it has told all it holds.
@safe package struct Waiter<Word: Sendable>: Sendable {
    @usableFromInline let continuation: UnsafeContinuation<Word, Never>

    /// Of a continuation that nobody else resumes.
    @inlinable
    package init(_ continuation: UnsafeContinuation<Word, Never>) { unsafe self.continuation = continuation }

    /// Suspends until the waiter given to `body` is told.
    @Loop package static func wait(_ body: (Waiter) -> Void) async -> Word {
        await unsafe withUnsafeContinuation { unsafe body(Waiter($0)) }
    }

    /// Tells it.
    @inlinable
    package func resume(_ word: Word) { unsafe continuation.resume(returning: word) }
}
