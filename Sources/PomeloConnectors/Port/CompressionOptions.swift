// SPDX-License-Identifier: MIT
import PomeloCore

/// Whether messages over WebSocket are compressed with clients that offer it, as browsers do: permessage-deflate.
///
/// Off by default. It costs time of the one loop that serves everybody; a message that holds a secret beside what
/// somebody else has chosen tells, by its length, something of the secret, also where TLS hides it; and most messages
/// are short.
///
/// - Source: RFC 7692. pomelo 2.2.7 agrees to whatever is offered, as its library does.
public struct CompressionOptions: Sendable, Equatable {
    /// Whether it is agreed to.
    public var isOn = false
    /// Messages to clients that are shorter are sent as they are, in bytes.
    ///
    /// Of a message of 512 bytes of JSON about 250 are left after 10 µs; of shorter ones so little is saved that it is
    /// a part of a packet at most.
    public var minBytes = 512
    /// Whether messages of clients may refer to those before them.
    ///
    /// They are shorter then, and a connection keeps 40 KiB more from its first compressed message on. Messages to
    /// clients never do: one that is compressed once serves everybody.
    public var keepsClientContext = false

    /// Off.
    public init() {}

    /// Reads the keys, all of them optional.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file and the key.
    mutating func read(_ reader: inout OptionReader) throws {
        isOn = try reader.bool("compression") ?? isOn
        minBytes = try reader.int("compressionMinBytes", in: 0...1 << 30) ?? minBytes
        keepsClientContext = try reader.bool("compressionKeepsContext") ?? keepsClientContext
    }
}
