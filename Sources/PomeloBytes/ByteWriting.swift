// SPDX-License-Identifier: MIT

// Small writers and readers shared by the codecs. The loops are plain on purpose: the compiler turns
// them into block copies once the bounds are known, without a single unchecked access.

extension OutputSpan<UInt8> {
    @inlinable @inline(__always)
    package mutating func put(_ bytes: Span<UInt8>) {
        for index in bytes.indices {
            append(bytes[index])
        }
    }

    @inlinable @inline(__always)
    package mutating func put(_ text: String) {
        put(text.utf8Span.span)
    }

    @inlinable @inline(__always)
    package mutating func putBigEndian<Value: FixedWidthInteger>(_ value: Value) {
        var shift = Value.bitWidth
        while shift > 0 {
            shift &-= 8
            append(UInt8(truncatingIfNeeded: value >> Value(shift)))
        }
    }
}

extension Bytes {
    /// As `init(capacity:initializingWith:)`, whose allocation the compiler does not specialize.
    ///
    /// That one takes five times as long. Without a capacity nothing is written.
    @inlinable @inline(__always)
    package init<E: Error>(reserving capacity: Int, _ write: (inout OutputSpan<UInt8>) throws(E) -> Void) throws(E) {
        self = []
        try add(capacity, write)
    }

    @inlinable @inline(__always)
    package mutating func put(_ bytes: Span<UInt8>) {
        add(bytes.count) { output in output.put(bytes) }
    }

    /// As `append(addingCapacity:initializingWith:)`, which given nothing to add writes all the same.
    ///
    /// It writes the count of the storage that all empty arrays of the process share: a race, as the thread sanitizer
    /// rightly says (Swift 6.3.1).
    @inlinable @inline(__always)
    package mutating func add<E: Error>(_ count: Int, _ write: (inout OutputSpan<UInt8>) throws(E) -> Void) throws(E) {
        if count > 0 { try append(addingCapacity: count, initializingWith: write) }
    }
}
