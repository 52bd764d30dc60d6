// SPDX-License-Identifier: MIT
import Foundation
import PomeloBytes
import PomeloJSON
import PomeloWire

/// What a client was told, and what its application heard, to the byte.
///
/// Names of sessions, which are drawn by lot, are `<sid>`.
struct SocketSaid: Equatable {
    /// Packets, session by session, by polls and WebSockets; a close frame is `close` and its payload.
    var packets: [String] = []
    /// Answers that brought packets; of them only the ``forms`` count, for how packets are spread over them is a matter
    /// of time.
    var polls: [SocketReply] = []
    /// All other answers, in the order of their requests.
    var answers: [SocketReply] = []
    /// What the client said: id, route, body.
    var heard: [String] = []

    static func == (one: SocketSaid, other: SocketSaid) -> Bool {
        one.packets == other.packets && one.answers == other.answers && one.heard == other.heard
            && one.forms == other.forms
    }

    /// The different forms of answers to polls: heads, and bodies that are not framed as they are to be.
    var forms: Set<String> { Set(polls.map(\.form)) }

    /// Changes packets, and so the answers that bring them.
    mutating func changePackets(_ change: (String) -> String) {
        packets = packets.map(change)
        for index in polls.indices {
            let changed = polls[index].packets.map(change)
            if changed != polls[index].packets { polls[index].carry(changed) }
        }
    }

    /// Changes the answers of either kind.
    mutating func changeReplies(_ change: (inout SocketReply) -> Void) {
        for index in polls.indices { change(&polls[index]) }
        for index in answers.indices { change(&answers[index]) }
    }
}

/// An answer of HTTP.
struct SocketReply: Equatable, CustomStringConvertible {
    /// What it answers.
    var method: String
    /// The status with its phrase.
    var status: String
    /// As they were written, but for `Content-Length`, which is that of the body, in the order of the alphabet.
    var headers: [String]
    /// The page that asks, as the request names it.
    var origin = ""
    /// Each byte is one character.
    var body: String
    /// What it brings, if it is a poll's.
    private(set) var packets: [String] = []
    private var revision = SocketIORevision.five

    init(_ method: String, _ status: String, _ headers: [String], _ body: String) {
        (self.method, self.status, self.headers, self.body) = (method, status, headers.sorted(), body)
    }

    init(_ http: RecordedHTTP, to method: String) {
        let lines = http.head.split(separator: "\r\n").map(String.init)
        let length = lines.first { $0.hasPrefix("Content-Length: ") }?.dropFirst(16)
        let isTrue = length.map { Int($0) == http.body.count } ?? http.body.isEmpty
        self.init(
            method, String(lines[0].dropFirst(9)) + (isTrue ? "" : ", of another length"),
            lines.dropFirst().filter { !$0.hasPrefix("Content-Length: ") },
            Self.bytes(http.body))
    }

    private static func bytes(_ bytes: Bytes) -> String {
        String(String.UnicodeScalarView(bytes.map { UnicodeScalar($0) }))
    }

    /// The answer to a poll, from whose body these packets were taken.
    mutating func brings(_ packets: [String], _ revision: SocketIORevision) {
        (self.packets, self.revision) = (packets, revision)
        let isFramedAsOurs = body == framed
        self.packets = packets.map(Self.unnamed)
        body = isFramedAsOurs ? framed : Self.unnamed(body)
    }

    /// Brings others.
    mutating func carry(_ packets: [String]) {
        self.packets = packets
        body = framed
    }

    /// A body of these packets as our connector is to write it.
    private var framed: String {
        let text =
            switch revision {
            case .one where packets.count == 1: packets[0]
            case .one: packets.map { "\u{FFFD}\($0.utf16.count)\u{FFFD}\($0)" }.joined()
            case .four: packets.map { "\($0.utf8.count):\($0)" }.joined()
            case .five: packets.joined(separator: "\u{1E}")
            }
        return Self.bytes(Bytes(text.utf8))
    }

    /// Becomes a refusal, with the body that socket.io's own server gives.
    mutating func refuse(_ code: Int, _ message: String) {
        (status, body) = ("400 Bad Request", #"{"code":\#(code),"message":"\#(message)"}"#)
        set("Content-Type", "application/json")
        if method == "POST" { set("Connection", "close") }
    }

    mutating func set(_ header: String, _ value: String) {
        headers.removeAll { $0.hasPrefix(header + ": ") }
        headers = (headers + ["\(header): \(value)"]).sorted()
    }

    /// All of it but packets that are framed as they are to be.
    var form: String { "\(status) \(headers) " + (body == framed ? "" : body) }

    static func == (one: SocketReply, other: SocketReply) -> Bool { one.description == other.description }

    var description: String { "\(method) \(status) \(headers) \(body.debugDescription)" }

    /// The same for every session.
    static func unnamed(_ text: String) -> String {
        let parts = text.components(separatedBy: #""sid":""#)
        let tails = parts.dropFirst().map { $0.drop { $0 != "\"" } }
        return tails.reduce(parts[0]) { $0 + #""sid":"<sid>"# + $1 }
    }
}

/// What a client of pomelo says to its application, read in another way than by our connector.
struct SocketSaying {
    /// Id, route, body; nil for a packet that says nothing to the application.
    static func heard(_ packet: String) -> String? {
        if packet.hasPrefix("3:::") { return words(String(packet.dropFirst(4))) }
        guard packet.hasPrefix(#"42["message""#) else { return nil }
        let event = try? JSONDecoder().decode([String].self, from: Data(packet.utf8.dropFirst(2)))
        return event?.last.flatMap(words)
    }

    /// What an application says that a packet brings it said, its bodies as they stand; nil if it is not pomelo's.
    static func told(_ packet: String) -> [SocketIOMessage]? {
        var text = String(packet.dropFirst(4))
        if packet.hasPrefix(#"42["message""#) {
            let event = try? JSONDecoder().decode([String].self, from: Data(packet.utf8.dropFirst(2)))
            text = event?.last ?? ""
        } else if !packet.hasPrefix("3:::") {
            return nil
        }
        guard text.hasPrefix("[") else { return message(text).map { [$0] } }
        let all = try? JSON.parse(Bytes(text.utf8))
        let messages = (all?.array ?? []).compactMap { message(String(decoding: $0.encoded(), as: UTF8.self)) }
        return messages.isEmpty ? nil : messages
    }

    private static func message(_ text: String) -> SocketIOMessage? {
        guard let one = try? JSON.parse(Bytes(text.utf8)) else { return nil }
        let start = text.firstRange(of: #","body":"#)?.upperBound
        let body = Bytes(start.map { text[$0...].dropLast() }.map { Bytes($0.utf8) } ?? [])
        if start == nil, let reason = one["reason"]?.string { return .kick(reason: reason) }
        if let id = one["id"]?.int { return .response(id: UInt32(id), body: body) }
        return one["route"]?.string.map { .push(route: $0, body: body) }
    }

    /// Four characters for the id, one for the route's length in UTF-16 units, the route, the body.
    private static func words(_ text: String) -> String? {
        let units = Array(text.utf16)
        guard units.count >= 5, units.count >= 5 + Int(units[4]) else { return nil }
        let id = units[..<4].reduce(0) { $0 << 8 | UInt32($1) }
        let end = 5 + Int(units[4])
        let (route, body) = (units[5..<end], units[end...])
        return "\(id) \(String(decoding: route, as: UTF16.self)) \(String(decoding: body, as: UTF16.self))"
    }
}
