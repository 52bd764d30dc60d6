// SPDX-License-Identifier: MIT
import Foundation
import PomeloBytes
import PomeloWire

/// A conversation of a real client with another server, as it was on the wire.
struct SocketRecording {
    struct Line: Decodable {
        let t: Double
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
