// SPDX-License-Identifier: MIT
import Foundation
import PomeloBytes
import PomeloJSON
import PomeloWire
import Testing

private struct Everything: Codable, Equatable {
    enum Mood: String, Codable { case good, bad }
    enum Shape: Codable, Equatable {
        case circle(radius: Double)
        case none
    }
    struct Inner: Codable, Equatable {
        var list: [Int?]
        var table: [Int: String]
    }
    var bool = true
    var text = "é😀"
    var int = -3
    var int8: Int8 = -128
    var int16: Int16 = .max
    var int32: Int32 = .min
    var int64: Int64 = .min
    var uint: UInt = 7
    var uint8: UInt8 = 255
    var uint16: UInt16 = 65535
    var uint32: UInt32 = .max
    var uint64 = UInt64.max
    var float: Float = 0.1
    var double = 2.5
    var absent: Int?
    var present: Int? = 1
    var mood = Mood.bad
    var shapes = [Shape.circle(radius: 1), .none]
    var inner = Inner(list: [1, nil, 3], table: [1: "x", -2: "y"])
    var nested = [["a": [1.5]], [:]]
    var raw: JSON = ["any": [1, nil, "x"]]
}

private class Base: Codable {
    var one = 1
}

private final class Derived: Base {
    var two = 2

    private enum Keys: CodingKey { case two, other }

    override init() { super.init() }

    required init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Keys.self)
        two = try container.decode(Int.self, forKey: .two)
        try super.init(from: container.superDecoder())
    }

    override func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Keys.self)
        try super.encode(to: container.superEncoder())
        try container.encode(two, forKey: .two)
    }
}

/// Opens containers side by side and out of order.
private struct Interleaved: Codable, Equatable {
    private enum Keys: CodingKey { case a, b, c }
    private enum InnerKeys: CodingKey { case x, y }

    init() {}

    func encode(to encoder: any Encoder) throws {
        var outer = encoder.container(keyedBy: Keys.self)
        var a = outer.nestedContainer(keyedBy: InnerKeys.self, forKey: .a)
        var b = outer.nestedUnkeyedContainer(forKey: .b)
        try outer.encode(true, forKey: .c)
        try b.encode(1)
        try a.encode("x", forKey: .x)
        var inner = b.nestedUnkeyedContainer()
        try b.encodeNil()
        try inner.encode(2.5)
        var again = outer.nestedContainer(keyedBy: InnerKeys.self, forKey: .a)
        try again.encode("y", forKey: .y)
    }

    init(from decoder: any Decoder) throws {
        let outer = try decoder.container(keyedBy: Keys.self)
        let a = try outer.nestedContainer(keyedBy: InnerKeys.self, forKey: .a)
        #expect(try a.decode(String.self, forKey: .y) == "y")
        #expect(a.allKeys.count == 2)
        var b = try outer.nestedUnkeyedContainer(forKey: .b)
        #expect(try b.decode(Int.self) == 1)
        var inner = try b.nestedUnkeyedContainer()
        #expect(try inner.decode(Double.self) == 2.5)
        #expect(inner.isAtEnd)
        #expect(try b.decodeNil())
        #expect(b.isAtEnd)
    }
}

private struct Silent: Codable {
    init() {}
    init(from decoder: any Decoder) throws {}
    func encode(to encoder: any Encoder) throws {}
}

