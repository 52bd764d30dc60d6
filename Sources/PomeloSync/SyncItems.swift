// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop

/// A value that waits, or is on its way, without the value.
struct HeldValue {
    /// Where the value is.
    var slot: UInt32
    /// What its id takes in the journal; 0 when that has nothing of it.
    var bytes: UInt32 = 0
    var number: UInt64
    var since: UInt64
    var attempts: Int16 = 0
}

/// What is known of one id; its number stands for it as long as any of this is so.
struct SyncItem {
    /// What waits, when `waits`: an optional would take eight bytes more.
    var waiting = HeldValue(slot: 0, number: 0, since: 0)
    var waits = false
    /// Whether a value of it is on its way.
    var goes = false
    /// Whether it is among those that the journal does not have.
    var isNoted = false
    /// Whether it is in the part that the journal is given now.
    var isInPart = false
    /// Whether it is in the wheel.
    var isScheduled = false
    /// Whether it is among those that are written before all others.
    var isUrgent = false

    fileprivate var isNeeded: Bool { waits || goes || isNoted || isInPart || isScheduled || isUrgent }
}

/// Ids by number: the text of one is looked at once for each value that comes, and not again until that leaves.
///
/// The number of an id of which nothing is known any more is given to another one. What the most of them took is kept:
/// to give it back takes a turn of many milliseconds.
@Loop final class SyncItems {
    private var numbers: [Text: UInt32] = [:]
    /// By number, apart from the rest, of which a copy counts no references this way.
    private var ids: [Text] = []
    private var items: [SyncItem] = []
    private var free: [UInt32] = []

    nonisolated init() {}

    subscript(number: UInt32) -> SyncItem { items[Int(number)] }

    /// Inlined: what is written without a call in between is not looked at for overlap.
    @inline(__always)
    func change(_ number: UInt32, _ body: (inout SyncItem) -> Void) { body(&items[Int(number)]) }

    /// All numbers, those without an id included.
    var indices: Range<UInt32> { 0..<UInt32(items.count) }

    func number(of id: Text) -> UInt32? { numbers[id] }

    func id(of number: UInt32) -> Text { ids[Int(number)] }

    /// Since when the oldest of those that wait does.
    var oldest: UInt64? {
        var oldest: UInt64?
        for item in items where item.waits { oldest = min(oldest ?? .max, item.waiting.since) }
        return oldest
    }

    /// The number of an id, from now on if it has none.
    func add(_ id: Text) -> UInt32 {
        if let number = numbers[id] { return number }
        let number: UInt32
        if let last = free.popLast() {
            number = last
            ids[Int(number)] = id
            items[Int(number)] = SyncItem()
        } else {
            number = UInt32(items.count)
            ids.append(id)
            items.append(SyncItem())
        }
        numbers[id] = number
        return number
    }

    /// Forgets an id of which nothing is known any more.
    func release(_ number: UInt32) {
        if items[Int(number)].isNeeded { return }
        let known = numbers.removeValue(forKey: ids[Int(number)])
        assert(known == number, "an id was released twice")
        ids[Int(number)] = ""
        free.append(number)
    }
}
