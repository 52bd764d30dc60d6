// SPDX-License-Identifier: MIT

/// One outcome that several may bring about and one awaits: the first counts, later ones find nobody.
@Loop package final class FirstOutcome<Value: Sendable> {
    /// The outcome, once there is one.
    package private(set) var value: Value?
    private var waiter: CheckedContinuation<Value, Never>?

    /// Open as yet.
    package nonisolated init() {}

    /// Whether it is still to come.
    package var isOpen: Bool { value == nil }

    /// Brings it about; false when another was first.
    @discardableResult
    package func end(with value: Value) -> Bool {
        guard self.value == nil else { return false }
        self.value = value
        waiter?.resume(returning: value)
        waiter = nil
        return true
    }

    /// Suspends until there is an outcome; called once.
    package func wait() async -> Value {
        await withCheckedContinuation { waiter in
            if let value { waiter.resume(returning: value) } else { self.waiter = waiter }
        }
    }
}

extension FirstOutcome where Value == Void {
    /// Brings the end about.
    package func end() { end(with: ()) }
}
