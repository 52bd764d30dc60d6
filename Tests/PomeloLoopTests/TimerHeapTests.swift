// SPDX-License-Identifier: MIT
import TestHelpers
import Testing

@testable import PomeloLoop

@Suite struct TimerHeapTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let deadlines: [UInt64]
        var removed: [Int] = []
        var until = UInt64.max
        let expected: [Int]
    }

    static let cases = [
        Case(testDescription: "empty", deadlines: [], expected: []),
        Case(testDescription: "ascending", deadlines: [1, 2, 3], expected: [0, 1, 2]),
        Case(testDescription: "descending", deadlines: [3, 2, 1], expected: [2, 1, 0]),
        Case(testDescription: "equal, in start order", deadlines: [5, 5, 5, 5], expected: [0, 1, 2, 3]),
        Case(
            testDescription: "equal around a removed one", deadlines: [5, 5, 1, 5, 5], removed: [2, 1],
            expected: [0, 3, 4]),
        Case(testDescription: "only what is due", deadlines: [10, 30, 20], until: 20, expected: [0, 2]),
        Case(testDescription: "not a nanosecond early", deadlines: [10], until: 9, expected: []),
        Case(testDescription: "all removed", deadlines: [1, 2], removed: [0, 1], expected: []),
        Case(testDescription: "the ends of time", deadlines: [.max, 0], expected: [1, 0]),
    ]

    @Test(arguments: cases) @Loop func firesInOrder(test: Case) {
        var heap = TimerHeap()
        let fired = Journal<Int>()
        let ids = test.deadlines.enumerated().map { index, deadline in
            heap.insert(at: deadline) { fired.note(index) }
        }
        let removed = test.removed.map { heap.remove(ids[$0]) }
        #expect(removed.allSatisfy { $0 })
        while let action = heap.popDue(test.until) { action() }
        #expect(fired.entries == test.expected)
        #expect(heap.count == test.deadlines.count - test.removed.count - test.expected.count)
    }

    @Test @Loop func aStaleIDNeverHitsItsSuccessor() {
        var heap = TimerHeap()
        let fired = heap.insert(at: 1) {}
        _ = heap.popDue(1)
        let removed = heap.insert(at: 2) {}
        heap.remove(removed)
        let current = heap.insert(at: 3) {}
        #expect(current.slot == fired.slot, "the test needs a reused slot")
        let unknown = [TimerID(slot: 99, generation: 0), TimerID(slot: -1, generation: 0)]
        let found = ([fired, removed] + unknown + [current, current]).map { heap.remove($0) }
        #expect(found == [false, false, false, false, true, false])
        #expect(heap.count == 0)
    }

    @Test @Loop func aRemovedActionIsReleased() {
        var heap = TimerHeap()
        weak var held: Journal<Int>?
        var ids: [TimerID] = []
        do {
            let journal = Journal<Int>()
            held = journal
            ids.append(heap.insert(at: 1) { journal.note(1) })
        }
        #expect(held != nil)
        heap.remove(ids[0])
        #expect(held == nil)
    }

    /// Random operations on the heap and on a sorted array must agree at each step.
    @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64])
    @Loop func agreesWithASortedArray(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var heap = TimerHeap()
        var model: [(deadline: UInt64, number: Int)] = []
        var ids: [TimerID] = []
        let fired = Journal<Int>()
        for step in 0..<3000 {
            switch UInt64.random(in: 0..<10, using: &random) {
            case 0..<5:
                let number = ids.count
                let deadline = UInt64.random(in: 0..<50, using: &random)
                ids.append(heap.insert(at: deadline) { fired.note(number) })
                let place = model.firstIndex { $0.deadline > deadline } ?? model.count
                model.insert((deadline, number), at: place)
            case 5..<8 where !ids.isEmpty:
                let number = Int.random(in: 0..<ids.count, using: &random)
                let place = model.firstIndex { $0.number == number }
                let removed = heap.remove(ids[number])
                #expect(removed == (place != nil), "step \(step)")
                if let place { model.remove(at: place) }
            default:
                let now = UInt64.random(in: 0..<60, using: &random)
                let action = heap.popDue(now)
                action?()
                if let due = model.first, due.deadline <= now {
                    #expect(action != nil && fired.entries.last == due.number, "step \(step)")
                    model.removeFirst()
                } else {
                    #expect(action == nil, "step \(step)")
                }
            }
            #expect(heap.count == model.count && heap.earliest == model.first?.deadline, "step \(step)")
        }
    }
}
