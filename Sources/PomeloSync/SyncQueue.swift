// SPDX-License-Identifier: MIT
import DequeModule
import PomeloBytes
import PomeloLoop

/// The values of one key that have no ids: each is written, in the order they came.
@Loop final class SyncQueue<Value: Sendable>: SyncLine {
    private struct Held {
        var value: Value
        var number: UInt64
        var since: UInt64
        var attempts = 0
    }

    let key: SyncKey<Value>
    private let owner: SyncOwner
    private var waiting: Deque<Held> = []
    private var onTheWay: Deque<Held> = []
    /// Of those that were on the way together: they wait again when all have been heard of.
    private var returned: [Held] = []
    /// Ticks until those that wait are due; nil when nobody waits for them.
    private var ticksLeft: Int?
    private var isDue = false

    let isOrdered = true
    var name: Text { key.name }
    var count: Int { waiting.count + onTheWay.count + returned.count }
    var hasDue: Bool { isDue && onTheWay.isEmpty && !waiting.isEmpty }
    var isTicking: Bool { ticksLeft != nil }
    var oldest: UInt64? { (onTheWay.first ?? returned.first)?.since ?? waiting.first?.since }

    init(_ key: SyncKey<Value>, _ owner: SyncOwner) {
        self.key = key
        self.owner = owner
    }

    func append(_ value: Value) throws(SyncError) {
        guard owner.hasRoom else { throw owner.overloaded }
        owner.tally.executed += 1
        owner.tally.pending += 1
        waiting.append(Held(value: value, number: owner.versions.next(), since: owner.clock.now))
        if ticksLeft == nil, !isDue { ticksLeft = owner.drawTicks() }
    }

    func tick() {
        guard let left = ticksLeft else { return }
        ticksLeft = left > 1 ? left - 1 : nil
        if left <= 1 { isDue = true }
    }

    func makeAllDue() {
        ticksLeft = nil
        isDue = true
    }

    func take(_ limit: Int) -> [SyncEntry] {
        guard hasDue else { return [] }
        var batch: [SyncEntry] = []
        while batch.count < limit, let held = waiting.popFirst() {
            let version = owner.versions.version(held.number)
            do {
                batch.append(SyncEntry(key: name, id: nil, value: try key.encode(held.value), version: version))
                onTheWay.append(held)
            } catch {
                var hopeless = held
                hopeless.attempts = owner.options.attempts
                giveBack(hopeless, nil, "its value cannot be encoded: \(error)")
            }
        }
        if batch.isEmpty, !returned.isEmpty { putBack() }
        if waiting.isEmpty { isDue = false }
        return batch
    }

    /// Those behind one that failed wait behind it again, but for those that arrived.
    func conclude(_ entry: SyncEntry, _ attempt: Attempt) {
        guard let index = onTheWay.firstIndex(where: { $0.number == entry.version.number }) else { return }
        var held = onTheWay.remove(at: index)
        switch attempt {
        case .written:
            owner.tally.pending -= 1
            owner.tally.written += 1
        case .failed(let reason, let counts):
            held.attempts += counts ? 1 : 0
            giveBack(held, entry.value, reason)
        case .refused(let reason):
            held.attempts = owner.options.attempts
            giveBack(held, entry.value, reason)
        }
        if onTheWay.isEmpty, !returned.isEmpty { putBack() }
    }

    func end(_ reason: String) {}

    private func giveBack(_ held: Held, _ value: Bytes?, _ reason: String) {
        if held.attempts >= owner.options.attempts, owner.letters.hasRoom {
            owner.tally.pending -= 1
            let version = owner.versions.version(held.number)
            owner.letters.add(DeadLetter(key: name, id: nil, value: value, version: version, reason))
        } else {
            owner.tally.retries += 1
            returned.append(held)
        }
    }

    private func putBack() {
        waiting.insert(contentsOf: returned, at: 0)
        ticksLeft = owner.ticks(afterAttempts: max(1, returned[0].attempts))
        isDue = false
        returned = []
    }
}
