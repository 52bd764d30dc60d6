// SPDX-License-Identifier: MIT
import Foundation
import PomeloBytes
import PomeloJSON
import PomeloWire
import Testing

/// One text in two spellings that Swift's `String` takes for the same; each pair of marks is in another order.
private func marks(_ pairs: Int, reversed: Bool = false) -> String {
    String(repeating: reversed ? "\u{316}\u{301}" : "\u{301}\u{316}", count: pairs)
}

/// Bodies that took many seconds when keys were compared by canonical equivalence.
private func twoKeys(_ pairs: Int) -> Bytes {
    utf8("{\"\(marks(pairs))\":1,\"\(marks(pairs, reversed: true))\":2}")
}

@Suite("Text")
struct TextTests {
    static let samples = [
        "", "a", "ab", "b", "abcdefg", "abcdefgh", "abcdefghi", "Zo\u{e9}", "Zoe\u{301}", "\u{e9}", "e\u{301}",
        "\u{301}",
        "\u{FFFF}", "\u{1F600}", "\0", "\0\0", String(repeating: "x", count: 31), String(repeating: "x", count: 32),
        String(repeating: "x", count: 33), String(repeating: "x", count: 64) + "y", String(repeating: "x", count: 65),
        marks(40), marks(40, reversed: true),
    ]

    @Test(arguments: samples, samples) func equalityHashAndOrderAreThoseOfTheBytes(one: String, other: String) {
        let (a, b) = (Bytes(one.utf8), Bytes(other.utf8))
        #expect((Text(one) == Text(other)) == (a == b))
        #expect((Text(one) < Text(other)) == a.lexicographicallyPrecedes(b))
        #expect((Text(one).hashValue == Text(other).hashValue) == (a == b))
    }

    @Test func spellingsOfOneStringAreTwoTexts() {
        #expect("Zo\u{e9}" == "Zoe\u{301}")
        #expect(Text("Zo\u{e9}") != Text("Zoe\u{301}"))
        #expect(Set<Text>(["Zo\u{e9}", "Zoe\u{301}", "Zo\u{e9}"]).count == 2)
        #expect("\(Text("x"))" == "x")
    }

    /// A text that was cut and joined has other flags than one that was read, and the same hash.
    @Test func theHashDoesNotDependOnHowATextWasMade() {
        var cut = "user\u{e9}"
        cut.removeLast()
        let made = ["us", "er"].joined()
        #expect(Set([Text(cut), Text(made), Text(String(decoding: utf8("user"), as: UTF8.self))]).count == 1)
    }

    @Test func dictionariesOfTextsAreObjects() throws {
        let table = try JSONCoder.decode([Text: Int].self, from: utf8("{\"\u{e9}\":1,\"e\u{301}\":2}"))
        #expect(table == ["\u{e9}": 1, "e\u{301}": 2])
        #expect(try JSONCoder.decode([Text: Int].self, from: JSONCoder.encode(table)) == table)
        let foundation = try JSONDecoder().decode([Text: Int].self, from: Data(#"{"a":1}"#.utf8))
        #expect(foundation == ["a": 1])
        #expect(try JSONCoder.decode([Text].self, from: utf8(#"["a"]"#)) == ["a"])
        #expect(text(try JSONCoder.encode(Text("a"))) == #""a""#)
    }
}

@Suite("JSON keys are compared by bytes")
struct JSONKeyTests {
    private static let spellings = "{\"\u{e9}\":1,\"e\u{301}\":2}"

    @Test func bothSpellingsOfAKeyKeepTheirValues() throws {
        let json = try parsed(Self.spellings)
        #expect(json["\u{e9}"] == 1 && json["e\u{301}"] == 2 && json.object?.count == 2)
        #expect(text(json.encoded()) == Self.spellings)
        #expect(text(try JSONCoder.encode(json)) == Self.spellings)
        #expect(try JSONCoder.json(json) == json)
        #expect(json != ["\u{e9}": 1] && json == ["e\u{301}": 2, "\u{e9}": 1])
        #expect(JSON.string("\u{e9}") != JSON.string("e\u{301}"))
        #expect(Set<JSON>(["\u{e9}", "e\u{301}"]).count == 2)
        var object = try #require(json.object)
        object["\u{e9}"] = nil
        #expect(object.keys.map { Text($0) } == ["e\u{301}"])
    }

    /// In every size, because objects of many keys are searched in another way.
    @Test(arguments: [0, 14, 15, 16, 31, 40, 100]) func atEverySizeOfAnObject(others: Int) throws {
        let rest = (0..<others).map { ",\"k\($0)\":0" }.joined()
        let written = "{\"e\u{301}\":2,\"\u{e9}\":1\(rest),\"e\u{301}\":3}"
        let json = try parsed(written)
        #expect(json.object?.count == others + 2)
        #expect(json["\u{e9}"] == 1 && json["e\u{301}"] == 3)
        let table = try JSONCoder.decode([Text: Int].self, from: utf8(written))
        #expect(table.count == others + 2 && table["\u{e9}"] == 1 && table["e\u{301}"] == 3)
    }

    private struct Spelled: Codable, Equatable {
        enum CodingKeys: String, CodingKey { case composed = "\u{e9}", other }
        var composed: Int?
        var other: Int?
    }

    @Test func aTypeGetsTheKeyItAskedFor() throws {
        #expect(try JSONCoder.decode(Spelled.self, from: utf8(Self.spellings)) == Spelled(composed: 1))
        #expect(try JSONCoder.decode(Spelled.self, from: utf8("{\"e\u{301}\":2}")) == Spelled())
        #expect(throws: DecodingError.self) {
            try JSONCoder.decode(Spelled.self, from: parsed(Self.spellings), unknownKeys: .refused)
        }
    }

    @Test func writtenSpellingsAreTwoKeys() throws {
        struct Both: Encodable {
            enum CodingKeys: String, CodingKey { case composed = "\u{e9}" }
            func encode(to encoder: any Encoder) throws {
                var table = encoder.container(keyedBy: JSONName.self)
                try table.encode(1, forKey: JSONName("\u{e9}"))
                try table.encode(2, forKey: JSONName("e\u{301}"))
                var part = table.nestedUnkeyedContainer(forKey: JSONName("e\u{301}x"))
                try part.encode(3)
                try table.encode(4, forKey: JSONName("e\u{301}"))
            }
        }
        #expect(text(try JSONCoder.encode(Both())) == "{\"\u{e9}\":1,\"e\u{301}\":4,\"e\u{301}x\":[3]}")
    }

    private struct JSONName: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(_ name: String) { stringValue = name }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// 20 000 pairs of marks took 0.3 s to 45 s here, 160 000 would take an hour; now they take a moment.
    @Test(.timeLimit(.minutes(1)), arguments: [10_000, 20_000, 160_000])
    func hostileKeysAreReadInLinearTime(pairs: Int) throws {
        let body = twoKeys(pairs)
        let json = try JSON.parse(body)
        #expect(json.object?.count == 2 && json[marks(pairs)] == 1 && json[marks(pairs, reversed: true)] == 2)
        #expect(json.encoded() == body)
        #expect(try JSONCoder.decode([Text: Int].self, from: body).count == 2)
        #expect(try JSONCoder.decode(Spelled.self, from: body) == Spelled())
        #expect(try JSONCoder.decode(Spelled.self, from: json) == Spelled())
        #expect(json == json && json != ["x": 1] && json.hashValue == json.hashValue)
        #expect(try JSONCoder.encode(json) == body)
        #expect(HandshakeRequest.decode(body.span) == nil)
    }
}
