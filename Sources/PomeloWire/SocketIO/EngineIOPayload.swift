// SPDX-License-Identifier: MIT
public import PomeloBytes
import PomeloJSON

/// The body of a poll's answer, or of a POST: several packets.
///
/// ```
/// version 4   packet 1E packet …              binary: b base64
/// version 3   length : packet …               length in characters, in decimal digits
///             00 length FF packet …           length in bytes, one byte a decimal digit; 01 for a binary packet
/// 0.9         packet                          one alone
///             U+FFFD length U+FFFD packet …   length in characters
/// ```
///
/// - Source: the Engine.IO protocol, versions 3 and 4, "payload"; socket.io 0.9.6, lib/parser.js.
public struct EngineIOPayload: Equatable, Sendable {
    /// The packets that a client takes in one payload; python-engineio ends the session over more.
    public static let maxPackets = 16

    /// The body.
    public let body: Bytes
    /// Whether the body is no text: its type is `application/octet-stream`.
    public let isBinary: Bool

    /// The value of `Content-Type`.
    public var contentType: String { isBinary ? "application/octet-stream" : "text/plain; charset=UTF-8" }

    /// Joins whole text packets into one payload.
    ///
    /// In version 3 only ASCII in text framing and bytes in binary framing are read by all clients, so one packet
    /// beyond ASCII makes the whole payload binary. In 0.9 lengths are UTF-16 units.
    ///
    /// - Complexity: one allocation.
    public init(_ packets: [Bytes], _ revision: SocketIORevision) {
        switch revision {
        case .five:
            isBinary = false
            body = Self.joined(packets)
        case .four:
            isBinary = !packets.allSatisfy { $0.allSatisfy { $0 < 0x80 } }
            body = isBinary ? Self.binary(packets) : Self.counted(packets)
        case .one:
            isBinary = false
            body = SocketIO09Payload.encode(packets)
        }
    }

    private static func room(_ packets: [Bytes]) -> Int { packets.reduce(0) { $0 &+ $1.count &+ 21 } }

    private static func joined(_ packets: [Bytes]) -> Bytes {
        var body: Bytes = []
        body.reserveCapacity(room(packets))
        for (index, packet) in packets.enumerated() {
            if index > 0 { body.append(separator) }
            body.put(packet.span)
        }
        return body
    }

    private static func counted(_ packets: [Bytes]) -> Bytes {
        var body: Bytes = []
        body.reserveCapacity(room(packets))
        for packet in packets {
            JSONWriter.write(Int64(packet.count), into: &body)
            body.append(UInt8(ascii: ":"))
            body.put(packet.span)
        }
        return body
    }

    private static func binary(_ packets: [Bytes]) -> Bytes {
        var body: Bytes = []
        body.reserveCapacity(room(packets))
        for packet in packets {
            body.append(0)
            let start = body.count
            JSONWriter.write(Int64(packet.count), into: &body)
            for index in start..<body.count { body[index] &-= UInt8(ascii: "0") }
            body.append(0xFF)
            body.put(packet.span)
        }
        return body
    }

    static let separator: UInt8 = 0x1E
}
