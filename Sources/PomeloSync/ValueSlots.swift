// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop

/// The values of one key by the number of their place, for whoever does not know their type.
@Loop protocol SlottedValues: AnyObject {
    /// Whether an earlier value is a part of what a later one becomes.
    var areMerged: Bool { get }
    func encode(_ slot: UInt32) throws -> Bytes
    /// What two values of one id are together.
    func encode(_ earlier: UInt32, mergedInto later: UInt32) throws -> Bytes
    /// The later one stands for both.
    func merge(_ earlier: UInt32, into later: UInt32)
    /// The same value in a slot of its own.
    func copy(_ slot: UInt32) -> UInt32
    func remove(_ slot: UInt32)
}

/// Values by the number of their place, which is used again when a value has left.
///
/// What is known of a value besides has one type for all keys this way: a table of that is compiled for it, where one
/// of values looks up at run time how each of them is copied. The same look-up is what an optional would cost here, so
/// that a place that is free holds a further copy of the first value.
///
/// An object, which knows its type: that of a generic structure is looked up each time.
@Loop final class ValueSlots<Value: Sendable>: SlottedValues {
    private static var keptCapacity: Int { 4096 }
    private let key: SyncKey<Value>
    private var values: [Value] = []
    private var free: [UInt32] = []
    /// The first value, once there is one.
    private var filler: [Value] = []

    init(_ key: SyncKey<Value>) { self.key = key }

    var areMerged: Bool { key.merge != nil }

    func encode(_ slot: UInt32) throws -> Bytes { try key.encode(values[Int(slot)]) }

    func encode(_ earlier: UInt32, mergedInto later: UInt32) throws -> Bytes {
        guard let merge = key.merge else { return try encode(later) }
        return try key.encode(merge(values[Int(earlier)], values[Int(later)]))
    }

    func merge(_ earlier: UInt32, into later: UInt32) {
        if let merge = key.merge { values[Int(later)] = merge(values[Int(earlier)], values[Int(later)]) }
        remove(earlier)
    }

    /// Puts a value into the slot of the earlier one, as the key says, or into a new one.
    func put(_ value: Value, over earlier: UInt32?) -> UInt32 {
        guard let earlier else { return add(value) }
        let slot = Int(earlier)
        if let merge = key.merge { values[slot] = merge(values[slot], value) } else { values[slot] = value }
        return earlier
    }

    private func add(_ value: Value) -> UInt32 {
        if let slot = free.popLast() {
            values[Int(slot)] = value
            return slot
        }
        if filler.isEmpty { filler.append(value) }
        values.append(value)
        return UInt32(values.count - 1)
    }

    func copy(_ slot: UInt32) -> UInt32 { add(values[Int(slot)]) }

    func remove(_ slot: UInt32) {
        values[Int(slot)] = filler[0]
        free.append(slot)
        guard free.count == values.count else { return }
        values.removeAll(keepingCapacity: values.capacity <= Self.keptCapacity)
        free.removeAll(keepingCapacity: free.capacity <= Self.keptCapacity)
        filler = []
    }
}
