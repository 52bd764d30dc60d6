// SPDX-License-Identifier: MIT
public import PomeloBytes

/// Finds whole records in the byte stream of a sealed connection between two servers.
///
/// ```
///  0        2
///  +--------+------------------------------ - -
///  | length | sealed message                           length u16, big-endian, of the message
///  +--------+------------------------------ - -
/// ```
///
/// What is inside of a record is nothing to it. Between records it owns no memory.
public struct RPCRecordDecoder: Sendable {
    /// The longest message accepted from the next one on, in bytes.
    public var maxRecordBytes: Int
    private var carry = Carry()

    /// Creates a decoder.
    public init(maxRecordBytes: Int) { self.maxRecordBytes = maxRecordBytes }

    /// The next message of the input, from `offset` on, which moves behind it; nil when the input ends before.
    ///
    /// - Throws: ``WireError/tooLarge(limit:)``. The stream cannot be used afterwards.
    public mutating func next(_ input: Span<UInt8>, _ offset: inout Int) throws(WireError) -> ArraySlice<UInt8>? {
        guard carry.fill(to: 2, from: input, &offset) else { return nil }
        let length = Int(carry.bytes.span.bigEndian(UInt16.self, at: 0))
        guard length <= maxRecordBytes else { throw .tooLarge(limit: maxRecordBytes) }
        guard carry.fill(to: 2 &+ length, from: input, &offset) else { return nil }
        return carry.take().dropFirst(2)
    }
}
