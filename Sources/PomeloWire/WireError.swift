// SPDX-License-Identifier: MIT

// PomeloWire: bytes in, values out, and back. Pure: no input or output, no clock, no randomness, no
// Foundation. Hashes (MD5, SHA-1) are given to it as functions. Reading order: Text, Packet,
// PacketDecoder, Message, RouteDictionary, Handshake, JSON, WebSocketFrame, HTTPUpgrade, RPCFrame, Rendezvous,
// LogText.

/// A run of bytes as it travels between the rooms of a process.
public typealias Bytes = [UInt8]

/// Says why bytes could not be read, or a value could not be written.
public enum WireError: Error, Equatable, Sendable {
    /// The bytes break the format; the text says where.
    case malformed(String)
    /// A declared or actual size exceeds a limit, in bytes.
    case tooLarge(limit: Int)
    /// The bytes are well formed but use something this side does not speak.
    case unsupported(String)
}
