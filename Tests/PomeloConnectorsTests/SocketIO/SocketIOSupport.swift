// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloTesting
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

/// A socket.io connector, alone or with the hybrid one, over scripted streams: no sockets, so every byte and every
/// instant is chosen.
@Loop final class SocketIOWired {
    let host = FakeHost()
    let clock = ManualClock()
    let service: SocketIOProtocol
    let port: ClientPort
    private(set) var lines: [Line] = []

    init(
        _ options: SocketIOOptions = SocketIOOptions(), with hybrid: HybridOptions? = nil, maxConnections: Int? = nil
    ) throws {
        let logger = Logger(label: "test")
        let context = ConnectorContext(
            network: MemoryNetwork(clock: clock).endpoint("server"), clock: clock, random: RandomSource(seed: 1),
            address: SocketAddress(host: "127.0.0.1", port: 0))
        service = try SocketIOProtocol(options, host: host, context, logger)
        var all: [any PortProtocol] = [service]
        if let hybrid { all.append(try HybridProtocol(hybrid, clock: clock, logger: logger)) }
        port = ClientPort(
            options.limits, all, host: host, clock: clock, logger: logger, room: ConnectionRoom(maxConnections),
            door: try Doorkeeper(options.limits.access, Blacklist()))
    }

    /// A new connection.
    func line(from host: String = "192.0.2.1") -> Line {
        let line = Line(host)
        lines.append(line)
        port.accept(line.stream)
        return line
    }

    /// Hands on what was written, and ends what was closed, until nothing more happens.
    func settle() async {
        for _ in 0..<4 {
            for line in lines { line.settle() }
            await Loop.yield()
        }
    }

    /// A polling session that has entered; `sid` is its name.
    func session(_ revision: SocketIORevision, on line: Line) async throws -> Session {
        let session = try begun(revision, on: line)
        switch revision {
        case .one: #expect(try line.get(session.path).text == "1::")
        case .four:
            _ = try line.post(session.path, "1:2")
            #expect(try line.get(session.path).text == "1:3")
        case .five:
            _ = try line.post(session.path, "40")
            #expect(try line.get(session.path).text.hasPrefix("40{\"sid\":"))
        }
        await settle()
        return session
    }

    /// A polling session of which only the first request was made.
    func begun(_ revision: SocketIORevision, on line: Line) throws -> Session {
        let begin = revision == .one ? "/socket.io/1/" : "/socket.io/?EIO=\(revision.engineIO)&transport=polling"
        let answer = try line.get(begin)
        #expect(answer.status == 200)
        let text = answer.text
        let quoted = text.split(separator: "\"").map(String.init)
        let sid = revision == .one ? text.split(separator: ":").map(String.init)[0] : quoted[3]
        return Session(revision: revision, sid: sid)
    }

    /// A WebSocket session that has entered.
    func webSocket(_ revision: SocketIORevision, on line: Line) throws {
        var path = "/socket.io/?EIO=\(revision.engineIO)&transport=websocket"
        if revision == .one {
            path = try begun(revision, on: self.line()).path(.webSocket)
        }
        line.upgrade(path)
        if revision == .five { line.say("40") }
        _ = line.stream.taken()
        line.settle()
    }

    func fault(_ fault: ConnectionFault) -> Int { port.statistics.faults[fault] ?? 0 }
    func ended(_ reason: EngineIOSession.EndReason) -> Int { service.statistics.ended[reason] ?? 0 }

    /// Nothing is left of anybody.
    func expectNothingLeft(_ place: SourceLocation = #_sourceLocation) {
        let (sessions, port) = (service.statistics, port.statistics)
        #expect(sessions.open == 0 && sessions.polling == 0 && sessions.pollingBytes == 0, sourceLocation: place)
        #expect(port.open == 0 && port.pending == 0 && port.heldBytes == 0, sourceLocation: place)
        #expect(host.sessions.isEmpty, sourceLocation: place)
        #expect(clock.pendingTimers == 0, sourceLocation: place)
    }
}

/// The name of a session, and the paths that lead to it.
struct Session {
    enum Transport { case polling, webSocket }

    let revision: SocketIORevision
    let sid: String

    var path: String { path(.polling) }

    func path(_ transport: Transport) -> String {
        let (old, new) = transport == .polling ? ("xhr-polling", "polling") : ("websocket", "websocket")
        if revision == .one { return "/socket.io/1/\(old)/\(sid)" }
        return "/socket.io/?EIO=\(revision.engineIO)&transport=\(new)&sid=\(sid)"
    }
}

extension SocketIORevision {
    var engineIO: Int { rawValue - 1 }

