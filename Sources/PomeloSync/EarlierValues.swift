// SPDX-License-Identifier: MIT
import PomeloLoop

/// Values that the journal has of ids for which later ones stand that it does not have.
///
/// When no journal takes those, and they are given up, these wait again.
@Loop struct EarlierValues {
    private let values: any SlottedValues
    private var held: [UInt32: HeldValue] = [:]

    init(_ values: any SlottedValues) { self.values = values }

    subscript(item: UInt32) -> HeldValue? { held[item] }

    /// Before another one takes its slot.
    mutating func keep(_ item: UInt32, _ value: HeldValue) {
        if held[item] != nil { return }
        var copy = value
        copy.slot = values.copy(value.slot)
        held[item] = copy
    }

    mutating func take(_ item: UInt32) -> HeldValue? { held.isEmpty ? nil : held.removeValue(forKey: item) }

    mutating func drop(_ item: UInt32) { if let value = take(item) { values.remove(value.slot) } }
}
