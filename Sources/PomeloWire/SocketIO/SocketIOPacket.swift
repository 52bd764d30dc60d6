// SPDX-License-Identifier: MIT
public import PomeloBytes
import PomeloJSON

/// What a client of any generation says on top of its transport.
public enum SocketIOPacket: Equatable, Sendable {
    /// Why a packet is well formed but nothing for pomelo: to be counted, not answered.
    public enum Foreign: String, Sendable, CaseIterable {
        /// It concerns a namespace other than the default one.
        case namespace
        /// An event of another name than `message`.
        case event
        /// The event `message` with something else than one text.
        case arguments
        /// An acknowledgement of something that was never sent with a wish for one.
        case acknowledgement
        /// An event or acknowledgement that announces binary attachments, or an attachment.
        case binary
        /// An error or a packet that only servers send.
        case error
        /// It breaks the format: an unknown type, data that is no JSON.
        case malformed
    }

    /// The client enters a namespace; the default one is empty. From version 3 on it must do so first.
    case connect(namespace: String)
    /// The client leaves a namespace; the default one is empty.
    case disconnect(namespace: String)
    /// The text of one pomelo message, as UTF-8; see ``PomeloText``.
    case message(Bytes)
    /// Something that is not for us.
    case foreign(Foreign)

    /// Reads what ``EngineIOSession`` received.
    ///
    /// - Throws: ``WireError/malformed(_:)`` for an unknown type and for data that is no JSON.
    /// - Source: the socket.io protocol, revisions 1, 4 and 5.
    public init(_ data: Span<UInt8>, _ revision: SocketIORevision) throws(WireError) {
        self =
            switch revision {
            case .one: try SocketIO09Packet(data).meaning
            case .four, .five: try Self.read(data)
            }
    }

    /// `type [attachments -] [/namespace ,] [id] [JSON]`.
    private static func read(_ data: Span<UInt8>) throws(WireError) -> SocketIOPacket {
        if let text = MessageEvent.text(data) { return .message(text) }
        guard data.count > 0 else { throw .malformed("empty socket.io packet") }
        var offset = 1
        let type = data[0]
        // With attachments the rest is of no interest, however many are announced.
        if type == UInt8(ascii: "5") || type == UInt8(ascii: "6") { return .foreign(.binary) }
        let namespace = try namespace(data, &offset)
        switch type {
        case UInt8(ascii: "0"): return .connect(namespace: namespace)
        case UInt8(ascii: "1"): return .disconnect(namespace: namespace)
        case UInt8(ascii: "3"): return .foreign(.acknowledgement)
        case UInt8(ascii: "4"): return .foreign(.error)
        case UInt8(ascii: "2"): break
        default: throw .malformed("socket.io packet type")
        }
        let digits = offset
        while offset < data.count, data[offset] &- UInt8(ascii: "0") < 10 { offset &+= 1 }
        guard offset &- digits <= 20 else { throw .malformed("socket.io acknowledgement id") }
        guard case .array(let event) = try JSON.parse(data.extracting(offset...)), let name = event.first?.string
        else { throw .malformed("socket.io event") }
        guard namespace.isEmpty else { return .foreign(.namespace) }
        return meaning(name, event.dropFirst())
    }

    static func meaning(_ name: String, _ arguments: ArraySlice<JSON>) -> SocketIOPacket {
        guard Text(name) == "message" else { return .foreign(.event) }
        guard arguments.count == 1, let text = arguments.first?.string else { return .foreign(.arguments) }
        return .message(Bytes(text.utf8))
    }

    private static func namespace(_ data: Span<UInt8>, _ offset: inout Int) throws(WireError) -> String {
        guard offset < data.count, data[offset] == UInt8(ascii: "/") else { return "" }
        let start = offset
        while offset < data.count, data[offset] != UInt8(ascii: ",") { offset &+= 1 }
        var end = start
        // A query behind the name, as clients 1 and 2 send it.
        while end < offset, data[end] != UInt8(ascii: "?") { end &+= 1 }
        guard offset &- start <= maxNamespaceBytes else { throw .tooLarge(limit: maxNamespaceBytes) }
        guard let name = data.extracting(start..<end).text() else { throw .malformed("namespace is not UTF-8") }
        offset = min(offset &+ 1, data.count)
        return name == "/" ? "" : name
    }

    /// The longest namespace accepted, with its query, in bytes.
    public static let maxNamespaceBytes = 512
}

extension SocketIOPacket {
    /// Returns the whole packet that lets a client into the default namespace.
    ///
    /// The name of the connection is told in revision five only.
    public static func connected(sid: String, _ revision: SocketIORevision) -> Bytes {
        switch revision {
        case .one: Bytes("1::".utf8)
        case .four: Bytes("40".utf8)
        case .five: Bytes("40".utf8) + JSON.object(["sid": .string(sid)]).encoded()
        }
    }

    /// Returns the whole packet that puts a client out of the default namespace.
    public static func disconnected(_ revision: SocketIORevision) -> Bytes {
        Bytes((revision == .one ? "0::" : "41").utf8)
    }

    /// Returns the whole packet that refuses a client a namespace, named as ``SocketIOPacket/connect(namespace:)`` did.
    public static func connectError(
        _ message: String, namespace: String = "", _ revision: SocketIORevision
    ) -> Bytes {
        let place = namespace.isEmpty ? "" : namespace + ","
        switch revision {
        case .one: return SocketIO09Packet(.error, endpoint: Bytes(namespace.utf8), data: Bytes("1+0".utf8)).encoded()
        case .four: return Bytes("44\(place)".utf8) + JSON.string(message).encoded()
        case .five: return Bytes("44\(place)".utf8) + JSON.object(["message": .string(message)]).encoded()
        }
    }
}