    /// A pomelo message as a client of that revision puts it into a packet.
    func packet(_ id: UInt32, _ route: String = "a.b.c", _ body: String = "{}") throws -> String {
        let text = String(decoding: try PomeloText.encode(id: id, route: route, body: Bytes(body.utf8)), as: UTF8.self)
        if self == .one { return "3:::" + text }
        let quoted = JSONText.quoted(text)
        return "42[\"message\",\(quoted)]"
    }

    /// A packet as the body of a POST.
    func payload(_ packets: String...) -> String {
        switch self {
        case .one where packets.count == 1: packets[0]
        case .one: packets.map { "\u{FFFD}\($0.utf16.count)\u{FFFD}\($0)" }.joined()
        case .four: packets.map { "\($0.utf16.count):\($0)" }.joined()
        case .five: packets.joined(separator: "\u{1E}")
        }
    }
}

private enum JSONText {
    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0..<0x20:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            case 0x22, 0x5C: quoted += "\\" + String(scalar)
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

/// One connection of a client, and the requests it writes.
@Loop final class Line {
    struct Answer {
        let status: Int
        let headers: [String: String]
        let text: String
    }

    let stream: ScriptedStream

    init(_ host: String) { stream = ScriptedStream(from: host) }

    func send(_ method: String, _ target: String, _ headers: [String] = [], body: String? = nil) {
        var head = ["\(method) \(target) HTTP/1.1", "Host: game.example"] + headers
        if let body { head.append("Content-Length: \(body.utf8.count)") }
        stream.feed(Bytes((head.joined(separator: "\r\n") + "\r\n\r\n" + (body ?? "")).utf8))
    }

    @discardableResult func get(_ target: String, _ headers: [String] = []) throws -> Answer {
        send("GET", target, headers)
        return try #require(try answers().last)
    }

    @discardableResult func post(_ target: String, _ body: String, _ headers: [String] = []) throws -> Answer {
        send("POST", target, headers, body: body)
        return try #require(try answers().last)
    }

    /// What was answered since the last look; it has been handed to the kernel.
    func answers() throws -> [Answer] {
        defer { settle() }
        var (rest, answers) = (stream.taken(), [Answer]())
        while let end = Self.headEnd(rest) {
            let lines = String(decoding: rest[..<(end - 4)], as: UTF8.self).split(separator: "\r\n")
            var headers: [String: String] = [:]
            for line in lines.dropFirst() {
                let parts = line.split(separator: ": ", maxSplits: 1)
                headers[parts[0].lowercased()] = parts.count > 1 ? String(parts[1]) : ""
            }
            let count = Int(headers["content-length"] ?? "0") ?? 0
            let body = rest[end...].prefix(count)
            let words = lines[0].split(separator: " ")
            answers.append(
                Answer(
                    status: try #require(Int(words[1])), headers: headers,
                    text: String(decoding: body, as: UTF8.self)))
            rest = Bytes(rest[end...].dropFirst(count))
        }
        return answers
    }

    nonisolated static func headEnd(_ bytes: Bytes) -> Int? {
        guard bytes.count >= 4 else { return nil }
        return (4...bytes.count).first { bytes[($0 - 4)..<$0] == [13, 10, 13, 10] }
    }

    /// Becomes a WebSocket, if it may.
    func upgrade(_ target: String, _ headers: [String] = []) {
        send(
            "GET", target,
            [
                "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            ] + headers)
    }

    func say(_ text: String) { stream.feed(Sample.frame(Bytes(text.utf8), .text)) }

    /// The texts of the frames that came since the last look, and `close` for a close frame.
    func frames() throws -> [String] {
        var (decoder, texts) = (WebSocketDecoder(maxMessageBytes: 1 << 20, expectsMask: false), [String]())
        var bytes = stream.taken()
        if bytes.starts(with: Bytes("HTTP".utf8)), let end = Self.headEnd(bytes) { bytes = Bytes(bytes[end...]) }
        try decoder.decode(bytes.span) { event, _ in
            switch event {
            case .message(text: true, let text): texts.append(String(decoding: text, as: UTF8.self))
            case .close: texts.append("close")
            case .ping: texts.append("ping")
            default: texts.append("?")
            }
            return true
        }
        settle()
        return texts
    }

    /// Hands on what was written, unless the client reads nothing; ends the connection if it was closed.
    func settle() {
        if stream.queuedBytes == 0 { stream.delegate?.streamDidDrain(stream) }
        if stream.closing != nil { stream.end() }
    }

    /// The client's end of it goes away.
    func cut() { stream.end() }
}
