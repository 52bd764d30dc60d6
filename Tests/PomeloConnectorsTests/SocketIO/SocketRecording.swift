// SPDX-License-Identifier: MIT
import Foundation
import PomeloBytes
import PomeloWire
import TestHelpers

/// A conversation of a real client with another server, as it was on the wire.
struct SocketRecording {
    struct Line: Decodable {
        let conn: Int?
        let dir: String
        let kind: String?
        let hex: String?
    }

    let name: String
    let lines: [Line]

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
        let texts = try Data(contentsOf: file).split(separator: UInt8(ascii: "\n")).dropFirst()
        lines = try texts.map { try JSONDecoder().decode(Line.self, from: $0) }
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

    /// What the server did, which a script may do in ways that try what its clients take.
    var counting: Counting { Counting.allCases.first { name.hasSuffix($0.rawValue) } ?? .due }
}
