// SPDX-License-Identifier: MIT
public import PomeloBytes

/// Collects the head of one HTTP request.
///
/// Strict where leniency has led to attacks: lines end in CR LF, names are tokens right before their colon,
/// no folded lines, no control characters.
///
/// - Source: RFC 9112 §2 to §5.
public struct UpgradeDecoder: Sendable {
    /// What the bytes so far amount to.
    public enum Step: Equatable, Sendable {
        /// The head has not ended yet.
        case needMore
        /// A whole head; it took `consumed` bytes of the last input, the rest belongs to what comes next.
        case request(UpgradeRequest, consumed: Int)
    }

    /// The longest head accepted, in bytes.
    public let maxHeadBytes: Int
    private var carry = Carry()

    /// Creates a decoder.
    public init(maxHeadBytes: Int = 8192) {
        self.maxHeadBytes = maxHeadBytes
    }

    /// The memory that the part of a head read so far takes, in bytes.
    public var heldBytes: Int { carry.size }

    /// Reads the next bytes of the stream.
    ///
    /// - Throws: ``WireError/malformed(_:)`` (answer 400) or ``WireError/tooLarge(limit:)`` (answer 431); the
    ///   stream cannot be used afterwards.
    public mutating func decode(_ input: Span<UInt8>) throws(WireError) -> Step {
        let before = carry.bytes.count
        var offset = 0
        _ = carry.fill(to: maxHeadBytes, from: input, &offset)
        let held = carry.bytes
        // The end may have begun in earlier input.
        guard let end = HTTPHead.end(held.span, from: max(0, before &- 3)) else {
            if held.count >= maxHeadBytes { throw .tooLarge(limit: maxHeadBytes) }
            return .needMore
        }
        _ = carry.take()
        let request = try HTTPHead.parse(held.span.extracting(0..<end))
        return .request(request, consumed: end &- before)
    }
}
