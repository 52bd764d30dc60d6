// SPDX-License-Identifier: MIT
public import PomeloBytes
import PomeloJSON

/// What pomelo says to a client of socket.io: the event `message` with one JSON text.
///
/// Packets are pure ASCII, so the same bytes serve every client of a generation, on WebSocket and polling alike, and
/// every way of counting characters comes to the same.
///
/// - Source: pomelo 2.2.7, lib/connectors/sioconnector.js `encode`, `encodeBatch`; lib/connectors/siosocket.js.
public enum SocketIOMessage: Equatable, Sendable {
    /// `{"id":1,"body":…}`; the body is JSON and is not looked into. An empty one is left out.
    case response(id: UInt32, body: Bytes)
    /// `{"route":"onChat","body":…}`; the body is JSON and is not looked into. An empty one is left out.
    case push(route: String, body: Bytes)
    /// `{"route":"onKick","reason":"…"}`.
    case kick(reason: String)

    /// Returns the whole packet: `42["message","{\"id\":…}"]`, or `3:::{"id":…}` in revision one.
    ///
    /// - Complexity: two looks at each byte, one allocation.
    public func packet(_ revision: SocketIORevision) -> Bytes {
        var parts = MessageParts(revision)
        parts.add(self)
        return parts.packet()
    }

    /// Returns one whole packet for several messages in order, as pomelo's `sendBatch` does: a JSON array of them.
    public static func batch(_ messages: [SocketIOMessage], _ revision: SocketIORevision) -> Bytes {
        var parts = MessageParts(revision)
        parts.literal(parts.form.open)
        for (index, message) in messages.enumerated() {
            if index > 0 { parts.literal(parts.form.comma) }
            parts.add(message)
        }
        parts.literal(parts.form.close)
        return parts.packet()
    }
}

/// The pieces of a packet in order; literal ones are in their final form already.
private struct MessageParts {
    let form: MessageForm
    private var pieces: [(bytes: Bytes, isLiteral: Bool)] = []
    private var room: Int

    init(_ revision: SocketIORevision) {
        form = revision == .one ? .plain : .quoted
        room = form.before.count &+ form.after.count
        pieces.reserveCapacity(4)
    }

    mutating func literal(_ bytes: Bytes) {
        pieces.append((bytes, true))
        room &+= bytes.count
    }

    mutating func add(_ message: SocketIOMessage) {
        switch message {
        case .response(let id, let body):
            literal(form.id)
            var digits: Bytes = []
            JSONWriter.write(Int64(id), into: &digits)
            literal(digits)
            add(body: body)
        case .push(let route, let body):
            literal(form.route)
            text(JSON.string(route).encoded())
            add(body: body)
        case .kick(let reason):
            literal(form.kick)
            text(JSON.string(reason).encoded())
        }
        literal(form.end)
    }

    private mutating func add(body: Bytes) {
        if body.isEmpty { return }
        literal(form.body)
        text(body)
    }

    private mutating func text(_ bytes: Bytes) {
        var bytes = bytes
        let size = ASCIIText.room(bytes.span, isQuoted: form.isQuoted)
        if size.hasMore, !bytes.span.isUTF8 {
            bytes = Bytes(String(decoding: bytes, as: UTF8.self).utf8)
            room &+= ASCIIText.room(bytes.span, isQuoted: form.isQuoted).count
        } else {
            room &+= size.count
        }
        pieces.append((bytes, false))
    }

    func packet() -> Bytes {
        Bytes(reserving: room) { output in
            output.put(form.before.span)
            for piece in pieces {
                if piece.isLiteral {
                    output.put(piece.bytes.span)
                } else {
                    ASCIIText.put(piece.bytes.span, isQuoted: form.isQuoted, into: &output)
                }
            }
            output.put(form.after.span)
        }
    }
}

/// The fixed pieces of a packet, inside the quotes of an event or as they are.
private struct MessageForm {
    static let quoted = MessageForm(isQuoted: true, before: #"42["message",""#, after: #""]"#)
    static let plain = MessageForm(isQuoted: false, before: "3:::", after: "")

    let isQuoted: Bool
    let before, after, id, route, body, kick, end, open, close, comma: Bytes

    init(isQuoted: Bool, before: String, after: String) {
        func piece(_ text: String) -> Bytes {
            Bytes((isQuoted ? text.replacing("\"", with: "\\\"") : text).utf8)
        }
        self.isQuoted = isQuoted
        self.before = Bytes(before.utf8)
        self.after = Bytes(after.utf8)
        id = piece(#"{"id":"#)
        route = piece(#"{"route":"#)
        body = piece(#","body":"#)
        kick = piece(#"{"route":"onKick","reason":"#)
        end = piece("}")
        open = piece("[")
        close = piece("]")
        comma = piece(",")
    }
}
