// SPDX-License-Identifier: MIT

/// Values by the number of their place, which is used again when a value has left.
///
/// What is known of a value besides has one type for all keys this way: a dictionary of that is compiled for it, where
/// one of values looks up at run time how each of them is copied. The same look-up is what an optional would cost here,
/// so that a place that is free holds a further copy of the first value.
///
/// An object, which knows its type: that of a generic structure is looked up each time.
final class ValueSlots<Value> {
    private static var keptCapacity: Int { 4096 }
    private var values: [Value] = []
    private var free: [UInt32] = []
    /// The first value, once there is one.
    private var filler: [Value] = []

    subscript(slot: UInt32) -> Value {
        get { values[Int(slot)] }
        set { values[Int(slot)] = newValue }
    }

    func add(_ value: Value) -> UInt32 {
        if let slot = free.popLast() {
            values[Int(slot)] = value
            return slot
        }
        if filler.isEmpty { filler.append(value) }
        values.append(value)
        return UInt32(values.count - 1)
    }

    func remove(_ slot: UInt32) {
        values[Int(slot)] = filler[0]
        free.append(slot)
        guard free.count == values.count else { return }
        values.removeAll(keepingCapacity: values.capacity <= Self.keptCapacity)
        free.removeAll(keepingCapacity: free.capacity <= Self.keptCapacity)
        filler = []
    }
}
