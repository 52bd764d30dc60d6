// SPDX-License-Identifier: MIT
import DequeModule
import PomeloBytes
import PomeloLoop

/// The values of one key by their ids: of each id one that waits, and one on its way.
///
/// A value that comes while another one of its id is on its way waits until that has arrived, so that a sink gets the
/// values of an id one after the other. When it does not arrive, the two are merged.
///
/// The journal has one field for an id. It stands for both, merged, as long as both are there.
@Loop final class SyncTable: SyncLine {
    let name: Text
    let owner: SyncOwner
    let values: any SlottedValues
    let items = SyncItems()
    private var onTheWay: [UInt32: HeldValue] = [:]
    private var shelf = ReplayShelf()
    private var wheel = DueWheel()
    private var urgent: Deque<UInt32> = []
    private var confirmations = Confirmations()
    /// How many wait, those on their way not included.
    private var waitingCount = 0
    /// What the journal does not have.
    private var unjournaled: [UInt32] = []
    private var round: ArraySlice<UInt32> = []
    private var part: [UInt32] = []
    private(set) var refusals = Refusals<Text>()
    private var earlier: EarlierValues

    let isOrdered = false
    var count: Int { waitingCount + onTheWay.count + shelf.count }
    var hasDue: Bool { wheel.hasDue || !urgent.isEmpty }
    var isTicking: Bool { !wheel.isEmpty }
    var oldest: UInt64? {
        [items.oldest, onTheWay.values.lazy.map(\.since).min(), shelf.oldest].compactMap { $0 }.min()
    }

    init(_ name: Text, _ values: any SlottedValues, _ owner: SyncOwner) {
        self.name = name
        self.values = values
        self.owner = owner
        earlier = EarlierValues(values)
    }

    // MARK: values come

    /// Notes the value that `place` puts over the one that waits, or into a new slot; the version's number comes back.
    ///
    /// - Throws: `SyncError.overloaded`; nothing is placed then.
    @discardableResult
    func put(_ id: Text, _ place: (_ earlier: UInt32?) -> UInt32) throws(SyncError) -> UInt64 {
        let item = items.add(id)
        let number = owner.versions.next()
        if items[item].waits {
            guard owner.hasBytes else { throw owner.overloaded }
            if items[item].waiting.bytes > 0, !items[item].isNoted { earlier.keep(item, items[item].waiting) }
            _ = place(items[item].waiting.slot)
            items.change(item) { $0.waiting.number = number }
        } else {
            let goes = items[item].goes
            guard goes || owner.hasRoom else {
                items.release(item)
                throw owner.overloaded
            }
            wait(item, HeldValue(slot: place(nil), number: number, since: owner.clock.now))
            owner.tally.pending += 1
            if !goes, !shelf.isOnTheWay(id) { schedule(item, owner.drawTicks()) }
        }
        note(item)
        owner.tally.executed += 1
        return number
    }

    private func wait(_ item: UInt32, _ held: HeldValue) {
        items.change(item) {
            $0.waiting = held
            $0.waits = true
        }
        waitingCount += 1
    }

    private func schedule(_ item: UInt32, _ ticksAhead: Int) {
        // It comes sooner then.
        if items[item].isScheduled { return }
        items.change(item) { $0.isScheduled = true }
        wheel.add(item, ticksAhead: ticksAhead)
    }

    private func hurry(_ item: UInt32) {
        if items[item].isUrgent { return }
        items.change(item) { $0.isUrgent = true }
        urgent.append(item)
    }

    /// Makes the value of an id due, and returns when it has been tried.
    func flushed(_ id: Text, _ number: UInt64, wake: @Loop () -> Void) async -> Attempt {
        let end = confirmations.add(id, number)
        hurry(items.add(id))
        wake()
        return await end.wait()
    }

    func tick() { wheel.tick() }
    func makeAllDue() { wheel.makeAllDue() }

    func adopt(_ replays: [Replay]) -> [Bool] {
        replays.map { replay in
            guard let id = replay.entry.id, !holds(id, replay.entry.version) else { return false }
            if shelf.add(id, replay) { owner.tally.pending += 1 }
            schedule(items.add(id), 0)
            return true
        }
    }

    var replayed: [Replay] { shelf.all }

    /// Whether a value that came back was never away.
    private func holds(_ id: Text, _ version: SyncVersion) -> Bool {
        guard let item = items.number(of: id) else { return false }
        return [items[item].waits ? items[item].waiting : nil, onTheWay[item]].contains {
            $0.map { owner.versions.version($0.number) == version } ?? false
        }
    }

    // MARK: values leave

    func take(_ limit: Int) -> [SyncEntry] {
        var batch: [SyncEntry] = []
        while batch.count < limit, let item = nextDue() {
            if let entry = next(of: item) { batch.append(entry) }
            items.release(item)
        }
        return batch
    }

    private func next(of item: UInt32) -> SyncEntry? {
        let id = items.id(of: item)
        // It is scheduled again when the one before has arrived.
        if items[item].goes || shelf.isOnTheWay(id) { return nil }
        if let replay = shelf.take(id) { return replay }
        return items[item].waits ? leave(item) : nil
    }

