// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloWire

/// Plays the client's side of a recording to our session, the application's side too, and keeps what each server said.
struct SocketReplay {
    struct Said: Equatable {
        var packets: [String] = []
        var posts: [String] = []
    }

    let recording: SocketRecording
    /// Packets, and beside them the answers to POSTs: which of both came first is chance.
    private(set) var theirs = Said()
    private(set) var ours = Said()
    private var session: EngineIOSession?
    private var lastNumber: UInt64 = 0
    private var requests: [Int: (number: UInt64, method: String)] = [:]
    private var posts: Set<UInt64> = []
    private var now: UInt64 = 0

    init(_ recording: SocketRecording) { self.recording = recording }

    mutating func run() {
        for line in recording.lines {
            now = UInt64(max(0, line.t) * 1_000_000)
            let bytes = hex(line.hex ?? "")
            guard let connection = line.conn else { continue }
            switch (line.dir, line.kind) {
            case ("c2s", "http-request"): request(bytes, connection)
            case ("c2s", "ws-text"): webSocket(connection, bytes)
            case ("c2s", "ws-close"), ("close", _): closed(connection)
            case ("s2c", "http-response"): response(bytes, connection)
            case ("s2c", "ws-text"): said(bytes)
            default: break
            }
        }
        drain()
    }

    // MARK: the client

    private mutating func request(_ bytes: Bytes, _ connection: Int) {
        let (head, body) = Self.split(bytes)
        let words = head.split(separator: " ", maxSplits: 2)
        guard words.count == 3 else { return }
        let target = String(words[1])
        guard target.hasPrefix("/socket.io/") else { return }
        lastNumber += 1
        let number = lastNumber
        requests[connection] = (number, String(words[0]))
        let opensSocket = head.lowercased().contains("upgrade: websocket")
        let isFirst: Bool
        if recording.revision == .one {
            isFirst = target.split(separator: "?")[0].split(separator: "/").count < 4
        } else {
            isFirst = !target.contains("sid=")
        }
        if isFirst {
            drain()
            begin()
            if recording.revision == .one {
                requests[connection]?.method = "handshake"
                return
            }
        }
        guard session != nil else {
            if words[0] == "POST" { ours.posts.append("refused") }
            return
        }
        if opensSocket {
            take(session?.webSocketOpened(number, now: now))
        } else if target.contains("disconnect=") {
            take(session?.closeRequested(number))
        } else if words[0] == "POST" {
            posts.insert(number)
            take(session?.postBegan(number))
            take(session?.postArrived(number, body: body.span, now: now))
        } else {
            take(session?.pollArrived(number, now: now))
        }
    }

    private mutating func begin() {
        var options = EngineIOSession.Options()
        options.pingInterval = nil
        let greeting =
            switch recording.revision {
            case .one: ["1::"]
            case .four: ["0", "40"]
            case .five: ["0"]
            }
        session = EngineIOSession(
            recording.revision, options: options, greeting: greeting.map { Bytes($0.utf8) }, now: now)
    }

    private mutating func webSocket(_ connection: Int, _ bytes: Bytes) {
        guard let number = requests[connection]?.number else { return }
        take(session?.webSocketReceived(number, bytes.span, isText: true, now: now))
    }

    private mutating func closed(_ connection: Int) {
        guard let (number, _) = requests[connection] else { return }
        take(session?.webSocketClosed(number))
        session?.requestClosed(number, now: now)
    }

    // MARK: the other server

    private mutating func response(_ bytes: Bytes, _ connection: Int) {
        guard let (_, method) = requests[connection] else { return }
        let (head, body) = Self.split(bytes)
        let status = head.split(separator: " ")[1]
        if status == "101" || method == "handshake" || method == "OPTIONS" { return }
        if method == "POST" { return theirs.posts.append(status == "200" ? "ok" : "refused") }
        guard status == "200" else { return }
        for packet in Self.packets(body, recording.revision) { said(packet) }
    }

