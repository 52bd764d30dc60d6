// SPDX-License-Identifier: MIT
import Foundation
import Pomelo

/// A text, and how its values are read and written by type.
struct Body {
    typealias Compare = (_ what: String, _ ours: () throws -> Void, _ theirs: () throws -> Void) -> Void

    let name: String
    let text: () throws -> Bytes
    let typed: (Bytes, Compare) throws -> Void

    /// A text that is read as one type.
    init<Value: Codable>(_ name: String, _ type: Value.Type, _ text: @escaping () throws -> Bytes) {
        self.name = name
        self.text = text
        typed = { text, compare in
            let data = Data(text)
            let (reader, writer) = (JSONDecoder(), JSONEncoder())
            compare(
                "read as a type", { _ = try JSONCoder.decode(type, from: text) },
                { _ = try reader.decode(type, from: data) })
            let value = try JSONCoder.decode(type, from: text)
            compare("write from a type", { _ = try JSONCoder.encode(value) }, { _ = try writer.encode(value) })
        }
    }
}

/// A line of chat as games send it: nine keys, an object, a list and an escape.
private struct Line: Codable {
    struct Place: Codable { let x, y: Double }
    let id: Int
    let from, target, text: String
    let at: Int
    let tags: [String]
    let place: Place
    let urgent: Bool
    let rank: Int
}

private struct Crowd: Codable {
    struct Member: Codable {
        let uid, name: String
        let level: Int
    }
    let users: [Member]
}

/// Lists in lists; one reads another.
private struct Nest: Codable {
    let inner: [Nest]
    init(from decoder: any Decoder) throws { inner = try decoder.singleValueContainer().decode([Nest].self) }
    func encode(to encoder: any Encoder) throws { try inner.encode(to: encoder) }
}

enum Bodies {
    static let line =
        #"{"id":1234,"from":"alice","target":"*","text":"see you at the \"old\" bridge in 5 minutes, "#
        + #"bring others","at":1700000000000,"tags":["lobby","eu-1"],"place":{"x":12.5,"y":-3.25},"urgent":true,"rank":7}"#

    static var all: [Body] {
        [
            Body("a line of chat", Line.self) { Bytes(line.utf8) },
            Body("500 members", Crowd.self) {
                let members = (0..<500).map { #"{"uid":"user-\#($0)","name":"Player \#($0) äöü","level":\#($0 % 80)}"# }
                return Bytes(#"{"users":[\#(members.joined(separator: ","))]}"#.utf8)
            },
            Body("10 000 numbers", [Double].self) {
                Bytes("[\((0..<10_000).map { "\(Double($0) * 0.37 - 1000)" }.joined(separator: ","))]".utf8)
            },
            // Shapes that a hostile client sends.
            Body("20 000 keys", [Text: Int].self) {
                Bytes("{\((0..<20_000).map { "\"key\($0)\":\($0)" }.joined(separator: ","))}".utf8)
            },
            Body("escapes only, 64 KB", [String].self) {
                Bytes("[\"\(String(repeating: #"\u00e9\n"#, count: 8192))\"]".utf8)
            },
            Body("two keys of 4000 combining marks", [Text: Int].self) {
                let (one, other) = ("\u{301}\u{316}", "\u{316}\u{301}")
                let keys = [one, other].map { String(repeating: $0, count: 2000) }
                return Bytes("{\(keys.map { "\"a\($0)\":1" }.joined(separator: ","))}".utf8)
            },
            Body("nested 100 deep", Nest.self) {
                Bytes((String(repeating: "[", count: 100) + String(repeating: "]", count: 100)).utf8)
            },
        ]
    }
}
