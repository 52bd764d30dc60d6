// SPDX-License-Identifier: MIT

extension Span<UInt8> {
    /// Reads a big-endian integer; the caller has checked that the bytes are there.
    @inlinable @inline(__always)
    package func bigEndian<Value: FixedWidthInteger>(_ type: Value.Type, at offset: Int) -> Value {
        var value: Value = 0
        for index in offset..<(offset &+ Value.bitWidth / 8) {
            value = value << 8 | Value(truncatingIfNeeded: self[index])
        }
        return value
    }

    @inlinable @inline(__always)
    package func copied() -> Bytes {
        let source = self
        return Bytes(reserving: count) { output in output.put(source) }
    }

    package var isUTF8: Bool {
        do {
            _ = try UTF8Span(validating: self)
            return true
        } catch {
            return false
        }
    }

    /// The text, or nil when the bytes are not UTF-8.
    @inlinable @inline(__always)
    package func text() -> String? {
        do {
            return String(copying: try UTF8Span(validating: self))
        } catch {
            return nil
        }
    }
}
