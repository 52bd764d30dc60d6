// SPDX-License-Identifier: MIT

/// Something with bytes to hand to the kernel at the end of a turn: a stream, a Redis connection.
@Loop public protocol Flushable: AnyObject {
    /// Writes what was queued during the turn, in one system call where possible.
    func flushTurn()
}

/// What became dirty during this turn, in the order it did.
@Loop public final class FlushList {
    /// The most objects flushed in one turn; the rest goes after a poll that does not wait.
    static let turnLimit = 256

    private var dirty: [any Flushable] = []
    private var next = 0

    nonisolated init() {}

    var isEmpty: Bool { next == dirty.count }

    /// Queues an object once; the caller keeps its own "already queued" mark, which `flushTurn` clears.
    public func append(_ object: any Flushable) { dirty.append(object) }

    func flush() {
        var budget = Self.turnLimit
        while next < dirty.count, budget > 0 {
            let object = dirty[next]
            next += 1
            budget -= 1
            object.flushTurn()
        }
        forgetFlushed()
    }

    /// Lets go of what was flushed, also while overload keeps the list from ever becoming empty.
    private func forgetFlushed() {
        if next == dirty.count {
            dirty.removeAll(keepingCapacity: dirty.capacity <= 4096)
            next = 0
        } else if next > dirty.count / 2 {
            dirty.removeFirst(next)
            next = 0
        }
    }
}