    /// The application says the same to our client.
    private mutating func said(_ packet: Bytes) {
        keep(packet, &theirs)
        let words = text(packet)
        if ["42", "3:::", "4:::", "5:::"].contains(where: words.hasPrefix) {
            take(session?.send(packet, now: now))
        } else if words == "41" || words == "0::" {
            take(session?.send(packet, now: now))
            take(session?.close(now: now))
        } else if words == "2::" || words == "2" && recording.revision == .five {
            take(session?.send(packet, now: now))
        }
    }

    // MARK: ours

    private mutating func take(_ actions: [EngineIOSession.Action]?) {
        for action in actions ?? [] {
            switch action {
            case .answer(let number, let payload):
                for packet in Self.packets(payload.body, recording.revision) { keep(packet, &ours) }
                session?.answerWritten(number)
            case .accept(let number):
                if posts.contains(number) { ours.posts.append("ok") }
            case .refuse(let number, _):
                if posts.contains(number) { ours.posts.append("refused") }
            case .send(_, let packet): keep(packet, &ours)
            case .receive(.connect):
                guard recording.revision == .five else { break }
                take(session?.send(utf8("40"), now: now))
            case .closeWebSocket, .receive: break
            case .end: session = nil
            }
        }
    }

    private mutating func drain() {
        while let session, session.queuedPackets > 0, !session.isClosed {
            lastNumber += 1
            take(self.session?.pollArrived(lastNumber, now: now))
        }
    }

    private func keep(_ packet: Bytes, _ said: inout Said) {
        var words = text(packet)
        if words.hasPrefix("0{") { words = "0" }
        if words.hasPrefix("40{") { words = "40" }
        if words.isEmpty { return }
        // Signs of life have their times, and empty answers stand for nothing.
        if words == "6" || words == "8::" || words == "2::" || (words == "2" && recording.revision == .five) { return }
        said.packets.append(words)
    }

    // MARK: bytes

    private static func split(_ bytes: Bytes) -> (String, Bytes) {
        let mark = Bytes("\r\n\r\n".utf8)
        guard bytes.count >= 4 else { return ("", []) }
        for index in 0...(bytes.count - 4) where Bytes(bytes[index..<(index + 4)]) == mark {
            return (text(Bytes(bytes[..<index])), Bytes(bytes[(index + 4)...]))
        }
        return (text(bytes), [])
    }

    /// Takes a payload apart, whichever way it is framed.
    private static func packets(_ body: Bytes, _ revision: SocketIORevision) -> [Bytes] {
        let words = text(body)
        switch revision {
        case .five: return words.split(separator: "\u{1e}").map { Bytes($0.utf8) }
        case .one:
            guard words.hasPrefix("\u{fffd}") else { return [body] }
            let parts = words.split(separator: "\u{fffd}")
            return stride(from: 1, to: parts.count, by: 2).map { Bytes(parts[$0].utf8) }
        case .four:
            var rest = body[...]
            var found: [Bytes] = []
            while let first = rest.first {
                if first <= 1 {
                    guard let end = rest.firstIndex(of: 0xFF) else { break }
                    let length = rest[(rest.startIndex + 1)..<end].reduce(0) { $0 * 10 + Int($1) }
                    found.append(Bytes(rest[(end + 1)...].prefix(length)))
                    rest = rest[(end + 1)...].dropFirst(length)
                } else {
                    let more = text(Bytes(rest))
                    guard let colon = more.firstIndex(of: ":"), let length = Int(more[..<colon]) else { break }
                    let scalars = more[more.index(after: colon)...].unicodeScalars
                    found.append(Bytes(String(String.UnicodeScalarView(scalars.prefix(length))).utf8))
                    rest = Bytes(String(String.UnicodeScalarView(scalars.dropFirst(length))).utf8)[...]
                }
            }
            return found
        }
    }
}
