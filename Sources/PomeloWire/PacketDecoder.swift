// SPDX-License-Identifier: MIT
public import PomeloBytes

/// Finds whole packages in a stream of bytes.
///
/// A package that lies whole inside one input is given out in place, without a copy; only a split one
/// is collected. Between packages the decoder owns no memory.
///
/// The third argument of `each` is the body limit: set it to change the limit for the packages that
/// follow, even within the same input (a client may send its acknowledgement and a large message in one
/// write). `each` runs while the decoder is being changed, so it must not touch the decoder itself: an
/// owner that could do so takes the decoder out of its property first and puts it back afterwards.
///
/// - Source: pomelo 2.2.7, lib/connectors/hybrid/tcpsocket.js (head and body states, type check).
public struct PacketDecoder: Sendable {
    /// Receives one package and the current limit; returns false to stop after it.
    public typealias Each = (_ type: PacketType, _ body: Span<UInt8>, _ maxBodyBytes: inout Int) -> Bool

    /// The longest body accepted from the next package on, in bytes.
    public var maxBodyBytes: Int
    private var carry = Carry()

    /// Creates a decoder that accepts bodies of up to `maxBodyBytes`.
    public init(maxBodyBytes: Int) {
        self.maxBodyBytes = maxBodyBytes
    }

    /// The memory that the part of a package read so far takes, in bytes.
    public var heldBytes: Int { carry.size }

    /// Whether part of a package is held back.
    public var isMidPacket: Bool { !carry.isEmpty }

    /// Reads the next bytes of the stream.
    ///
    /// - Returns: how many bytes were taken: all, unless `each` said stop. The rest is to be given again.
    /// - Throws: ``WireError/malformed(_:)`` for an unknown type and ``WireError/tooLarge(limit:)`` for a
    ///   long body, both as soon as the four head bytes are there. The stream cannot be used afterwards.
    @discardableResult
    public mutating func decode(_ input: Span<UInt8>, _ each: Each) throws(WireError) -> Int {
        var offset = 0
        if !carry.isEmpty {
            guard try finishCarried(input, &offset, each) else { return offset }
        }
        while input.count &- offset >= Packet.headerLength {
            let head = try PacketHead(input, at: offset, maxBodyBytes: maxBodyBytes)
            let start = offset &+ Packet.headerLength
            guard input.count &- start >= head.length else { break }
            offset = start &+ head.length
            guard each(head.type, input.extracting(start..<offset), &maxBodyBytes) else { return offset }
        }
        if offset < input.count {
            _ = carry.fill(to: .max, from: input, &offset)
        }
        return input.count
    }

    /// Completes the package begun in earlier input; false when more is needed or `each` said stop.
    private mutating func finishCarried(
        _ input: Span<UInt8>, _ offset: inout Int, _ each: Each
    ) throws(WireError) -> Bool {
        guard carry.fill(to: Packet.headerLength, from: input, &offset) else { return false }
        let head: PacketHead
        do {
            head = try PacketHead(carry.bytes.span, at: 0, maxBodyBytes: maxBodyBytes)
        } catch {
            _ = carry.take()
            throw error
        }
        let total = Packet.headerLength &+ head.length
        guard carry.fill(to: total, from: input, &offset) else { return false }
        let whole = carry.take()
        return each(head.type, whole.span.extracting(Packet.headerLength..<total), &maxBodyBytes)
    }

    /// Reads one WebSocket message, or the rest of one, which holds one or more whole packages.
    ///
    /// - Returns: how many bytes were taken: all, unless `each` said stop.
    /// - Throws: ``WireError/malformed(_:)`` also for no package at all and for a package cut short;
    ///   packages before the fault have been given to `each` by then.
    /// - Source: pomelo 2.2.7, lib/connectors/hybrid/wsprocessor.js; several packages in one message are
    ///   accepted, where the original closes the connection.
    @discardableResult
    public static func decodeFrame(
        _ input: Span<UInt8>, maxBodyBytes: Int, _ each: Each
    ) throws(WireError) -> Int {
        var offset = 0
        var limit = maxBodyBytes
        repeat {
            guard input.count &- offset >= Packet.headerLength else {
                throw .malformed("package head cut short")
            }
            let head = try PacketHead(input, at: offset, maxBodyBytes: limit)
            let start = offset &+ Packet.headerLength
            guard input.count &- start >= head.length else { throw .malformed("package body cut short") }
            offset = start &+ head.length
            guard each(head.type, input.extracting(start..<offset), &limit) else { return offset }
        } while offset < input.count
        return offset
    }
}

private struct PacketHead {
    let type: PacketType
    let length: Int

    @inline(__always)
    init(_ bytes: Span<UInt8>, at offset: Int, maxBodyBytes: Int) throws(WireError) {
        guard let type = PacketType(rawValue: bytes[offset]) else { throw .malformed("package type") }
        let high = Int(bytes[offset &+ 1]) << 16
        let length = high | Int(bytes[offset &+ 2]) << 8 | Int(bytes[offset &+ 3])
        guard length <= maxBodyBytes else { throw .tooLarge(limit: maxBodyBytes) }
        self.type = type
        self.length = length
    }
}
