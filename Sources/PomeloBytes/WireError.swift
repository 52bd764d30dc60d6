// SPDX-License-Identifier: MIT

// PomeloBytes: what every codec is made of. Pure: no input or output, no clock, no randomness, no Foundation.
// Reading order: WireError, Text, ByteReading, ByteWriting, Base64, Rendezvous (with FNV1a), CRC32, Glob, LogText.

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
