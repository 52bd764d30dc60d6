// SPDX-License-Identifier: MIT
public import PomeloBytes

/// One packet of Engine.IO.
///
/// Text: one digit, then the data. Binary: in version 4 the data alone, a message by itself; in version 3 one byte with
/// the number of the kind, then the data.
///
/// - Source: the Engine.IO protocol, versions 3 and 4.
public struct EngineIOPacket: Equatable, Sendable {
    /// Names the seven kinds.
    public enum Kind: UInt8, Sendable, CaseIterable {
        /// From the server, first of all.
        case open = 0
        /// Ends the session.
        case close = 1
        /// From the client in version 3, from the server in version 4; and `2probe`.
        case ping = 2
        /// Answers a ping with the same data.
        case pong = 3
        /// Data of the layer above.
        case message = 4
        /// From the client: the WebSocket is the transport from here on.
        case upgrade = 5
        /// Nothing; ends a poll.
        case noop = 6
    }

    /// The whole packet that ends a poll with nothing.
    public static let noop: Bytes = [UInt8(ascii: "6")]
    /// The whole packet that ends the session.
    public static let close: Bytes = [UInt8(ascii: "1")]
    /// The whole packet with which a server of version 4 asks for a sign of life.
    public static let ping: Bytes = [UInt8(ascii: "2")]
    /// The whole packet that asks whether an upgrade can be done.
    public static let probe = Bytes("2probe".utf8)
    /// The whole packet that says so.
    public static let probed = Bytes("3probe".utf8)

    /// The kind.
    public let kind: Kind
    /// What follows the kind; text has not been checked to be UTF-8.
    public let data: Bytes
    /// Whether the data is bytes rather than text.
    public let isBinary: Bool

    /// Creates a packet.
    public init(_ kind: Kind, _ data: Bytes = [], isBinary: Bool = false) {
        self.kind = kind
        self.data = data
        self.isBinary = isBinary
    }

    /// Reads a text packet.
    ///
    /// - Throws: ``WireError/malformed(_:)`` for none or an unknown kind.
    public init(text: Span<UInt8>) throws(WireError) {
        guard text.count > 0, let kind = Kind(rawValue: text[0] &- UInt8(ascii: "0")) else {
            throw .malformed("Engine.IO packet type")
        }
        self.init(kind, text.extracting(1...).copied())
    }

    /// Reads a binary packet of a WebSocket or of binary framing.
    ///
    /// - Throws: ``WireError/malformed(_:)`` for none or an unknown kind, and for revision one, which has none.
    public init(binary: Span<UInt8>, _ revision: SocketIORevision) throws(WireError) {
        switch revision {
        case .one: throw .malformed("binary packet")
        case .five: self.init(.message, binary.copied(), isBinary: true)
        case .four:
            guard binary.count > 0, let kind = Kind(rawValue: binary[0]) else {
                throw .malformed("Engine.IO packet type")
            }
            self.init(kind, binary.extracting(1...).copied(), isBinary: true)
        }
    }

    /// Returns a text packet.
    public static func encode(_ kind: Kind, _ data: Bytes = []) -> Bytes {
        Bytes(reserving: data.count &+ 1) { output in
            output.append(kind.rawValue &+ UInt8(ascii: "0"))
            output.put(data.span)
        }
    }
}
