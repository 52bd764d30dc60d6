// SPDX-License-Identifier: MIT
import Foundation
import PomeloBytes
import PomeloConnectors
import PomeloWire
import TestHelpers

/// A conversation of a real client with another server, as it was on the wire.
struct SocketRecording {
    struct Line: Decodable {
        let conn: Int?
        let dir: String
        let kind: String?
        var hex: String?
        /// The payload as it was sent, where `hex` is what was compressed.
        let wire: String?
    }

    private struct Header: Decodable { let server: String }

    let name: String
    private(set) var lines: [Line]
    /// Whether a script spoke for the server, which does not by itself what its protocol is about.
    let isScripted: Bool

    /// The same with another byte, the last one of a line.
    func changed(in place: Int) -> SocketRecording {
        var other = self
        var bytes = Bytes(hex: lines[place].hex ?? "")
        bytes[bytes.count - 1] ^= 1
        other.lines[place].hex = bytes.map { String(UInt16($0) | 0x100, radix: 16).dropFirst() }.joined()
        return other
    }

    /// Of each kind the last line on which the server says something, and on which the client does to the application.
    var telling: [Int] {
        let places = lines.indices.filter { place in
            guard let hex = lines[place].hex, !hex.isEmpty else { return false }
            let text = String(decoding: Bytes(hex: hex), as: UTF8.self)
            return lines[place].dir == "s2c" || text.contains(#"42["message""#) || text.contains("3:::")
        }
        return Dictionary(grouping: places) { "\(lines[$0].dir) \(lines[$0].kind ?? "")" }.values.compactMap(\.last)
    }

    /// Whether the server had no session any more for the request on this line, which had one.
    func isForgotten(before place: Int) -> Bool {
        guard name.hasSuffix("unknown_sid"), lines[place].kind == "http-request" else { return false }
        let next = lines[(place + 1)...].first { $0.conn == lines[place].conn }
        guard next?.kind == "http-response", let hex = next?.hex else { return false }
        let body = String(decoding: RecordedHTTP(Bytes(hex: hex)).body, as: UTF8.self)
        return body.contains("Invalid session") || body == "7:::1+0"
    }

    var revision: SocketIORevision { name.hasPrefix("sio09") ? .one : name.hasPrefix("eio3") ? .four : .five }

    init(_ file: URL) throws {
        name = file.deletingPathExtension().lastPathComponent
        let texts = try Data(contentsOf: file).split(separator: UInt8(ascii: "\n"))
        isScripted = try JSONDecoder().decode(Header.self, from: texts.first ?? Data()).server.hasPrefix("scripted")
        lines = try texts.dropFirst().map { try JSONDecoder().decode(Line.self, from: $0) }
    }
}

/// A request or an answer of HTTP, as it was on the wire.
struct RecordedHTTP {
    let head: String
    let body: Bytes

    /// What stands between the spaces of the first line.
    var words: [Substring] { head.prefix { $0 != "\r\n" }.split(separator: " ") }

    init(_ bytes: Bytes) {
        let end = Line.headEnd(bytes) ?? bytes.count
        head = String(decoding: bytes[..<end], as: UTF8.self)
        body = Bytes(bytes[end...])
    }

    func header(_ name: String) -> String? {
        for line in head.split(separator: "\r\n").dropFirst() {
            let parts = line.split(separator: ": ", maxSplits: 1)
            if parts.count == 2, parts[0].lowercased() == name { return String(parts[1]) }
        }
        return nil
    }

    /// Takes a payload apart, whichever way it is framed.
    func packets(_ revision: SocketIORevision, _ counting: SocketRecording.Counting = .due) -> [String] {
        let words = String(decoding: body, as: UTF8.self)
        switch revision {
        case .five: return words.split(separator: "\u{1e}").map(String.init)
        case .one:
            guard words.hasPrefix("\u{fffd}") else { return words.isEmpty ? [] : [words] }
            let parts = words.split(separator: "\u{fffd}")
            return stride(from: 1, to: parts.count, by: 2).map { String(parts[$0]) }
        case .four: return counted(counting)
        }
    }