@Suite("JSON through Codable")
struct JSONCoderTests {
    private static func path(_ error: any Error) -> String {
        let keys: [any CodingKey]
        switch error as? DecodingError {
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context),
            .keyNotFound(_, let context):
            keys = context.codingPath
        default: return "no DecodingError"
        }
        return keys.map(\.stringValue).joined(separator: ".")
    }

    @Test func roundTrip() throws {
        let bytes = try JSONCoder.encode(Everything())
        #expect(try JSONCoder.decode(Everything.self, from: bytes) == Everything())
        #expect(try JSONCoder.decode(Everything.self, from: bytes.span) == Everything())
        #expect(try JSONCoder.decode(Everything.self, from: JSONCoder.json(Everything())) == Everything())
    }

    @Test func agreesWithFoundation() throws {
        let ours = try JSONCoder.encode(Everything())
        #expect(try JSONDecoder().decode(Everything.self, from: Data(ours)) == Everything())
        let theirs = Bytes(try JSONEncoder().encode(Everything()))
        #expect(try JSONCoder.decode(Everything.self, from: theirs) == Everything())
        #expect(try JSON.parse(theirs) == (try JSON.parse(ours)))
        let generic = try JSONDecoder().decode(JSON.self, from: Data(ours))
        #expect(generic == (try JSON.parse(ours)))
        #expect(try JSON.parse(Bytes(try JSONEncoder().encode(generic))) == generic)
    }

    @Test func keysKeepTheirOrder() throws {
        struct Message: Codable {
            var route = "onChat"
            var msg = "hi"
            var from = "ann"
        }
        #expect(text(try JSONCoder.encode(Message())) == #"{"route":"onChat","msg":"hi","from":"ann"}"#)
    }

    @Test func classesAndOpenContainers() throws {
        let derived = Derived()
        derived.one = 5
        let bytes = try JSONCoder.encode(derived)
        #expect(text(bytes) == #"{"super":{"one":5},"two":2}"#)
        #expect(try JSONCoder.decode(Derived.self, from: bytes).one == 5)
        let interleaved = try JSONCoder.encode(Interleaved())
        #expect(text(interleaved) == #"{"a":{"x":"x","y":"y"},"b":[1,[2.5],null],"c":true}"#)
        _ = try JSONCoder.decode(Interleaved.self, from: interleaved)
    }

    @Test func keysComeInAnyOrderAndMoreThanOnce() throws {
        struct Place: Codable, Equatable {
            var x: Double
            var é: String
            var y: Int?
        }
        let place = Place(x: 1, é: "last", y: 2)
        for text in [
            #"{"x":1,"é":"last","y":2}"#, #"{"y":2,"é":"last","x":1.0}"#,
            #"{"é":"first","x":[{}],"é":"last","x":1,"y":2}"#,
            "{\"e\u{301}\":1,\"é\":\"last\",\"x\":1,\"y\":2}", "{\"é\":\"last\",\"x\":1,\"y\":2,\"e\u{301}\":1}",
            #"{"a":1,"a":2,"a":3,"a":4,"\u0078":1,"\u00e9":"last","y":2}"#,
        ] {
            #expect(try JSONCoder.decode(Place.self, from: utf8(text)) == place, "\(text)")
        }
    }

    @Test func whatIsWrittenAgainReplacesAndWhatFailsLeavesNothing() throws {
        struct Draft: Encodable {
            private enum Keys: CodingKey { case a, b, c }

            func encode(to encoder: any Encoder) throws {
                var outer = encoder.container(keyedBy: Keys.self)
                try outer.encode([1], forKey: .a)
                #expect(throws: EncodingError.self) { try outer.encode(["x": [1, UInt128.max]], forKey: .b) }
                try outer.encode(2, forKey: .c)
                var part = outer.nestedUnkeyedContainer(forKey: .b)
                try part.encode("b")
                #expect(throws: EncodingError.self) { try part.encode(Silent()) }
                try outer.encode(["y": 3], forKey: .a)
            }
        }
        #expect(text(try JSONCoder.encode(Draft())) == #"{"a":{"y":3},"c":2,"b":["b"]}"#)
        #expect(text(try JSONCoder.encode([Draft()])) == #"[{"a":{"y":3},"c":2,"b":["b"]}]"#)
    }

    @Test func faultsOfWritingNameTheirPlace() throws {
        do {
            _ = try JSONCoder.encode(["a": [1, UInt128.max]])
            Issue.record("written")
        } catch EncodingError.invalidValue(_, let context) {
            #expect(context.codingPath.map(\.stringValue) == ["a", "1"])
        }
    }

    @Test func scalarsAndLists() throws {
        #expect(text(try JSONCoder.encode("x")) == #""x""#)
        #expect(text(try JSONCoder.encode([1.0, .nan])) == "[1,null]")
        #expect(text(try JSONCoder.encode(Float(0.1))) == "0.1")
        #expect(text(try JSONCoder.encode(Int?.none)) == "null")
        #expect(try JSONCoder.decode([Int].self, from: utf8("[1,2.0,3e2]")) == [1, 2, 300])
        #expect(try JSONCoder.decode(Int?.self, from: utf8("null")) == nil)
        #expect(try JSONCoder.decode(JSON.self, from: utf8("[1]")) == [1])
        #expect(try JSONCoder.decode([String: JSON].self, from: utf8(#"{"a":null}"#)) == ["a": nil])
    }

    @Test func largeTablesAreReadWhole() throws {
        let table = Dictionary(uniqueKeysWithValues: (0..<500).map { ("key\($0)", $0) })
        #expect(try JSONCoder.decode([String: Int].self, from: JSONCoder.encode(table)) == table)
    }

    @Test(
        "faults name their place",
        arguments: [
            (#"{"list":[1,"x"],"table":{}}"#, "list.1"), (#"{"list":[1],"table":[]}"#, "table"),
            (#"{"list":[1.5],"table":{}}"#, "list.0"), (#"{"list":[]}"#, ""), ("[]", ""), ("nonsense", ""),
            (#"{"list":[1],"table":{"1":2}}"#, "table.1"), (#"{"list":null,"table":{}}"#, "list"),
        ])
    func faults(text: String, place: String) {
        do {
            _ = try JSONCoder.decode(Everything.Inner.self, from: utf8(text))
            Issue.record("read")
        } catch {
            #expect(Self.path(error) == place)
        }
    }

    /// Tries one form after the other, as many types of applications do.
    private indirect enum Anything: Decodable, Equatable {
        case number(Int), text(String), list([Anything])

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            if let number = try? value.decode(Int.self) {
                self = .number(number)
            } else if let text = try? value.decode(String.self) {
                self = .text(text)
            } else {
                self = .list(try value.decode([Anything].self))
            }
        }
    }

    /// Each fault names its place; to look for it from the start each time would take minutes here.
    @Test(.timeLimit(.minutes(1)), arguments: [1, 100]) func manyFaultsAreNotQuadratic(depth: Int) throws {
        let elements = Array(repeating: "\"x\"", count: 100_000).joined(separator: ",")
        let nested = String(repeating: "[", count: depth) + elements + String(repeating: "]", count: depth)
        var found = try JSONCoder.decode(Anything.self, from: utf8(nested))
        for _ in 1..<depth {
            guard case .list(let one) = found, one.count == 1 else { break }
            found = one[0]
        }
        #expect(found == .list(Array(repeating: .text("x"), count: 100_000)))
    }

    @Test func placesOfLaterFaultsAreRight() throws {
        struct Tried: Decodable {
            var places: [String] = []
            init(from decoder: any Decoder) throws {
                var list = try decoder.unkeyedContainer()
                while !list.isAtEnd {
                    do { _ = try list.decode(Bool.self) } catch { places.append(JSONCoderTests.path(error)) }
                    _ = try list.decode(JSON.self)
                }
                do { _ = try [String: Int](from: decoder) } catch { places.append(JSONCoderTests.path(error)) }
            }
        }
        let tried = try JSONCoder.decode([Tried].self, from: utf8(#"[[1,[2,3],{"a":4}],[5,{"a":6},7]]"#))
        #expect(tried.map(\.places) == [["0.0", "0.1", "0.2", "0"], ["1.0", "1.1", "1.2", "1"]])
    }

    @Test func integersAreChecked() {
        #expect(throws: DecodingError.self) { try JSONCoder.decode(Int8.self, from: utf8("128")) }
        #expect(throws: DecodingError.self) { try JSONCoder.decode(UInt.self, from: utf8("-1")) }
        #expect(throws: DecodingError.self) { try JSONCoder.decode(Int.self, from: utf8("1e300")) }
        #expect(throws: DecodingError.self) { try JSONCoder.decode(Float.self, from: utf8("1e300")) }
        #expect(throws: DecodingError.self) { try JSONCoder.decode(Int.self, from: utf8("true")) }
        #expect(throws: DecodingError.self) { try JSONCoder.decode(Bool.self, from: utf8("1")) }
        #expect(throws: DecodingError.self) { try JSONCoder.decode(String.self, from: utf8("1")) }
        #expect(throws: EncodingError.self) { try JSONCoder.encode(UInt128.max) }
        #expect(throws: EncodingError.self) { try JSONCoder.encode([Int128.min]) }
        #expect(throws: EncodingError.self) { try JSONCoder.encode(Silent()) }
    }
}