    private func nextDue() -> UInt32? {
        if let item = urgent.popFirst() {
            items.change(item) { $0.isUrgent = false }
            return item
        }
        guard let item = wheel.removeDue() else { return nil }
        items.change(item) { $0.isScheduled = false }
        return item
    }

    /// What waits is on its way, unless it cannot be encoded.
    private func leave(_ item: UInt32) -> SyncEntry? {
        let (id, held) = (items.id(of: item), items[item].waiting)
        items.change(item) { $0.waits = false }
        waitingCount -= 1
        do {
            let value = try values.encode(held.slot)
            onTheWay[item] = held
            items.change(item) { $0.goes = true }
            return SyncEntry(key: name, id: id, value: value, version: owner.versions.version(held.number))
        } catch {
            let reason = "its value cannot be encoded: \(error)"
            giveBack(item, held, nil, reason, attempts: .max)
            confirmations.tell(id, held.number, .refused(reason))
            return nil
        }
    }

    func conclude(_ entry: SyncEntry, _ attempt: Attempt) {
        guard let id = entry.id else { return }
        if let replay = shelf.arrived(id) {
            conclude(replay, id, attempt)
        } else if let item = items.number(of: id), let held = onTheWay.removeValue(forKey: item) {
            items.change(item) { $0.goes = false }
            conclude(held, item, entry, attempt)
            items.release(item)
        }
    }

    private func conclude(_ held: HeldValue, _ item: UInt32, _ entry: SyncEntry, _ attempt: Attempt) {
        let id = items.id(of: item)
        switch attempt {
        case .written:
            owner.tally.pending -= 1
            owner.tally.written += 1
            values.remove(held.slot)
            if !items[item].waits { refusals.forget(id, upTo: held.number) }
            earlier.drop(item)
            removeField(item, held.bytes)
            // The journal has the two of them as one.
            if values.areMerged, items[item].waits { note(item) }
        case .failed(let reason, let counts):
            giveBack(item, held, entry.value, reason, attempts: Int(held.attempts) + (counts ? 1 : 0))
        case .refused(let reason):
            giveBack(item, held, entry.value, reason, attempts: .max)
        }
        confirmations.tell(id, held.number, attempt)
        if shelf.waits(id) || items[item].waits && attempt == .written { scheduleNext(item) }
    }

    private func scheduleNext(_ item: UInt32) {
        if confirmations.isAwaited(items.id(of: item)) { hurry(item) } else { schedule(item, 1) }
    }

    /// One that came back arrived or not; those behind it wait as long as it does.
    private func conclude(_ replay: Replay, _ id: Text, _ attempt: Attempt) {
        switch owner.next(replay, attempt) {
        case .done:
            let waits = items.number(of: id).map { items[$0].waits } ?? false
            if waits || shelf.waits(id) { scheduleNext(items.add(id)) }
        case .again(let again):
            shelf.putBack(id, again)
            schedule(items.add(id), owner.ticks(afterAttempts: max(1, again.attempts)))
        }
    }

    func end(_ reason: String) { confirmations.tellAll(.failed(reason, counts: false)) }

    /// The journal's field of an id goes, unless it belongs to another value by now, or will.
    private func removeField(_ item: UInt32, _ bytes: UInt32) {
        if items[item].waits {
            if items[item].waiting.bytes == 0 { return items.change(item) { $0.waiting.bytes = bytes } }
            owner.tally.bytes -= Int(bytes)
        } else if let other = onTheWay[item] {
            if other.bytes == 0 { onTheWay[item]?.bytes = bytes } else { owner.tally.bytes -= Int(bytes) }
        } else {
            removeField(of: items.id(of: item), bytes)
        }
    }

    private func removeField(of id: Text, _ bytes: UInt32) {
        if bytes == 0 { return }
        owner.tally.bytes -= Int(bytes)
        owner.journal?.remove(JournalRecord.field(name, id))
    }

    /// It waits again, as a part of what has come since; or is a dead letter, when it was tried often and nothing newer
    /// stands for it.
    private func giveBack(
        _ item: UInt32, _ held: HeldValue, _ value: Bytes?, _ reason: String, attempts: Int
    ) {
        if items[item].waits {
            owner.tally.pending -= 1
            let isAlone = items[item].isNoted || refusals.reason(items.id(of: item)) != nil
            if held.bytes > 0, isAlone { earlier.keep(item, held) }
            removeField(item, held.bytes)
            values.merge(held.slot, into: items[item].waiting.slot)
            items.change(item) { $0.waiting.since = held.since }
            // Without a merge nothing of the earlier value is left.
            let counted = values.areMerged ? Int16(clamping: min(attempts, owner.options.attempts - 1)) : 0
            items.change(item) { $0.waiting.attempts = counted }
            schedule(item, owner.ticks(afterAttempts: 1))
        } else if attempts >= owner.options.attempts, owner.letters.hasRoom {
            owner.tally.pending -= 1
            values.remove(held.slot)
            giveUp(item, held, value, reason)
        } else {
            var again = held
            again.attempts = Int16(clamping: min(attempts, owner.options.attempts))
            wait(item, again)
            owner.tally.retries += 1
            schedule(item, owner.ticks(afterAttempts: max(1, Int(again.attempts))))
        }
    }

