// SPDX-License-Identifier: MIT
import DequeModule
import PomeloBytes
import PomeloLoop

/// A value that waits, or is on its way, without the value.
private struct Held {
    let slot: UInt32
    /// What its id takes in the journal; 0 when that has nothing of it.
    var bytes: UInt32 = 0
    var number: UInt64
    var since: UInt64
    var attempts: Int16 = 0
    /// Whether `unjournaled` has it.
    var isNoted = false
}

/// The values of one key by their ids: of each id one that waits, and one on its way.
///
/// A value that comes while another one of its id is on its way waits until that has arrived, so that a sink gets the
/// values of an id one after the other. When it does not arrive, the two are merged.
///
/// The journal has one field for an id. It stands for both, merged, as long as both are there.
@Loop final class SyncTable<Value: Sendable>: SyncLine {
    let key: SyncKey<Value>
    let owner: SyncOwner
    private let values = ValueSlots<Value>()
    private var waiting: [Text: Held] = [:]
    private var onTheWay: [Text: Held] = [:]
    private var shelf = ReplayShelf()
    private var wheel = DueWheel()
    private var urgent: Deque<Text> = []
    private var confirmations = Confirmations()
    /// What the journal does not have; an id may be there twice.
    private var unjournaled: [Text] = []
    private var round: ArraySlice<Text> = []
    private var part: [Text] = []
    /// Why values are in no journal, until they are given up or replaced.
    private(set) var unjournalable: [Text: String] = [:]

