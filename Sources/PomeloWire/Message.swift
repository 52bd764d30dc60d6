// SPDX-License-Identifier: MIT
public import PomeloBytes

/// Names the four kinds of message.
///
/// - Source: pomelo-protocol 0.1.6, lib/protocol.js.
public enum MessageKind: UInt8, Sendable, CaseIterable {
    /// From the client, wants a response.
    case request = 0
    /// From the client, wants none.
    case notify = 1
    /// From the server, answers the request with the same id.
    case response = 2
    /// From the server, unasked.
    case push = 3

    var hasID: Bool { self == .request || self == .response }
    var hasRoute: Bool { self != .response }
}

/// Writes messages, alone or already inside their package (the format is drawn at ``MessageHead``).
///
/// The `…Packet` forms write package head, message head and body into one allocation: they are the hot
/// path of a frontend server. No form sets a flag bit above bit 3, which some clients cannot read.
///
/// - Source: pomelo-protocol 0.1.6, lib/protocol.js `Message.encode`.
public enum Message {
    /// The largest request id, 2^31-1.
    public static let maxID: UInt32 = 0x7FFF_FFFF
    /// The longest plain route, in bytes of UTF-8.
    public static let maxRouteBytes = 255

    /// Returns a request; `code` replaces the text of the route when given.
    ///
    /// - Throws: ``WireError/tooLarge(limit:)`` for an id over 2^31-1 or a route over 255 bytes.
    public static func request(
        id: UInt32, route: String, code: UInt16? = nil, body: Bytes
    ) throws(WireError) -> Bytes {
        try MessagePlan(.request, id: id, route: route, code: code, body).message()
    }

    /// Returns a notification; `code` replaces the text of the route when given.
    ///
    /// - Throws: ``WireError/tooLarge(limit:)`` for a route over 255 bytes.
    public static func notify(route: String, code: UInt16? = nil, body: Bytes) throws(WireError) -> Bytes {
        try MessagePlan(.notify, route: route, code: code, body).message()
    }

    /// Returns the response to the request `id`.
    ///
    /// - Throws: ``WireError/tooLarge(limit:)`` for an id over 2^31-1.
    public static func response(id: UInt32, body: Bytes) throws(WireError) -> Bytes {
        try MessagePlan(.response, id: id, body).message()
    }

    /// Returns a push; `code` replaces the text of the route when given.
    ///
    /// - Throws: ``WireError/tooLarge(limit:)`` for a route over 255 bytes.
    public static func push(route: String, code: UInt16? = nil, body: Bytes) throws(WireError) -> Bytes {
        try MessagePlan(.push, route: route, code: code, body).message()
    }

    /// Returns a request inside its package.
    ///
    /// - Throws: ``WireError/tooLarge(limit:)`` as ``request(id:route:code:body:)``, and over 0xFFFFFF bytes.
    public static func requestPacket(
        id: UInt32, route: String, code: UInt16? = nil, body: Bytes
    ) throws(WireError) -> Bytes {
        try MessagePlan(.request, id: id, route: route, code: code, body).packet()
    }

    /// Returns a notification inside its package.
    ///
    /// - Throws: ``WireError/tooLarge(limit:)`` as ``notify(route:code:body:)``, and over 0xFFFFFF bytes.
    public static func notifyPacket(
        route: String, code: UInt16? = nil, body: Bytes
    ) throws(WireError) -> Bytes {
        try MessagePlan(.notify, route: route, code: code, body).packet()
    }

    /// Returns a response inside its package.
    ///
    /// - Complexity: one allocation.
    /// - Throws: ``WireError/tooLarge(limit:)`` for an id over 2^31-1 and over 0xFFFFFF bytes.
    public static func responsePacket(id: UInt32, body: Bytes) throws(WireError) -> Bytes {
        try MessagePlan(.response, id: id, body).packet()
    }

    /// Returns a push inside its package; the same bytes serve every receiver.
    ///
    /// - Complexity: one allocation.
    /// - Throws: ``WireError/tooLarge(limit:)`` for a route over 255 bytes and over 0xFFFFFF bytes.
    public static func pushPacket(
        route: String, code: UInt16? = nil, body: Bytes
    ) throws(WireError) -> Bytes {
        try MessagePlan(.push, route: route, code: code, body).packet()
    }
}

extension Message {
    /// Checks that a push can be framed for every client, also for one that has no code for its route.
    ///
    /// - Throws: ``WireError/malformed(_:)`` for an empty route; ``WireError/tooLarge(limit:)`` as
    ///   ``pushPacket(route:code:body:)``.
    public static func checkPush(route: String, body: Bytes) throws(WireError) {
        if route.isEmpty { throw .malformed("the route is empty") }
        try Packet.checkLength(MessagePlan(.push, route: route, body).length)
    }
}

/// The sizes of a message, known before its first byte is written.
private struct MessagePlan {
    let kind: MessageKind
    let id: UInt32
    let route: String
    let code: UInt16?
    let body: Bytes
    let length: Int

    init(
        _ kind: MessageKind, id: UInt32 = 0, route: String = "", code: UInt16? = nil, _ body: Bytes
    ) throws(WireError) {
        var length = 1
        if kind.hasID {
            guard id <= Message.maxID else { throw .tooLarge(limit: Int(Message.maxID)) }
            length &+= Self.idLength(id)
        }
        if kind.hasRoute {
            let routeLength = route.utf8.count
            if code == nil, routeLength > Message.maxRouteBytes {
                throw .tooLarge(limit: Message.maxRouteBytes)
            }
            length &+= code == nil ? 1 &+ routeLength : 2
        }
        self.kind = kind
        self.id = id
        self.route = route
        self.code = code
        self.body = body
        self.length = length &+ body.count
    }

    func message() -> Bytes {
        Bytes(reserving: length) { output in write(into: &output) }
    }

    func packet() throws(WireError) -> Bytes {
        try Packet.checkLength(length)
        return Bytes(reserving: Packet.headerLength &+ length) { output in
            Packet.putHeader(.data, length, into: &output)
            write(into: &output)
        }
    }

    @inline(__always)
    private func write(into output: inout OutputSpan<UInt8>) {
        output.append(kind.rawValue << 1 | (code != nil && kind.hasRoute ? 1 : 0))
        if kind.hasID {
            var rest = id
            while rest > 0x7F {
                output.append(UInt8(truncatingIfNeeded: rest) | 0x80)
                rest >>= 7
            }
            output.append(UInt8(truncatingIfNeeded: rest))
        }
        if kind.hasRoute {
            if let code {
                output.putBigEndian(code)
            } else {
                output.append(UInt8(truncatingIfNeeded: route.utf8.count))
                output.put(route)
            }
        }
        output.put(body.span)
    }

    private static func idLength(_ id: UInt32) -> Int {
        (38 &- id.leadingZeroBitCount) / 7 | (id == 0 ? 1 : 0)
    }
}
