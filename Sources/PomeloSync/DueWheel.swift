// SPDX-License-Identifier: MIT
import DequeModule
import PomeloBytes

/// Ids by when they are due, in a ring of ticks: adding one and finding the next takes the same time however many wait.
struct DueWheel {
    static let ticks = 64

    private var ring: [[Text]] = Array(repeating: [], count: ticks)
    private var at = 0
    /// Whole ticks, the first of them from `next` on: to make many due moves none of them.
    private var due: Deque<[Text]> = []
    private var next = 0
    /// Those in the ring or due.
    private var scheduled: Set<Text> = []

    var isEmpty: Bool { scheduled.isEmpty }
    var hasDue: Bool { !due.isEmpty }

    /// Ignored for one that is there already: it comes sooner then.
    mutating func add(_ id: Text, ticksAhead: Int) {
        guard scheduled.insert(id).inserted else { return }
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

    mutating func removeDue() -> Text? {
        guard let first = due.first else { return nil }
        let id = first[next]
        next += 1
        if next == first.count {
            due.removeFirst()
            next = 0
        }
        scheduled.remove(id)
        return id
    }
}
