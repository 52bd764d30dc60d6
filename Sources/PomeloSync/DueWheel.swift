// SPDX-License-Identifier: MIT
import DequeModule

/// Numbers of ids by when they are due, in a ring of ticks: adding one and finding the next takes the same time however
/// many wait.
///
/// Who adds one knows whether it is there already.
struct DueWheel {
    static let ticks = 64

    private var ring: [[UInt32]] = Array(repeating: [], count: ticks)
    private var at = 0
    /// Whole ticks, the first of them from `next` on: to make many due moves none of them.
    private var due: Deque<[UInt32]> = []
    private var next = 0
    /// Those in the ring or due.
    private var count = 0

    var isEmpty: Bool { count == 0 }
    var hasDue: Bool { !due.isEmpty }

    mutating func add(_ id: UInt32, ticksAhead: Int) {
        count += 1
        if ticksAhead > 0 { return ring[(at + min(ticksAhead, Self.ticks) - 1) % Self.ticks].append(id) }
        if due.isEmpty { due.append([id]) } else { due[due.count - 1].append(id) }
    }

    /// The next tick's are due.
    mutating func tick() {
        makeDue(at)
        at = (at + 1) % Self.ticks
    }

    /// All are due, those of the next ticks first.
    mutating func makeAllDue() {
        for offset in 0..<Self.ticks { makeDue((at + offset) % Self.ticks) }
    }

    private mutating func makeDue(_ tick: Int) {
        if ring[tick].isEmpty { return }
        due.append(ring[tick])
        ring[tick] = []
    }

    mutating func removeDue() -> UInt32? {
        guard let first = due.first else { return nil }
        let id = first[next]
        next += 1
        count -= 1
        if next == first.count {
            due.removeFirst()
            next = 0
        }
        return id
    }
}
