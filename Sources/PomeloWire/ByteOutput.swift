// SPDX-License-Identifier: MIT

// Small writers and readers shared by the codecs. The loops are plain on purpose: the compiler turns
// them into block copies once the bounds are known, without a single unchecked access.

extension OutputSpan<UInt8> {
    @inline(__always)
    mutating func put(_ bytes: Span<UInt8>) {
        for index in bytes.indices {
            append(bytes[index])
        }
    }

    @inline(__always)
    mutating func put(_ text: String) {
        put(text.utf8Span.span)
    }

    @inline(__always)
    mutating func putBigEndian<Value: FixedWidthInteger>(_ value: Value) {
        var shift = Value.bitWidth
        while shift > 0 {
            shift &-= 8
            append(UInt8(truncatingIfNeeded: value >> Value(shift)))
        }
    }
}

extension Span<UInt8> {
    /// Reads a big-endian integer; the caller has checked that the bytes are there.
    @inline(__always)
    func bigEndian<Value: FixedWidthInteger>(_ type: Value.Type, at offset: Int) -> Value {
        var value: Value = 0
        for index in offset..<(offset &+ Value.bitWidth / 8) {
            value = value << 8 | Value(truncatingIfNeeded: self[index])
        }
        return value
    }

    @inline(__always)
    func copied() -> Bytes {
        let source = self
        return Bytes(reserving: count) { output in output.put(source) }
    }

    var isUTF8: Bool {
        do {
            _ = try UTF8Span(validating: self)
            return true
        } catch {
            return false
        }
    }

    /// The text, or nil when the bytes are not UTF-8.
    @inline(__always)
    func text() -> String? {
        do {
            return String(copying: try UTF8Span(validating: self))
        } catch {
            return nil
        }
    }
}

extension Bytes {
    /// As `init(capacity:initializingWith:)`, whose allocation the compiler does not specialize.
    ///
    /// That one takes five times as long. Without a capacity nothing is written.
    @inline(__always)
    init<E: Error>(reserving capacity: Int, _ write: (inout OutputSpan<UInt8>) throws(E) -> Void) throws(E) {
        self = []
        try add(capacity, write)
    }

    @inline(__always)
    mutating func put(_ bytes: Span<UInt8>) {
        add(bytes.count) { output in output.put(bytes) }
    }

    /// As `append(addingCapacity:initializingWith:)`, which given nothing to add writes all the same.
    ///
    /// It writes the count of the storage that all empty arrays of the process share: a race, as the thread sanitizer
    /// rightly says (Swift 6.3.1).
    @inline(__always)
    mutating func add<E: Error>(_ count: Int, _ write: (inout OutputSpan<UInt8>) throws(E) -> Void) throws(E) {
        if count > 0 { try append(addingCapacity: count, initializingWith: write) }
    }
}

/// Holds the part of a frame that has arrived so far; empty, it owns no memory.
struct Carry: Sendable {
    private(set) var bytes: Bytes = []

    var isEmpty: Bool { bytes.isEmpty }

    /// Moves bytes from `input` at `offset` until `target` bytes are held; true when they are.
    mutating func fill(to target: Int, from input: Span<UInt8>, _ offset: inout Int) -> Bool {
        let wanted = Swift.min(target &- bytes.count, input.count &- offset)
        if wanted > 0 {
            bytes.put(input.extracting(offset..<(offset &+ wanted)))
            offset &+= wanted
        }
        return bytes.count >= target
    }

    /// Hands the bytes over and gives the memory back.
    mutating func take() -> Bytes {
        let whole = bytes
        bytes = []
        return whole
    }
}
