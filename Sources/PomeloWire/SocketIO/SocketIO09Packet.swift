// SPDX-License-Identifier: MIT
public import PomeloBytes
import PomeloJSON

/// One packet of socket.io 0.9: `type : id [+] : endpoint [: data]`.
///
/// - Source: socket.io 0.9.6, lib/parser.js; socket.io-client 0.9.6; socketIO-client 0.5.7.2, which writes `2:::`.
public struct SocketIO09Packet: Equatable, Sendable {
    /// Names the nine types.
    public enum Kind: UInt8, Sendable, CaseIterable {
        /// The sender leaves an endpoint; the empty one ends the session.
        case disconnect = 0
        /// The sender enters an endpoint, or answers that.
        case connect = 1
        /// A sign of life.
        case heartbeat = 2
        /// Text.
        case message = 3
        /// A JSON value.
        case json = 4
        /// `{"name": …, "args": […]}`.
        case event = 5
        /// An acknowledgement.
        case ack = 6
        /// `reason + advice`.
        case error = 7
        /// Nothing; ends a poll.
        case noop = 8
    }

    /// The type.
    public let kind: Kind
    /// The id, at most 20 digits; empty when there is none.
    public let id: Bytes
    /// Whether the sender wants its data back with the acknowledgement.
    public let wantsData: Bool
    /// The endpoint; empty for the default one.
    public let endpoint: Bytes
    /// The rest.
    public let data: Bytes

    /// Creates a packet.
    public init(
        _ kind: Kind, id: Bytes = [], wantsData: Bool = false, endpoint: Bytes = [], data: Bytes = []
    ) {
        self.kind = kind
        self.id = id
        self.wantsData = wantsData
        self.endpoint = endpoint
        self.data = data
    }

    /// Reads a packet.
    ///
    /// - Throws: ``WireError/malformed(_:)`` for an unknown type, an id that is no number or fewer than two colons.
    public init(_ text: Span<UInt8>) throws(WireError) {
        guard text.count >= 3, let kind = Kind(rawValue: text[0] &- UInt8(ascii: "0")), text[1] == Self.colon else {
            throw .malformed("socket.io 0.9 packet type")
        }
        var offset = 2
        while offset < text.count, text[offset] &- UInt8(ascii: "0") < 10 { offset &+= 1 }
        guard offset <= 22 else { throw .malformed("socket.io 0.9 packet id") }
        let id = text.extracting(2..<offset).copied()
        let wantsData = offset < text.count && text[offset] == UInt8(ascii: "+")
        if wantsData { offset &+= 1 }
        guard offset < text.count, text[offset] == Self.colon else { throw .malformed("socket.io 0.9 packet id") }
        let start = offset &+ 1
        offset = start
        while offset < text.count, text[offset] != Self.colon { offset &+= 1 }
        self.init(
            kind, id: id, wantsData: wantsData, endpoint: text.extracting(start..<offset).copied(),
            data: text.extracting(min(offset &+ 1, text.count)...).copied())
    }

    /// Returns the whole packet.
    public func encoded() -> Bytes {
        var bytes: Bytes = [kind.rawValue &+ UInt8(ascii: "0"), Self.colon]
        bytes.reserveCapacity(5 &+ id.count &+ endpoint.count &+ data.count)
        bytes += id
        if wantsData { bytes.append(UInt8(ascii: "+")) }
        bytes.append(Self.colon)
        bytes += endpoint
        if !data.isEmpty {
            bytes.append(Self.colon)
            bytes += data
        }
        return bytes
    }

    /// What the packet says; heartbeats and noops say nothing.
    var meaning: SocketIOPacket {
        get throws(WireError) {
            let (end, endpoint) = (self.endpoint.firstIndex(of: UInt8(ascii: "?")), self.endpoint)
            let namespace = String(decoding: endpoint[..<(end ?? endpoint.count)], as: UTF8.self)
            switch kind {
            case .connect: return .connect(namespace: namespace)
            case .disconnect: return .disconnect(namespace: namespace)
            case .heartbeat, .noop, .error: return .foreign(.error)
            case .ack: return .foreign(.acknowledgement)
            case .message, .json, .event: break
            }
            guard namespace.isEmpty else { return .foreign(.namespace) }
            if kind == .message { return .message(data) }
            let value = try JSON.parse(data)
            if kind == .json { return value.string.map { .message(Bytes($0.utf8)) } ?? .foreign(.arguments) }
            guard let name = value["name"]?.string else { throw .malformed("socket.io event") }
            return SocketIOPacket.meaning(name, (value["args"]?.array ?? [])[...])
        }
    }

    /// The whole packet with which a server asks for a sign of life.
    public static let heartbeat = Bytes("2::".utf8)
    /// The whole packet that ends a poll with nothing.
    public static let noop = Bytes("8::".utf8)

    private static let colon = UInt8(ascii: ":")
}
