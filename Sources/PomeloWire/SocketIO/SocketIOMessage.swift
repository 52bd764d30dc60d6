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
        let form = MessageForm(revision)
        let text = MessageText(self, form)
        return Bytes(reserving: form.frameLength &+ text.room) { output in
            output.put(form.before)
            text.write(into: &output)
            output.put(form.after)
        }
    }

    /// Returns one whole packet for several messages in order, as pomelo's `sendBatch` does: a JSON array of them.
    public static func batch(_ messages: [SocketIOMessage], _ revision: SocketIORevision) -> Bytes {
        let form = MessageForm(revision)
        let texts = messages.map { MessageText($0, form) }
        return Bytes(reserving: form.frameLength &+ texts.reduce(2) { $0 &+ $1.room &+ 1 }) { output in
            output.put(form.before)
            output.append(UInt8(ascii: "["))
            for (index, text) in texts.enumerated() {
                if index > 0 { output.append(UInt8(ascii: ",")) }
                text.write(into: &output)
            }
            output.append(UInt8(ascii: "]"))
            output.put(form.after)
        }
    }
}

/// One message, ready to be written: what is rare has been done, and the room it takes is known.
private struct MessageText {
    private enum Head {
        case id(UInt32)
        /// Text that stands for itself.
        case text(String)
        /// A JSON string that has yet to be made ASCII.
        case special(Bytes)
    }

    let room: Int
    private let form: MessageForm
    private let isKick: Bool
    private let head: Head
    private let body: Bytes
    private let isPlain: Bool

    init(_ message: SocketIOMessage, _ form: MessageForm) {
        self.form = form
        var body: Bytes
        switch message {
        case .response(let id, let given): (head, body, isKick) = (.id(id), given, false)
        case .push(let route, let given): (head, body, isKick) = (Self.head(route), given, false)
        case .kick(let reason): (head, body, isKick) = (Self.head(reason), [], true)
        }
        var size = ASCIIText.room(body.span, isQuoted: form.isQuoted)
        if size.hasMore, !body.span.isUTF8 {
            body = Bytes(String(decoding: body, as: UTF8.self).utf8)
            size = ASCIIText.room(body.span, isQuoted: form.isQuoted)
        }
        self.body = body
        isPlain = size.count == body.count
        var room = form.body.utf8.count &+ size.count &+ 1
        switch head {
        case .id: room &+= form.id.utf8.count &+ 10
        case .text(let text): room &+= form.kick.utf8.count &+ text.utf8.count &+ 2 &* form.quote.utf8.count
        case .special(let json):
            room &+= form.kick.utf8.count &+ ASCIIText.room(json.span, isQuoted: form.isQuoted).count
        }
        self.room = room
    }

    private static func head(_ text: String) -> Head {
        let isPlain = text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x80 && $0 != 0x22 && $0 != 0x5C }
        return isPlain ? .text(text) : .special(JSON.string(text).encoded())
    }

    @inline(__always)
    func write(into output: inout OutputSpan<UInt8>) {
        switch head {
        case .id(let id):
            output.put(form.id)
            Self.put(id, into: &output)
        case .text(let text):
            output.put(isKick ? form.kick : form.route)
            output.put(form.quote)
            output.put(text)
            output.put(form.quote)
        case .special(let json):
            output.put(isKick ? form.kick : form.route)
            ASCIIText.put(json.span, isQuoted: form.isQuoted, into: &output)
        }
        if !body.isEmpty {
            output.put(form.body)
            if isPlain {
                output.put(body.span)
            } else {
                ASCIIText.put(body.span, isQuoted: form.isQuoted, into: &output)
            }
        }
        output.append(UInt8(ascii: "}"))
    }

    private static func put(_ id: UInt32, into output: inout OutputSpan<UInt8>) {
        var scale: UInt32 = 1
        while id / scale >= 10 { scale &*= 10 }
        while scale > 0 {
            output.append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: id / scale % 10))
            scale /= 10
        }
    }
}

/// The fixed pieces of a packet, inside the quotes of an event or as they are; literals, which nobody counts or copies.
private struct MessageForm {
    let isQuoted: Bool

    init(_ revision: SocketIORevision) { isQuoted = revision != .one }

    var frameLength: Int { before.utf8.count &+ after.utf8.count }
    var before: String { isQuoted ? #"42["message",""# : "3:::" }
    var after: String { isQuoted ? #""]"# : "" }
    var id: String { isQuoted ? #"{\"id\":"# : #"{"id":"# }
    var route: String { isQuoted ? #"{\"route\":"# : #"{"route":"# }
    var kick: String { isQuoted ? #"{\"route\":\"onKick\",\"reason\":"# : #"{"route":"onKick","reason":"# }
    var body: String { isQuoted ? #",\"body\":"# : #","body":"# }
    var quote: String { isQuoted ? #"\""# : #"""# }
}
