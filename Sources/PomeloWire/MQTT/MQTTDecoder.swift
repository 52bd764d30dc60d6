// SPDX-License-Identifier: MIT
package import PomeloBytes

/// Finds whole packets of MQTT in a stream of bytes.
///
/// A packet that lies whole inside one input is given out in place, without a copy; only a split one is collected, and
/// only after its length was found to be within the limit. Between packets the decoder owns no memory.
///
/// `each` gets the first byte, what follows the length, and that limit, to change it for the packets that come; it runs
/// while the decoder is being changed, so it must not touch the decoder itself.
///
/// - Source: OASIS MQTT 3.1.1, section 2.2.
package struct MQTTDecoder: Sendable {
    /// Receives one packet and the current limit; returns false to stop after it.
    package typealias Each = (_ first: UInt8, _ body: Span<UInt8>, _ maxBodyBytes: inout Int) -> Bool

    /// The longest remaining length accepted from the next packet on, in bytes.
    package var maxBodyBytes: Int
    private var carry = Carry()

    /// Creates a decoder that accepts remaining lengths of up to `maxBodyBytes`.
    package init(maxBodyBytes: Int) { self.maxBodyBytes = maxBodyBytes }

    /// The memory that the part of a packet read so far takes, in bytes.
    package var heldBytes: Int { carry.size }

    /// Reads the next bytes of the stream.
    ///
    /// - Returns: how many bytes were taken: all, unless `each` said stop. The rest is to be given again.
    /// - Throws: ``WireError/malformed(_:)`` for a type, flags or a length that cannot be and
    ///   ``WireError/tooLarge(limit:)`` for a long packet, both as soon as the bytes that say so are there. The stream
    ///   cannot be used afterwards.
    @discardableResult
    package mutating func decode(_ input: Span<UInt8>, _ each: Each) throws(WireError) -> Int {
        var offset = 0
        if !carry.isEmpty {
            guard try finishCarried(input, &offset, each) else { return offset }
        }
        while offset < input.count {
            guard let head = try MQTTHead(input, at: offset, maxBodyBytes: maxBodyBytes),
                input.count &- head.bodyStart >= head.length
            else { break }
            let first = input[offset]
            offset = head.bodyStart &+ head.length
            guard each(first, input.extracting(head.bodyStart..<offset), &maxBodyBytes) else { return offset }
        }
        if offset < input.count { _ = carry.fill(to: .max, from: input, &offset) }
        return input.count
    }

    /// Completes the packet begun in earlier input; false when more is needed or `each` said stop.
    private mutating func finishCarried(
        _ input: Span<UInt8>, _ offset: inout Int, _ each: Each
    ) throws(WireError) -> Bool {
        var known = try head()
        while known == nil {
            guard carry.fill(to: carry.bytes.count &+ 1, from: input, &offset) else { return false }
            known = try head()
        }
        guard let known else { return false }
        let total = known.bodyStart &+ known.length
        guard carry.fill(to: total, from: input, &offset) else { return false }
        let whole = carry.take()
        return each(whole[0], whole.span.extracting(known.bodyStart..<total), &maxBodyBytes)
    }

    private mutating func head() throws(WireError) -> MQTTHead? {
        do {
            return try MQTTHead(carry.bytes.span, at: 0, maxBodyBytes: maxBodyBytes)
        } catch {
            _ = carry.take()
            throw error
        }
    }
}

/// What stands in front of every packet; nil while bytes are missing.
private struct MQTTHead {
    let bodyStart: Int
    let length: Int

    @inline(__always)
    init?(_ bytes: Span<UInt8>, at offset: Int, maxBodyBytes: Int) throws(WireError) {
        guard MQTTPacketType(rawValue: bytes[offset] >> 4) != nil else { throw .malformed("packet type") }
        var (length, place) = (0, offset &+ 1)
        while true {
            guard place < bytes.count else { return nil }
            let byte = bytes[place]
            length |= Int(byte & 0x7F) << (7 &* (place &- offset &- 1))
            place &+= 1
            if byte < 0x80 { break }
            if place &- offset > 4 { throw .malformed("remaining length of more than four bytes") }
        }
        guard length <= maxBodyBytes else { throw .tooLarge(limit: maxBodyBytes) }
        self.length = length
        bodyStart = place
    }
}