    private func giveUp(_ item: UInt32, _ held: HeldValue, _ value: Bytes?, _ reason: String) {
        let id = items.id(of: item)
        var bytes = held.bytes
        if owner.isUnjournalable(value) || refusals.reason(id) != nil, let journal = owner.journal {
            // Callers may wait for the journal still.
            refusals.note(id, held.number, reason)
            journal.afterTwoRounds { [self] in refusals.forget(id, upTo: held.number) }
            if let again = earlier.take(item) {
                waitAgain(item, again, bytes)
                bytes = 0
            }
        }
        earlier.drop(item)
        let version = owner.versions.version(held.number)
        owner.giveUp(DeadLetter(key: name, id: id, value: value, version: version, reason)) { [self, bytes] in
            // Another number may stand for it by now, or none.
            guard let item = items.number(of: id) else { return removeField(of: id, bytes) }
            removeField(item, bytes)
        }
    }

    /// The value that the journal has, and that was acknowledged.
    private func waitAgain(_ item: UInt32, _ held: HeldValue, _ bytes: UInt32) {
        wait(item, held)
        items.change(item) { $0.waiting.bytes = bytes }
        owner.tally.pending += 1
        note(item)
        schedule(item, owner.ticks(afterAttempts: 1))
    }

    // MARK: the journal

    private func note(_ item: UInt32) {
        guard let journal = owner.journal, !items[item].isNoted else { return }
        items.change(item) { $0.isNoted = true }
        unjournaled.append(item)
        journal.changed(self)
    }

    func beginRound() {
        round = ArraySlice(unjournaled)
        unjournaled = []
    }

    func fill(_ part: inout JournalPart) {
        while !part.isFull, let item = round.popFirst() {
            items.change(item) { $0.isNoted = false }
            guard items[item].waits || items[item].goes else {
                items.release(item)
                continue
            }
            self.part.append(item)
            items.change(item) { $0.isInPart = true }
            let id = items.id(of: item)
            do {
                let (number, value) = try encoded(item)
                try add(item, number, value, to: &part)
                refusals.forget(id, upTo: number)
                earlier.drop(item)
            } catch {
                let number = items[item].waits ? items[item].waiting.number : onTheWay[item]?.number ?? 0
                refusals.note(id, number, "its value cannot be encoded: \(error)")
                addEarlier(item, to: &part)
            }
        }
    }

    private func add(_ item: UInt32, _ number: UInt64, _ value: Bytes, to part: inout JournalPart) throws {
        try owner.checkLength(value.count)
        let field = JournalRecord.field(name, items.id(of: item))
        let record = JournalRecord.value(value, owner.versions.version(number))
        setBytes(item, field.count + record.count)
        part.add(field, record)
    }

    /// The journal has it already, unless it has lost it.
    private func addEarlier(_ item: UInt32, to part: inout JournalPart) {
        guard let held = earlier[item] else { return }
        do { try add(item, held.number, values.encode(held.slot), to: &part) } catch { earlier.drop(item) }
    }

    /// What the journal is to have of an id: all that no sink has confirmed; and its version's number.
    private func encoded(_ item: UInt32) throws -> (number: UInt64, value: Bytes) {
        let goes = items[item].goes ? onTheWay[item] : nil
        guard items[item].waits else { return (goes?.number ?? 0, try values.encode(goes?.slot ?? 0)) }
        let last = items[item].waiting
        guard let goes else { return (last.number, try values.encode(last.slot)) }
        return (last.number, try values.encode(goes.slot, mergedInto: last.slot))
    }

    private func setBytes(_ item: UInt32, _ length: Int) {
        if items[item].waits {
            owner.tally.bytes += length - Int(items[item].waiting.bytes)
            items.change(item) { $0.waiting.bytes = UInt32(clamping: length) }
        } else if let held = onTheWay[item] {
            owner.tally.bytes += length - Int(held.bytes)
            onTheWay[item]?.bytes = UInt32(clamping: length)
        }
    }

    func endPart(isWritten: Bool) {
        for item in part {
            items.change(item) { $0.isInPart = false }
            if !isWritten { noteAgain(item) }
            items.release(item)
        }
        part.removeAll(keepingCapacity: isWritten && part.capacity <= 4096)
    }

    func abandonRound() {
        for item in round {
            items.change(item) { $0.isNoted = false }
            noteAgain(item)
            items.release(item)
        }
        round = []
    }

    func forgetJournal() {
        for item in items.indices { noteAgain(item) }
        owner.journal?.changed(self)
    }

    private func noteAgain(_ item: UInt32) {
        guard !items[item].isNoted, items[item].waits || items[item].goes else { return }
        items.change(item) { $0.isNoted = true }
        unjournaled.append(item)
    }
}