    /// `<length>:<packet>` in texts; of a binary payload 0 or 1, the length's digits as bytes, 255 and the packet.
    private func counted(_ counting: SocketRecording.Counting) -> [String] {
        var (rest, found) = (body[...], [String]())
        while let first = rest.first {
            let isBinary = first <= 1
            guard let end = rest.firstIndex(of: isBinary ? 0xFF : UInt8(ascii: ":")) else { break }
            let length =
                isBinary
                ? rest[(rest.startIndex + 1)..<end].reduce(0) { $0 * 10 + Int($1) }
                : Int(String(decoding: rest[..<end], as: UTF8.self))
            guard let length else { break }
            rest = rest[(end + 1)...]
            let packet = rest.prefix(counting.bytes(of: length, in: rest, isBinary))
            found.append(counting.text(of: packet))
            rest = rest.dropFirst(packet.count)
        }
        return found
    }
}

extension SocketRecording {
    /// How lengths of packets are counted.
    enum Counting: String, CaseIterable {
        /// A text's in characters, a binary payload's in bytes.
        case due
        case bytes = "text_byte_length", characters = "binary_codepoint_length", utf16 = "text_utf16_length"
        /// As is due, of texts in UTF-8 that are encoded so once more.
        case twice = "text_double_utf8"

        fileprivate func bytes(of length: Int, in rest: Bytes.SubSequence, _ isBinary: Bool) -> Int {
            if self == .bytes || isBinary && self != .characters { return length }
            let text = String(decoding: rest, as: UTF8.self)
            if self == .utf16 { return String(decoding: text.utf16.prefix(length), as: UTF16.self).utf8.count }
            return String(String.UnicodeScalarView(text.unicodeScalars.prefix(length))).utf8.count
        }

        fileprivate func text(of packet: Bytes.SubSequence) -> String {
            let text = String(decoding: packet, as: UTF8.self)
            guard self == .twice else { return text }
            return String(decoding: text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }, as: UTF8.self)
        }
    }

    /// What the client does: the script of socket.io 1.7.2 encodes twice.
    var clientCounting: Counting { name.contains("js172") ? .twice : .due }

    /// What the server did, which a script may do in ways that try what its clients take.
    var counting: Counting { Counting.allCases.first { name.hasSuffix($0.rawValue) } ?? .due }
}

// MARK: what the server was configured to

extension SocketRecording {
    /// Whether both sides had agreed on permessage-deflate.
    var isCompressed: Bool { lines.contains { $0.wire != nil } }

    /// Whether a handshake names nothing but polling.
    var offersPollingOnly: Bool { bodies.contains { $0.hasSuffix(":xhr-polling") || $0.contains(#""upgrades":[]"#) } }

    /// What a client was told of times and lengths.
    struct Times {
        var interval = 1000
        var timeout = 4000
        var close = 5000
        var maxPayload: Int?

        func set(_ options: inout SocketIOOptions) {
            options.heartbeatInterval = .milliseconds(interval)
            options.heartbeatTimeout = .milliseconds(timeout)
            options.closeTimeout = .milliseconds(close)
            if let maxPayload { options.limits.maxMessageBytes = maxPayload }
        }
    }

    /// Those of the first session.
    var times: Times? {
        for body in bodies + frames {
            let parts = body.split(separator: ":", omittingEmptySubsequences: false)
            if revision == .one, parts.count == 4, parts[3].contains("polling"), let close = Int(parts[2]) {
                return Times(timeout: (Int(parts[1]) ?? 4) * 1000, close: close * 1000)
            }
            if let start = body.firstIndex(of: "{"), body[start...].hasPrefix(#"{"sid":"#),
                let open = try? JSONDecoder().decode(
                    Open.self, from: Data(body[start...].prefix { $0 != "}" }.utf8 + [0x7D]))
            {
                return Times(interval: open.pingInterval, timeout: open.pingTimeout, maxPayload: open.maxPayload)
            }
        }
        return nil
    }

    private struct Open: Decodable {
        let pingInterval: Int
        let pingTimeout: Int
        let maxPayload: Int?
    }

    private var bodies: [String] {
        hexes("http-response").map { String(decoding: RecordedHTTP(Bytes(hex: $0)).body, as: UTF8.self) }
    }
    private var frames: [String] { hexes("ws-text").map { String(decoding: Bytes(hex: $0), as: UTF8.self) } }

    private func hexes(_ kind: String) -> [String] {
        lines.filter { $0.dir == "s2c" && $0.kind == kind }.compactMap(\.hex)
    }
}
