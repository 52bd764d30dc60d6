// SPDX-License-Identifier: MIT
import PomeloBytes

/// Ids by when they are due, in a ring of ticks: adding one and finding the next takes the same time however many wait.
struct DueWheel {
    static let ticks = 64

    private var ring: [[Text]] = Array(repeating: [], count: ticks)
    private var at = 0
    private var due: [Text] = []
    private var next = 0
    /// Those in the ring or due.
    private var scheduled: Set<Text> = []

    var isEmpty: Bool { scheduled.isEmpty }
    var hasDue: Bool { next < due.count }

    /// Ignored for one that is there already: it comes sooner then.
    mutating func add(_ id: Text, ticksAhead: Int) {
        guard scheduled.insert(id).inserted else { return }
        if ticksAhead <= 0 { return due.append(id) }
        ring[(at + min(ticksAhead, Self.ticks) - 1) % Self.ticks].append(id)
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
        if !hasDue {
            due.removeAll(keepingCapacity: due.capacity <= 4096)
            next = 0
        }
        if due.isEmpty { swap(&due, &ring[tick]) } else { due += ring[tick] }
        ring[tick] = []
    }

    mutating func removeDue() -> Text? {
        guard hasDue else { return nil }
        let id = due[next]
        next += 1
        if next == due.count {
            due = []
            next = 0
        }
        scheduled.remove(id)
        return id
    }
}
