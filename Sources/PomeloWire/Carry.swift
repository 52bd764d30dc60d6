// SPDX-License-Identifier: MIT
import PomeloBytes

/// Holds the part of a frame that has arrived so far; empty, it owns no memory.
struct Carry: Sendable {
    private(set) var bytes: Bytes = []

    var isEmpty: Bool { bytes.isEmpty }
    /// The memory taken, in bytes.
    var size: Int { isEmpty ? 0 : bytes.capacity }

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
