// SPDX-License-Identifier: MIT

/// A handle to one scheduled timer; stale handles are harmless.
public struct TimerID: Sendable, Hashable {
    let slot: Int32
    let generation: UInt32
}

/// A binary heap of deadlines with removal in place; equal deadlines fire in start order.
///
/// - Complexity: O(log n) for insert, remove and pop.
/// - Source: the order rule is libuv's (src/timer.c: timeout, then start id).
struct TimerHeap {
    typealias Action = @Loop () -> Void

    private struct Entry {
        var deadline: UInt64
        var order: UInt64
        var slot: Int32
    }

    private struct Slot {
        var generation: UInt32 = 0
        var position: Int32 = -1
        var action: Action?
    }

    private var heap: [Entry] = []
    private var slots: [Slot] = []
    private var free: [Int32] = []
    private var order: UInt64 = 0

    var count: Int { heap.count }
    var earliest: UInt64? { heap.first?.deadline }

    mutating func insert(at deadline: UInt64, _ action: @escaping Action) -> TimerID {
        let slot: Int32
        if let reused = free.popLast() {
            slot = reused
        } else {
            slot = Int32(slots.count)
            slots.append(Slot())
        }
        slots[Int(slot)].action = action
        order &+= 1
        heap.append(Entry(deadline: deadline, order: order, slot: slot))
        slots[Int(slot)].position = Int32(heap.count - 1)
        siftUp(heap.count - 1)
        return TimerID(slot: slot, generation: slots[Int(slot)].generation)
    }

    /// Returns false when the timer has fired or was removed before.
    @discardableResult
    mutating func remove(_ id: TimerID) -> Bool { pop(id) != nil }

    /// Removes a timer and returns its action; nil when it has fired or was removed before.
    mutating func pop(_ id: TimerID) -> Action? { position(of: id).flatMap { take($0) } }

    /// Whether the timer is still to fire.
    func holds(_ id: TimerID) -> Bool { position(of: id) != nil }

    private func position(of id: TimerID) -> Int? {
        guard id.slot >= 0, Int(id.slot) < slots.count else { return nil }
        let slot = slots[Int(id.slot)]
        return slot.generation == id.generation && slot.position >= 0 ? Int(slot.position) : nil
    }

    /// Removes and returns the earliest action whose deadline is not after `now`.
    mutating func popDue(_ now: UInt64) -> Action? {
        guard let first = heap.first, first.deadline <= now else { return nil }
        return take(0)
    }

    private mutating func take(_ position: Int) -> Action? {
        let slot = Int(heap[position].slot)
        let action = slots[slot].action
        slots[slot].action = nil
        slots[slot].position = -1
        slots[slot].generation &+= 1
        free.append(Int32(slot))
        let last = heap.removeLast()
        if position < heap.count {
            heap[position] = last
            slots[Int(last.slot)].position = Int32(position)
            siftDown(position)
            siftUp(position)
        }
        return action
    }

    private func precedes(_ a: Entry, _ b: Entry) -> Bool {
        a.deadline != b.deadline ? a.deadline < b.deadline : a.order < b.order
    }

    private mutating func swap(_ a: Int, _ b: Int) {
        heap.swapAt(a, b)
        slots[Int(heap[a].slot)].position = Int32(a)
        slots[Int(heap[b].slot)].position = Int32(b)
    }

    private mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard precedes(heap[child], heap[parent]) else { return }
            swap(child, parent)
            child = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var parent = start
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if precedes(heap[child], heap[least]) { least = child }
            }
            guard least != parent else { return }
            swap(parent, least)
            parent = least
        }
    }
}
