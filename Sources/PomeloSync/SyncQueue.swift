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
        var attempts: Int32 = 0
        /// What it takes in the journal, when it is there.
        var bytes: UInt32 = 0
    }

    let key: SyncKey<Value>
    let owner: SyncOwner
    private var waiting: Deque<Held> = []
    private var onTheWay: Deque<Held> = []
    /// Of those that were on the way together: they wait again when all have been heard of.
    private var returned: [Held] = []
    /// Those that came back from a journal, by their versions: they go before the others.
    private var replays: Deque<Replay> = []
    private var replaying: [SyncVersion: Replay] = [:]
    private var returnedReplays: [Replay] = []
    /// Ticks until those that wait are due; nil when nobody waits for them.
    private var ticksLeft: Int?
    private var isDue = false
    /// The journal has those up to this number, or has had them.
    private var journaled: UInt64 = 0
    private var roundEnd: UInt64 = 0
    private var partEnd: UInt64 = 0
    private(set) var refusals = Refusals<UInt64>()

    let isOrdered = true
    var name: Text { key.name }
    var replayed: [Replay] { Array(replays) + Array(replaying.values) + returnedReplays }
    private var replayCount: Int { replays.count + replaying.count + returnedReplays.count }
    var count: Int { waiting.count + onTheWay.count + returned.count + replayCount }
    private var isClear: Bool { onTheWay.isEmpty && replaying.isEmpty }
    var hasDue: Bool { isDue && isClear && !(waiting.isEmpty && replays.isEmpty) }
    var isTicking: Bool { ticksLeft != nil }
    var oldest: UInt64? {
        let replay = replays.first ?? replaying.values.first ?? returnedReplays.first
        return [(onTheWay.first ?? returned.first)?.since ?? waiting.first?.since, replay?.since]
            .compactMap { $0 }.min()
    }

    init(_ key: SyncKey<Value>, _ owner: SyncOwner) {
        self.key = key
        self.owner = owner
    }

    /// Notes a value; the version's number comes back.
    ///
    /// - Throws: `SyncError.overloaded`.
    @discardableResult
    func append(_ value: Value) throws(SyncError) -> UInt64 {
        guard owner.hasRoom else { throw owner.overloaded }
        owner.tally.executed += 1
        owner.tally.pending += 1
        let number = owner.versions.next()
        waiting.append(Held(value: value, number: number, since: owner.clock.now))
        if ticksLeft == nil, !isDue { ticksLeft = owner.drawTicks() }
        owner.journal?.changed(self)
        return number
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

    func adopt(_ replays: [Replay]) -> [Bool] {
        let own = Set((waiting + onTheWay + Deque(returned)).map(\.number))
        let known = Set(replayed.map(\.entry.version))
        var taken: [Bool] = []
        for replay in replays {
            let version = replay.entry.version
            let isOwn = version == owner.versions.version(version.number) && own.contains(version.number)
            taken.append(!isOwn)
            if isOwn { continue }
            if known.contains(version) {
                join(replay)
            } else {
                self.replays.append(replay)
                owner.tally.pending += 1
            }
        }
        self.replays.sort { $0.entry.version < $1.entry.version }
        if !self.replays.isEmpty { makeAllDue() }
        return taken
    }

    /// It is there already, from another journal: both of them let go of it later.
    private func join(_ replay: Replay) {
        let version = replay.entry.version
        if replaying[version] != nil {
            replaying[version]?.origins += replay.origins
        } else if let index = replays.firstIndex(where: { $0.entry.version == version }) {
            replays[index].origins += replay.origins
        } else if let index = returnedReplays.firstIndex(where: { $0.entry.version == version }) {
            returnedReplays[index].origins += replay.origins
        }
    }

    // MARK: values leave

    func take(_ limit: Int) -> [SyncEntry] {
        guard hasDue else { return [] }
        var batch: [SyncEntry] = []
        while batch.count < limit, let replay = replays.popFirst() {
            replaying[replay.entry.version] = replay
            batch.append(replay.entry)
        }
        while batch.count < limit, let held = waiting.popFirst() {
            let version = owner.versions.version(held.number)
            do {
                batch.append(SyncEntry(key: name, id: nil, value: try key.encode(held.value), version: version))
                onTheWay.append(held)
            } catch {
                var hopeless = held
                hopeless.attempts = .max
                giveBack(hopeless, nil, "its value cannot be encoded: \(error)")
            }
        }
        if batch.isEmpty, !returned.isEmpty { putBack() }
        if waiting.isEmpty, replays.isEmpty { isDue = false }
        return batch
    }

    /// Those behind one that failed wait behind it again, but for those that arrived.
    func conclude(_ entry: SyncEntry, _ attempt: Attempt) {
        if let replay = replaying.removeValue(forKey: entry.version) {
            if case .again(let again) = owner.next(replay, attempt) { returnedReplays.append(again) }
        } else if let index = onTheWay.firstIndex(where: { $0.number == entry.version.number }) {
            conclude(onTheWay.remove(at: index), entry, attempt)
        } else {
            return
        }
        if isClear, !(returned.isEmpty && returnedReplays.isEmpty) { putBack() }
    }

    private func conclude(_ held: Held, _ entry: SyncEntry, _ attempt: Attempt) {
        var held = held
        switch attempt {
        case .written:
            owner.tally.pending -= 1
            owner.tally.written += 1
            refusals.forget(held.number, upTo: held.number)
            release(held)
        case .failed(let reason, let counts):
            held.attempts += counts ? 1 : 0
            giveBack(held, entry.value, reason)
        case .refused(let reason):
            held.attempts = .max
            giveBack(held, entry.value, reason)
        }
    }

    func end(_ reason: String) {}

    private func release(_ held: Held) {
        guard held.bytes > 0 else { return }
        owner.tally.bytes -= Int(held.bytes)
        owner.journal?.remove(JournalRecord.field(name, held.number))
    }

    private func giveBack(_ held: Held, _ value: Bytes?, _ reason: String) {
        if held.attempts >= owner.options.attempts, owner.letters.hasRoom {
            owner.tally.pending -= 1
            refuse(held.number, value, reason)
            let version = owner.versions.version(held.number)
            let letter = DeadLetter(key: name, id: nil, value: value, version: version, reason)
            owner.giveUp(letter) { [self] in release(held) }
        } else {
            owner.tally.retries += 1
            returned.append(held)
            returned[returned.count - 1].attempts = min(held.attempts, Int32(clamping: owner.options.attempts))
        }
    }

    /// Its caller may wait for the journal still.
    private func refuse(_ number: UInt64, _ value: Bytes?, _ reason: String) {
        guard owner.isUnjournalable(value) || refusals.reason(number) != nil, let journal = owner.journal else {
            return
        }
        refusals.note(number, number, reason)
        journal.afterTwoRounds { [self] in refusals.forget(number, upTo: number) }
    }

    private func putBack() {
        let attempts = max(returned.first.map { Int($0.attempts) } ?? 0, returnedReplays.first?.attempts ?? 0)
        waiting.insert(contentsOf: returned.sorted { $0.number < $1.number }, at: 0)
        replays.insert(contentsOf: returnedReplays.sorted { $0.entry.version < $1.entry.version }, at: 0)
        ticksLeft = owner.ticks(afterAttempts: max(1, attempts))
        isDue = false
        (returned, returnedReplays) = ([], [])
    }

    // MARK: the journal

    func beginRound() { roundEnd = owner.versions.last }

    func fill(_ part: inout JournalPart) {
        partEnd = journaled
        while !part.isFull, let held = next(after: partEnd), held.number <= roundEnd {
            partEnd = held.number
            do {
                let bytes = try key.encode(held.value)
                try owner.checkLength(bytes.count)
                let value = JournalRecord.value(bytes, owner.versions.version(held.number))
                try owner.checkLength(value.count)
                let field = JournalRecord.field(name, held.number)
                part.add(field, value)
                change(held.number) { held in
                    owner.tally.bytes += field.count + value.count - Int(held.bytes)
                    held.bytes = UInt32(clamping: field.count + value.count)
                }
            } catch {
                refusals.note(held.number, held.number, "its value cannot be encoded: \(error)")
            }
        }
    }

    /// The earliest behind a number, wherever it is.
    private func next(after number: UInt64) -> Held? {
        [
            onTheWay.first { $0.number > number }, returned.first { $0.number > number },
            index(after: number).map { waiting[$0] },
        ].compactMap { $0 }.min { $0.number < $1.number }
    }

    /// Where the first one that waits behind a number is; they wait in the order of their numbers.
    private func index(after number: UInt64) -> Int? {
        var range = 0..<waiting.count
        while !range.isEmpty {
            let middle = (range.lowerBound + range.upperBound) / 2
            if waiting[middle].number > number {
                range = range.lowerBound..<middle
            } else {
                range = (middle + 1)..<range.upperBound
            }
        }
        return range.lowerBound < waiting.count ? range.lowerBound : nil
    }

    private func change(_ number: UInt64, _ body: (inout Held) -> Void) {
        if let index = index(after: number - 1), waiting[index].number == number {
            body(&waiting[index])
        } else if let index = onTheWay.firstIndex(where: { $0.number == number }) {
            body(&onTheWay[index])
        } else if let index = returned.firstIndex(where: { $0.number == number }) {
            body(&returned[index])
        }
    }

    func endPart(isWritten: Bool) { if isWritten { journaled = partEnd } }
    func abandonRound() {}

    func forgetJournal() {
        journaled = 0
        owner.journal?.changed(self)
    }
}
