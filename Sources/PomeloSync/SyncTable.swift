// SPDX-License-Identifier: MIT
import DequeModule
import PomeloBytes
import PomeloLoop

/// The values of one key by their ids: of each id one that waits, and one on its way.
///
/// A value that comes while another one of its id is on its way waits until that has arrived, so that a sink gets the
/// values of an id one after the other. When it does not arrive, the two are merged.
@Loop final class SyncTable<Value: Sendable>: SyncLine {
    private struct Held {
        var value: Value
        var number: UInt64
        var since: UInt64
        var attempts: Int
    }

    let key: SyncKey<Value>
    private let owner: SyncOwner
    private var waiting: [Text: Held] = [:]
    private var onTheWay: [Text: Held] = [:]
    private var wheel = DueWheel()
    private var urgent: Deque<Text> = []
    private var confirmations = Confirmations()

    let isOrdered = false
    var name: Text { key.name }
    var count: Int { waiting.count + onTheWay.count }
    var hasDue: Bool { wheel.hasDue || !urgent.isEmpty }
    var isTicking: Bool { !wheel.isEmpty }
    var oldest: UInt64? {
        [waiting.values.lazy.map(\.since).min(), onTheWay.values.lazy.map(\.since).min()].compactMap { $0 }.min()
    }

    init(_ key: SyncKey<Value>, _ owner: SyncOwner) {
        self.key = key
        self.owner = owner
    }

    // MARK: values come

    /// Notes a value; the version's number comes back.
    ///
    /// - Throws: `SyncError.overloaded`.
    @discardableResult
    func put(_ id: Text, _ value: Value) throws(SyncError) -> UInt64 {
        let number = owner.versions.next()
        if let index = waiting.index(forKey: id) {
            let earlier = waiting.values[index].value
            waiting.values[index].value = merged(earlier, value)
            waiting.values[index].number = number
            owner.tally.executed += 1
            return number
        }
        guard onTheWay[id] != nil || owner.hasRoom else { throw owner.overloaded }
        waiting[id] = Held(value: value, number: number, since: owner.clock.now, attempts: 0)
        owner.tally.executed += 1
        owner.tally.pending += 1
        if onTheWay[id] == nil { wheel.add(id, ticksAhead: owner.drawTicks()) }
        return number
    }

    private func merged(_ earlier: Value, _ later: Value) -> Value { key.merge?(earlier, later) ?? later }

    /// Makes the value of an id due, and returns when it has been tried.
    func flushed(_ id: Text, _ number: UInt64, wake: @Loop () -> Void) async -> Attempt {
        let end = confirmations.add(id, number)
        urgent.append(id)
        wake()
        return await end.wait()
    }

    func tick() { wheel.tick() }
    func makeAllDue() { wheel.makeAllDue() }

    // MARK: values leave

    func take(_ limit: Int) -> [SyncEntry] {
        var batch: [SyncEntry] = []
        while batch.count < limit, let id = nextDue() {
            // Nothing new, or it is scheduled again when the one before has arrived.
            guard onTheWay[id] == nil, let held = waiting.removeValue(forKey: id) else { continue }
            do {
                let value = try key.encode(held.value)
                onTheWay[id] = held
                batch.append(
                    SyncEntry(key: name, id: id, value: value, version: owner.versions.version(held.number)))
            } catch {
                let reason = "its value cannot be encoded: \(error)"
                giveBack(id, held, nil, reason, attempts: .max)
                confirmations.tell(id, held.number, .refused(reason))
            }
        }
        return batch
    }

    private func nextDue() -> Text? {
        urgent.isEmpty ? wheel.removeDue() : urgent.removeFirst()
    }

    func conclude(_ entry: SyncEntry, _ attempt: Attempt) {
        guard let id = entry.id, let held = onTheWay.removeValue(forKey: id) else { return }
        switch attempt {
        case .written:
            owner.tally.pending -= 1
            owner.tally.written += 1
        case .failed(let reason, let counts):
            giveBack(id, held, entry.value, reason, attempts: held.attempts + (counts ? 1 : 0))
        case .refused(let reason):
            giveBack(id, held, entry.value, reason, attempts: .max)
        }
        confirmations.tell(id, held.number, attempt)
        guard waiting[id] != nil, attempt == .written else { return }
        if confirmations.isAwaited(id) { urgent.append(id) } else { wheel.add(id, ticksAhead: 1) }
    }

    func end(_ reason: String) { confirmations.tellAll(.failed(reason, counts: false)) }

    /// It waits again, as a part of what has come since; or is a dead letter, when it was tried often and nothing newer
    /// stands for it.
    private func giveBack(_ id: Text, _ held: Held, _ value: Bytes?, _ reason: String, attempts: Int) {
        if let later = waiting[id] {
            owner.tally.pending -= 1
            waiting[id]?.value = merged(held.value, later.value)
            waiting[id]?.since = held.since
            // Without a merge nothing of the earlier value is left.
            waiting[id]?.attempts = key.merge == nil ? 0 : min(attempts, owner.options.attempts - 1)
            wheel.add(id, ticksAhead: owner.ticks(afterAttempts: 1))
        } else if attempts >= owner.options.attempts, owner.letters.hasRoom {
            owner.tally.pending -= 1
            let version = owner.versions.version(held.number)
            owner.letters.add(DeadLetter(key: name, id: id, value: value, version: version, reason))
        } else {
            var again = held
            again.attempts = min(attempts, owner.options.attempts)
            waiting[id] = again
            owner.tally.retries += 1
            wheel.add(id, ticksAhead: owner.ticks(afterAttempts: max(1, again.attempts)))
        }
    }
}
