// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloSync
@testable import SyncServer

/// What was said to servers and what they acknowledged, kept outside of them.
///
/// A number is told once, and belongs to one id. Of two numbers of an id the one that was told after the other had been
/// answered is the later one; which of two that were told at the same time is, nobody can say.
@Loop final class SyncOracle {
    private struct Batch {
        let first: Int
        let count: Int
        let toldAt: UInt64
        /// No server takes anything of it after that.
        var endedAt = UInt64.max
        var isTaken = false
    }

    /// Two servers' clocks are one, which counts milliseconds.
    private static let step: UInt64 = 2_000_000

    let ids: Int
    private(set) var told = 0
    private(set) var taken = 0
    private(set) var faults: Set<String> = []
    private var batches: [Batch] = []
    /// Batches that nobody has answered, and whom they were told.
    private var open: [Int: String] = [:]
    /// When the latest number that was acknowledged was told, by id.
    private var lastTaken: [UInt64]
    /// The latest version that was seen of an id.
    private var seen: [Int: SyncVersion] = [:]
    private(set) var wrong: [String] = []

    init(ids: Int) {
        self.ids = ids
        lastTaken = Array(repeating: 0, count: ids)
    }

    // MARK: what happens

    /// The numbers of a further batch.
    func tell(_ server: String, _ count: Int) -> (index: Int, numbers: KeeperAPI.Numbers) {
        let first = told + 1
        told += count
        batches.append(Batch(first: first, count: count, toldAt: SystemClock.shared.now))
        open[batches.count - 1] = server
        return (batches.count - 1, KeeperAPI.Numbers(first: first, count: count, ids: ids))
    }

    func answered(_ index: Int, fault: String?) {
        open[index] = nil
        batches[index].endedAt = SystemClock.shared.now
        if let fault { faults.insert(String(fault.prefix(60))) }
        guard fault == nil else { return }
        let batch = batches[index]
        batches[index].isTaken = true
        taken += batch.count
        for number in batch.first..<(batch.first + batch.count) {
            let id = KeeperAPI.Numbers.id(of: number, ids)
            lastTaken[id] = max(lastTaken[id], batch.toldAt)
        }
    }

    /// The process is gone.
    func ended(_ server: String) {
        for (index, whom) in open where whom == server {
            batches[index].endedAt = SystemClock.shared.now
            open[index] = nil
        }
    }

    // MARK: what must be

    /// An older value must never come over a newer one.
    func saw(_ id: Int, _ stored: StoredValue?) {
        guard let stored else {
            if seen[id] != nil { wrong.append("\(id) is gone") }
            return
        }
        if let before = seen[id], stored.version < before {
            wrong.append("\(id) went from \(before) to \(stored.version)")
        }
        seen[id] = stored.version
    }

    /// At the end each id has its last acknowledged number, or one that was told at the same time or later.
    func check(_ id: Int, has number: Int?) {
        guard let number else {
            if lastTaken[id] > 0 { wrong.append("\(id) is lost") }
            return
        }
        guard (1...max(1, told)).contains(number), KeeperAPI.Numbers.id(of: number, ids) == id else {
            return wrong.append("\(id) has \(number), which it was never told")
        }
        let batch = batches[index(of: number)]
        if batch.endedAt < UInt64.max - Self.step, batch.endedAt + Self.step < lastTaken[id] {
            let later = (lastTaken[id] - batch.endedAt) / 1_000_000
            wrong.append("\(id) has \(number), and one of \(later) ms later is lost")
        }
    }

    /// At the end every acknowledged batch has its entry, once where the sink can tell.
    func check(entries: [Int], mayRepeat: Bool) {
        let there = Set(entries)
        let missing = batches.filter { $0.isTaken && !there.contains($0.first) }
        if !missing.isEmpty { wrong.append("\(missing.count) entries are lost, the first is \(missing[0].first)") }
        let twice = entries.count - there.count
        if twice > 0, !mayRepeat { wrong.append("\(twice) entries are there twice") }
    }

    private func index(of number: Int) -> Int {
        var (low, high) = (0, batches.count - 1)
        while low < high {
            let middle = (low + high + 1) / 2
            if batches[middle].first <= number { low = middle } else { high = middle - 1 }
        }
        return low
    }
}
