// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop

/// The members of one channel at this frontend in the order they came, to be read page by page.
///
/// A page continues behind a number, so nothing is sorted, and nobody who stays is left out or listed twice, whoever
/// comes and goes between two pages.
struct MemberRoll {
    /// Those who left keep their place, empty, until half of the places are.
    private var places: [(number: UInt64, uid: UserID?)] = []
    private var gaps = 0

    /// Members now.
    var count: Int { places.count - gaps }

    /// The number of who came last, and may have gone.
    private(set) var last: UInt64 = 0

    /// Puts a member at the end; numbers only grow.
    mutating func add(_ uid: UserID, number: UInt64) {
        places.append((number, uid))
        last = number
    }

    mutating func remove(number: UInt64) {
        let place = place(after: number - 1)
        guard place < places.count, places[place].number == number, places[place].uid != nil else { return }
        places[place].uid = nil
        gaps += 1
        guard gaps > 64, gaps * 2 > places.count else { return }
        places.removeAll { $0.uid == nil }
        gaps = 0
    }

    /// Members behind a number, in order, and the number to go on with; nil when these are the last.
    func page(after number: UInt64, length: Int) -> (uids: [UserID], next: UInt64?) {
        var uids: [UserID] = []
        var place = place(after: number)
        while place < places.count, uids.count < length {
            if let uid = places[place].uid { uids.append(uid) }
            place += 1
        }
        return (uids, place < places.count ? places[place - 1].number : nil)
    }

    /// The first place with a greater number.
    private func place(after number: UInt64) -> Int {
        var (low, high) = (0, places.count)
        while low < high {
            let middle = (low + high) / 2
            if places[middle].number <= number { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
