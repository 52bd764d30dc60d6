// SPDX-License-Identifier: MIT
import DequeModule
import PomeloBytes

/// What waits for a client that reads slowly, under a policy that leaves pushes out; others have none.
///
/// - Guarantee: what is taken comes in the order it was put; only pushes are left out.
final class Outbox<Item> {
    private struct Entry {
        let item: Item
        let size: Int
        /// The push's route; nil for what must not be left out.
        let route: Text?
    }

    private let latestOnly: Bool
    private var entries: Deque<Entry> = []
    /// The memory of what waits, in bytes.
    private(set) var size = 0
    /// Pushes left out so far.
    private(set) var dropped = 0

    init(latestOnly: Bool) { self.latestOnly = latestOnly }

    var isEmpty: Bool { entries.isEmpty }

    /// Adds something; false when more than `limit` bytes wait that must not be left out.
    func put(_ item: Item, size added: Int, route: Text?, limit: Int) -> Bool {
        if latestOnly, let route { leaveOut { $0.route == route } }
        entries.append(Entry(item: item, size: added, route: route))
        size += added
        if size <= limit { return true }
        // An eighth of room at once: the next ones cost no search. The newest stays, whatever it is.
        var left = entries.count
        var excess = size - (limit - limit / 8)
        leaveOut { entry in
            left -= 1
            guard excess > 0, entry.route != nil, left > 0 else { return false }
            excess -= entry.size
            return true
        }
        return size <= limit || entries.count == 1
    }

    func take() -> Item? {
        guard let first = entries.popFirst() else { return nil }
        size -= first.size
        return first.item
    }

    private func leaveOut(_ isLeftOut: (Entry) -> Bool) {
        entries.removeAll { entry in
            guard isLeftOut(entry) else { return false }
            size -= entry.size
            dropped += 1
            return true
        }
    }
}
