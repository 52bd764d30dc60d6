// SPDX-License-Identifier: MIT
import Foundation
import PomeloBytes
import PomeloWire

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
    func packets(_ revision: SocketIORevision) -> [String] {
        let words = String(decoding: body, as: UTF8.self)
        switch revision {
        case .five: return words.split(separator: "\u{1e}").map(String.init)
        case .one:
            guard words.hasPrefix("\u{fffd}") else { return words.isEmpty ? [] : [words] }
            let parts = words.split(separator: "\u{fffd}")
            return stride(from: 1, to: parts.count, by: 2).map { String(parts[$0]) }
        case .four: return Self.counted(body)
        }
    }

    /// `<length>:<packet>` in texts; of a binary payload 0 or 1, the length's digits as bytes, 255 and the packet.
    private static func counted(_ body: Bytes) -> [String] {
        var (rest, found) = (body[...], [String]())
        while let first = rest.first {
            if first <= 1 {
                guard let end = rest.firstIndex(of: 0xFF) else { break }
                let length = rest[(rest.startIndex + 1)..<end].reduce(0) { $0 * 10 + Int($1) }
                found.append(String(decoding: rest[(end + 1)...].prefix(length), as: UTF8.self))
                rest = rest[(end + 1)...].dropFirst(length)
            } else {
                let more = String(decoding: rest, as: UTF8.self)
                guard let colon = more.firstIndex(of: ":"), let length = Int(more[..<colon]) else { break }
                let scalars = more[more.index(after: colon)...].unicodeScalars
                found.append(String(String.UnicodeScalarView(scalars.prefix(length))))
                rest = Bytes(String(String.UnicodeScalarView(scalars.dropFirst(length))).utf8)[...]
            }
        }
        return found
    }
}