    let isOrdered = false
    var name: Text { key.name }
    var count: Int { waiting.count + onTheWay.count + shelf.count }
    var hasDue: Bool { wheel.hasDue || !urgent.isEmpty }
    var isTicking: Bool { !wheel.isEmpty }
    var oldest: UInt64? {
        [waiting.values.lazy.map(\.since).min(), onTheWay.values.lazy.map(\.since).min(), shelf.oldest]
            .compactMap { $0 }.min()
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
            guard owner.hasBytes else { throw owner.overloaded }
            replace(id, &waiting.values[index], value, number)
        } else {
            let follows = goes(id)
            guard follows || owner.hasRoom else { throw owner.overloaded }
            var held = Held(slot: values.add(value), number: number, since: owner.clock.now)
            note(id, &held)
            waiting[id] = held
            owner.tally.pending += 1
            if !follows, !shelf.isOnTheWay(id) { wheel.add(id, ticksAhead: owner.drawTicks()) }
        }
        owner.tally.executed += 1
        return number
    }

    /// Whether a value of the id is on its way; most of the time none is of any.
    private func goes(_ id: Text) -> Bool { !onTheWay.isEmpty && onTheWay[id] != nil }

    /// The place of a value is looked up once.
    private func replace(_ id: Text, _ held: inout Held, _ value: Value, _ number: UInt64) {
        values[held.slot] = merged(held, value)
        held.number = number
        note(id, &held)
    }

    private func merged(_ earlier: Held, _ later: Value) -> Value {
        guard let merge = key.merge else { return later }
        return merge(values[earlier.slot], later)
    }

    /// Makes the value of an id due, and returns when it has been tried.
    func flushed(_ id: Text, _ number: UInt64, wake: @Loop () -> Void) async -> Attempt {
        let end = confirmations.add(id, number)
        urgent.append(id)
        wake()
        return await end.wait()
    }

    func tick() { wheel.tick() }
    func makeAllDue() { wheel.makeAllDue() }

    func adopt(_ replays: [Replay]) -> [Bool] {
        replays.map { replay in
            guard let id = replay.entry.id, !holds(id, replay.entry.version) else { return false }
            if shelf.add(id, replay) { owner.tally.pending += 1 }
            wheel.add(id, ticksAhead: 0)
            return true
        }
    }

    /// Whether a value that came back was never away.
    private func holds(_ id: Text, _ version: SyncVersion) -> Bool {
        [waiting[id], onTheWay[id]].contains { $0.map { owner.versions.version($0.number) == version } ?? false }
    }

    // MARK: values leave

    func take(_ limit: Int) -> [SyncEntry] {
        var batch: [SyncEntry] = []
        while batch.count < limit, let id = nextDue() {
            // It is scheduled again when the one before has arrived.
            if onTheWay[id] != nil || shelf.isOnTheWay(id) { continue }
            if let replay = shelf.take(id) {
                batch.append(replay)
                continue
            }
            guard let held = waiting.removeValue(forKey: id) else { continue }
            do {
                let value = try key.encode(values[held.slot])
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
        guard let id = entry.id else { return }
        if let replay = shelf.arrived(id) {
            conclude(replay, id, attempt)
        } else if let held = onTheWay.removeValue(forKey: id) {
            conclude(held, id, entry, attempt)
        }
    }

    private func conclude(_ held: Held, _ id: Text, _ entry: SyncEntry, _ attempt: Attempt) {
        switch attempt {
        case .written:
            owner.tally.pending -= 1
            owner.tally.written += 1
            values.remove(held.slot)
            release(id, held.bytes)
            // The journal has the two of them as one.
            if key.merge != nil, let index = waiting.index(forKey: id) { note(id, &waiting.values[index]) }
        case .failed(let reason, let counts):
            giveBack(id, held, entry.value, reason, attempts: Int(held.attempts) + (counts ? 1 : 0))
        case .refused(let reason):
            giveBack(id, held, entry.value, reason, attempts: .max)
        }
        confirmations.tell(id, held.number, attempt)
        if shelf.waits(id) || waiting[id] != nil && attempt == .written { scheduleNext(id) }
    }

    private func scheduleNext(_ id: Text) {
        if confirmations.isAwaited(id) { urgent.append(id) } else { wheel.add(id, ticksAhead: 1) }
    }

    /// One that came back arrived or not; those behind it wait as long as it does.
    private func conclude(_ replay: Replay, _ id: Text, _ attempt: Attempt) {
        switch owner.next(replay, attempt) {
        case .done:
            if waiting[id] != nil || shelf.waits(id) { scheduleNext(id) }
        case .again(let again):
            shelf.putBack(id, again)
            wheel.add(id, ticksAhead: owner.ticks(afterAttempts: max(1, again.attempts)))
        }
    }

    func end(_ reason: String) { confirmations.tellAll(.failed(reason, counts: false)) }

    /// The journal's field of an id goes, unless it belongs to another value by now, or will.
    private func release(_ id: Text, _ bytes: UInt32) {
        if bytes == 0 { return }
        if let index = waiting.index(forKey: id) {
            if waiting.values[index].bytes == 0 { return waiting.values[index].bytes = bytes }
        } else if let index = onTheWay.index(forKey: id) {
            if onTheWay.values[index].bytes == 0 { return onTheWay.values[index].bytes = bytes }
        } else {
            owner.journal?.remove(JournalRecord.field(name, id))
        }
        owner.tally.bytes -= Int(bytes)
    }

    /// It waits again, as a part of what has come since; or is a dead letter, when it was tried often and nothing newer
    /// stands for it.
    private func giveBack(_ id: Text, _ held: Held, _ value: Bytes?, _ reason: String, attempts: Int) {
        if let later = waiting[id] {
            owner.tally.pending -= 1
            release(id, held.bytes)
            values[later.slot] = merged(held, values[later.slot])
            values.remove(held.slot)
            waiting[id]?.since = held.since
            // Without a merge nothing of the earlier value is left.
            waiting[id]?.attempts =
                key.merge == nil ? 0 : Int16(clamping: min(attempts, owner.options.attempts - 1))
            wheel.add(id, ticksAhead: owner.ticks(afterAttempts: 1))
        } else if attempts >= owner.options.attempts, owner.letters.hasRoom {
            owner.tally.pending -= 1
            values.remove(held.slot)
            unjournalable[id] = nil
            let version = owner.versions.version(held.number)
            let letter = DeadLetter(key: name, id: id, value: value, version: version, reason)
            owner.giveUp(letter) { [self] in release(id, held.bytes) }
        } else {
            var again = held
            again.attempts = Int16(clamping: min(attempts, owner.options.attempts))
            waiting[id] = again
            owner.tally.retries += 1
            wheel.add(id, ticksAhead: owner.ticks(afterAttempts: max(1, Int(again.attempts))))
        }
    }

    // MARK: the journal

    private func note(_ id: Text, _ held: inout Held) {
        guard let journal = owner.journal else { return }
        if held.isNoted { return }
        held.isNoted = true
        unjournaled.append(id)
        journal.changed(self)
    }

    func beginRound() {
        round = ArraySlice(unjournaled)
        unjournaled = []
    }

    func fill(_ part: inout JournalPart) {
        while !part.isFull, let id = round.popFirst() {
            let (waits, goes) = (taken(id, from: &waiting), taken(id, from: &onTheWay))
            guard let last = waits ?? goes else { continue }
            self.part.append(id)
            do {
                let bytes = try encoded(last, after: waits == nil ? nil : goes)
                let value = JournalRecord.value(bytes, owner.versions.version(last.number))
                try owner.checkLength(value.count)
                let field = JournalRecord.field(name, id)
                setBytes(id, field.count + value.count)
                part.add(field, value)
                if !unjournalable.isEmpty { unjournalable[id] = nil }
            } catch {
                unjournalable[id] = "its value cannot be encoded: \(error)"
            }
        }
    }

    /// What is known of an id's value, which the journal is about to have.
    private func taken(_ id: Text, from values: inout [Text: Held]) -> Held? {
        guard !values.isEmpty, let index = values.index(forKey: id) else { return nil }
        values.values[index].isNoted = false
        return values.values[index]
    }

    /// What the journal is to have of an id: all that no sink has confirmed.
    ///
    /// Without an optional of a value, which would be looked up at run time.
    private func encoded(_ last: Held, after earlier: Held?) throws -> Bytes {
        guard let earlier else { return try key.encode(values[last.slot]) }
        return try key.encode(merged(earlier, values[last.slot]))
    }

    private func setBytes(_ id: Text, _ length: Int) {
        if let index = waiting.index(forKey: id) {
            owner.tally.bytes += length - Int(waiting.values[index].bytes)
            waiting.values[index].bytes = UInt32(clamping: length)
        } else if let index = onTheWay.index(forKey: id) {
            owner.tally.bytes += length - Int(onTheWay.values[index].bytes)
            onTheWay.values[index].bytes = UInt32(clamping: length)
        }
    }

    func endPart(isWritten: Bool) {
        if !isWritten { noteAgain(part) }
        part.removeAll(keepingCapacity: isWritten && part.capacity <= 4096)
    }

    func abandonRound() {
        noteAgain(round)
        round = []
    }

    func forgetJournal() {
        unjournaled = []
        noteAgain(Set(waiting.keys).union(onTheWay.keys))
        owner.journal?.changed(self)
    }

    private func noteAgain(_ ids: some Sequence<Text>) {
        for id in ids {
            unjournaled.append(id)
            if let index = waiting.index(forKey: id) {
                waiting.values[index].isNoted = true
            } else if let index = onTheWay.index(forKey: id) {
                onTheWay.values[index].isNoted = true
            }
        }
    }
}
