// SPDX-License-Identifier: MIT
public import PomeloBytes
import PomeloJSON

/// Names the five kinds of package.
///
/// - Source: pomelo-protocol 0.1.6, lib/protocol.js.
public enum PacketType: UInt8, Sendable, CaseIterable {
    /// JSON in both directions: the first package of each side.
    case handshake = 1
    /// Empty; the client has accepted the handshake.
    case handshakeAck = 2
    /// Empty; a sign of life in either direction.
    case heartbeat = 3
    /// One message.
    case data = 4
    /// JSON with a reason; only the server sends it.
    case kick = 5
}

/// Writes packages, the outer frame of the client protocol.
///
/// ```
///  0        1        2        3        4
///  +--------+--------+--------+--------+----------- - -
///  |  type  |  body length, big-endian |  body
///  +--------+--------+--------+--------+----------- - -
/// ```
///
/// - Source: pomelo-protocol 0.1.6, lib/protocol.js `Package`; a body over 24 bits is refused here,
///   where the original writes a header that no reader can follow.
public enum Packet {
    /// The bytes before every body.
    public static let headerLength = 4
    /// The longest body that the 24-bit length can state, in bytes.
    public static let maxBodyLength = 0xFF_FFFF
    /// A whole heartbeat package.
    public static let heartbeat: Bytes = [3, 0, 0, 0]

    /// Returns a whole package.
    ///
    /// - Throws: ``WireError/tooLarge(limit:)`` for a body over ``maxBodyLength``.
    public static func encode(_ type: PacketType, _ body: Bytes) throws(WireError) -> Bytes {
        try checkLength(body.count)
        return Bytes(reserving: headerLength &+ body.count) { output in
            putHeader(type, body.count, into: &output)
            output.put(body.span)
        }
    }

    /// Returns a whole kick package that tells the client why.
    ///
    /// - Throws: ``WireError/tooLarge(limit:)`` for a reason that does not fit.
    /// - Source: pomelo 2.2.7, lib/connectors/commands/kick.js.
    public static func kick(reason: String) throws(WireError) -> Bytes {
        try encode(.kick, JSON.object(["reason": .string(reason)]).encoded())
    }

    static func checkLength(_ length: Int) throws(WireError) {
        if length > maxBodyLength {
            throw .tooLarge(limit: maxBodyLength)
        }
    }

    @inline(__always)
    static func putHeader(_ type: PacketType, _ length: Int, into output: inout OutputSpan<UInt8>) {
        output.append(type.rawValue)
        output.append(UInt8(truncatingIfNeeded: length >> 16))
        output.append(UInt8(truncatingIfNeeded: length >> 8))
        output.append(UInt8(truncatingIfNeeded: length))
    }
}
