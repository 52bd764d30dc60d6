// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloJSON
import PomeloWire
import Testing

/// Bodies as pomelo-protobuf 0.4.0 wrote them.
@Suite("Protobuf")
struct ProtobufTests {
    struct Vector: Sendable, CustomTestStringConvertible {
        let fields: JSON
        let value: JSON
        let bytes: String
        /// What is read back, where it is not what was written.
        var read: JSON?
        var testDescription: String { "\(fields) \(value)" }
    }

    /// The schema of one route, `r`.
    private static func codec(_ fields: JSON, besides roots: JSONObject = [:]) throws -> ProtobufCodec {
        var source = roots
        source["r"] = fields
        return try #require(try ProtobufSchema(.object(source)).codec(for: "r"))
    }

    static let vectors: [Vector] = [
        Vector(fields: ["optional uInt32 a": 1], value: ["a": 300], bytes: "08 ac 02"),
        Vector(fields: ["optional int32 a": 1], value: ["a": -1], bytes: "08 01"),
        Vector(fields: ["optional int32 a": 1], value: ["a": 150], bytes: "08 ac 02"),
        Vector(fields: ["optional sInt32 a": 1], value: ["a": -2], bytes: "08 03"),
        Vector(fields: ["optional float a": 1], value: ["a": 1.5], bytes: "0d 00 00 c0 3f"),
        Vector(
            fields: ["optional float a": 1], value: ["a": 0.1], bytes: "0d cd cc cc 3d",
            read: ["a": 0.10000000149011612]),
        Vector(fields: ["optional double a": 2], value: ["a": 1.5], bytes: "11 00 00 00 00 00 00 f8 3f"),
        Vector(fields: ["optional double a": 2], value: ["a": -0.1], bytes: "11 9a 99 99 99 99 99 b9 bf"),
        Vector(fields: ["optional string a": 1], value: ["a": "hello"], bytes: "0a 05 68 65 6c 6c 6f"),
        Vector(fields: ["optional string a": 1], value: ["a": ""], bytes: "0a 00"),
        Vector(fields: ["optional string a": 1], value: ["a": "中文"], bytes: "0a 06 e4 b8 ad e6 96 87"),
        Vector(fields: ["optional string a": 1], value: ["a": "😀"], bytes: "0a 04 f0 9f 98 80"),
        Vector(fields: ["repeated uInt32 a": 1], value: ["a": [1, 2, 300]], bytes: "08 03 01 02 ac 02"),
        Vector(fields: ["repeated sInt32 a": 1], value: ["a": [1, -1, 2]], bytes: "08 03 02 01 04"),
        Vector(fields: ["repeated float a": 3], value: ["a": [1, -1]], bytes: "1d 02 00 00 80 3f 00 00 80 bf"),
        Vector(fields: ["repeated double a": 1], value: ["a": [1]], bytes: "09 01 00 00 00 00 00 00 f0 3f"),
        Vector(
            fields: ["repeated string a": 1], value: ["a": ["a", "bc", ""]], bytes: "0a 01 61 0a 02 62 63 0a 00"),
        Vector(fields: ["optional uInt32 a": 2047], value: ["a": 1], bytes: "f8 7f 01"),
        Vector(
            fields: ["optional string b": 2, "optional uInt32 a": 1], value: ["a": 1, "b": "x"],
            bytes: "12 01 78 08 01"),
        Vector(fields: ["optional uInt32 a": 1], value: ["a": 0], bytes: "08 00"),
        Vector(fields: ["optional uInt32 a": 1], value: [:], bytes: ""),
        Vector(fields: ["repeated uInt32 a": 1], value: ["a": []], bytes: "", read: [:]),
        Vector(
            fields: [
                "message A": ["required uInt32 x": 1, "optional string n": 2], "required A a": 1, "repeated A list": 16,
            ],
            value: ["a": ["x": 1, "n": "q"], "list": [["x": 2], ["x": 3, "n": "z"]]],
            bytes: "0a 05 08 01 12 01 71 82 01 02 08 02 82 01 05 08 03 12 01 7a"),
        Vector(
            fields: [
                "required uInt32 attacker": 1, "required uInt32 target": 2,
                "message AttackResult": [
                    "required uInt32 result": 1, "required uInt32 damage": 2, "optional uInt32 exp": 3,
                ], "required AttackResult result": 3,
            ], value: ["attacker": 1, "target": 2, "result": ["result": 1, "damage": 65, "exp": 3]],
            bytes: "08 01 10 02 1a 06 08 01 10 41 18 03"),
        // Pinus' own.
        Vector(fields: ["optional bool a": 1], value: ["a": true], bytes: "08 01"),
        Vector(fields: ["repeated bool a": 1], value: ["a": [true, false]], bytes: "08 02 01 00"),
        Vector(
            fields: ["optional uInt64 a": 1], value: ["a": .uint(.max)], bytes: "08 ff ff ff ff ff ff ff ff ff 01"),
        Vector(
            fields: ["optional sInt64 a": 1], value: ["a": .int(.min)], bytes: "08 ff ff ff ff ff ff ff ff ff 01"),
        // What is no field, null, and what JavaScript makes whole.
        Vector(
            fields: ["optional uInt32 a": 1], value: ["a": 1.9, "b": 2], bytes: "08 01", read: ["a": 1]),
        Vector(fields: ["optional uInt32 a": 1], value: ["a": "12abc"], bytes: "08 0c", read: ["a": 12]),
        Vector(fields: ["optional sInt32 a": 1], value: ["a": " -0x10"], bytes: "08 1f", read: ["a": -16]),
        Vector(fields: ["optional uInt32 a": 1], value: ["a": nil], bytes: "", read: [:]),
    ]

    @Test(arguments: vectors) func bodies(_ vector: Vector) throws {
        let codec = try Self.codec(vector.fields)
        #expect(try codec.encode(vector.value) == hex(vector.bytes))
        #expect(try codec.encode(vector.value.encoded()) == hex(vector.bytes))
        let read = try codec.decode(hex(vector.bytes).span, maxBytes: 1000)
        #expect(try JSON.parse(read) == vector.read ?? vector.value)
    }

    @Test func messagesOfTheRoot() throws {
        let codec = try Self.codec(
            ["required uInt32 entityId": 1, "repeated Path path": 2, "required float speed": 3],
            besides: ["message Path": ["required double x": 1, "required double y": 2]])
        let value: JSON = ["entityId": 14, "path": [["x": 128, "y": 796], ["x": 677, "y": 895]], "speed": 160]
        let bytes = hex(
            "08 0e 12 12 09 00 00 00 00 00 00 60 40 11 00 00 00 00 00 e0 88 40 12 12 09 00 00 00 00 00 28 85 40"
                + " 11 00 00 00 00 00 f8 8b 40 1d 00 00 20 43")
        #expect(try codec.encode(value) == bytes)
        #expect(
            text(try codec.decode(bytes.span, maxBytes: 1000))
                == #"{"entityId":14,"path":[{"x":128,"y":796},{"x":677,"y":895}],"speed":160}"#)
    }

    static let varints: [(type: String, value: JSON, bytes: String)] = [
        ("uInt32", 0, "00"), ("uInt32", 1, "01"), ("uInt32", 127, "7f"), ("uInt32", 128, "80 01"),
        ("uInt32", 300, "ac 02"), ("uInt32", 16383, "ff 7f"), ("uInt32", 16384, "80 80 01"),
        ("uInt32", 4_294_967_295, "ff ff ff ff 0f"), ("uInt32", 4_294_967_296, "80 80 80 80 10"),
        ("uInt32", 9_007_199_254_740_991, "ff ff ff ff ff ff ff 0f"), ("sInt32", 0, "00"), ("int32", -1, "01"),
        ("sInt32", 1, "02"), ("sInt32", -2, "03"), ("int32", 63, "7e"), ("sInt32", -64, "7f"), ("int32", 64, "80 01"),
        ("sInt32", 2_147_483_647, "fe ff ff ff 0f"), ("int32", -2_147_483_648, "ff ff ff ff 0f"),
        ("sInt32", -4_503_599_627_370_496, "ff ff ff ff ff ff ff 0f"),
    ]

    @Test(arguments: varints.indices) func numbers(_ index: Int) throws {
        let (type, value, bytes) = Self.varints[index]
        let codec = try Self.codec(["optional \(type) a": 1])
        #expect(try codec.encode(["a": value]) == [8] + hex(bytes))
        #expect(try JSON.parse(try codec.decode(([8] + hex(bytes)).span, maxBytes: 100)) == ["a": value])
    }

    static let unwritable: [(fields: JSON, value: JSON)] = [
        (["required uInt32 a": 1], [:]), (["required uInt32 a": 1], ["a": nil]), (["optional uInt32 a": 1], []),
        (["optional uInt32 a": 1], 1), (["optional uInt32 a": 1], ["a": -1]), (["optional uInt32 a": 1], ["a": true]),
        (["optional uInt32 a": 1], ["a": "abc"]), (["optional uInt32 a": 1], ["a": [1]]),
        (["optional uInt32 a": 1], ["a": 9_007_199_254_740_992]), (["optional uInt32 a": 1], ["a": 1e21]),
        (["optional sInt32 a": 1], ["a": 4_503_599_627_370_496]), (["optional float a": 1], ["a": "1"]),
        (["optional double a": 1], ["a": true]), (["optional string a": 1], ["a": 1]),
        (["optional bool a": 1], ["a": "true"]), (["repeated uInt32 a": 1], ["a": 1]),
        (["repeated string a": 1], ["a": [nil]]),
        (["message M": ["required uInt32 x": 1], "optional M a": 1], ["a": 1]),
        (["message M": ["required uInt32 x": 1], "repeated M a": 1], ["a": [["x": 1], [:]]]),
    ]

    @Test(arguments: unwritable.indices) func whatHasNoForm(_ index: Int) throws {
        let (fields, value) = Self.unwritable[index]
        let codec = try Self.codec(fields)
        let error = wireError { () throws(WireError) in _ = try codec.encode(value) }
        #expect(error?.isLike(.malformed("")) == true)
    }

    struct Reading: Sendable, CustomTestStringConvertible {
        let field: String
        let bytes: String
        /// Nil when they are to be refused.
        let read: String?
        init(_ field: String, _ bytes: String, _ read: String?) {
            (self.field, self.bytes, self.read) = (field, bytes, read)
        }
        var testDescription: String { "\(field): \(bytes)" }
    }

    static let readings = [
        Reading("repeated uInt32 a", "08 02 01 02 08 01 03", #"{"a":[1,2,3]}"#),
        Reading("optional uInt32 a", "08 01 08 02", #"{"a":2}"#),
        Reading("optional uInt32 a", "", "{}"),
        Reading("repeated uInt32 a", "08 00", #"{"a":[]}"#),
        // Fields that nobody knows are skipped where their length is told.
        Reading("optional uInt32 a", "12 02 68 69 08 01", #"{"a":1}"#),
        Reading("optional uInt32 a", "10 01", nil), Reading("optional uInt32 a", "11 00 00 00 00 00 00 00 00", nil),
        Reading("optional uInt32 a", "15 00 00 00 00", nil), Reading("optional uInt32 a", "12 03 68 69", nil),
        Reading("optional string a", "0a 05 68 69", nil), Reading("optional uInt32 a", "08 80", nil),
        Reading("optional float a", "0d 00 00", nil), Reading("optional double a", "09 00 00 00 00 00 00", nil),
        Reading("repeated uInt32 a", "08 ff ff ff ff 0f", nil),
        Reading("repeated double a", "09 02 00 00 00 00 00 00 f0 3f 00", nil),
        Reading("optional uInt32 a", "08 80 80 80 80 80 80 80 10", nil),
        Reading("optional uInt64 a", "08 ff ff ff ff ff ff ff ff ff 02", nil),
        Reading("optional uInt64 a", "08 80 80 80 80 80 80 80 80 80 80 00", nil),
        Reading("optional uInt32 a", "80 80 80 80 80 01 01", nil),
        // Texts of old JavaScript clients, and of nobody.
        Reading("optional string a", "0a 06 ed a0 bd ed b8 80", #"{"a":"\ud83d\ude00"}"#),
        Reading("optional string a", "0a 04 f0 9f 98 80", #"{"a":"\ud83d\ude00"}"#),
        Reading("optional string a", "0a 03 ed a0 bd", "{\"a\":\"\u{FFFD}\"}"),
        Reading("optional string a", "0a 03 61 ff 62", "{\"a\":\"a\u{FFFD}b\"}"),
        Reading("optional string a", "0a 03 22 0a 5c", #"{"a":"\"\n\\"}"#),
        Reading("optional double a", "09 00 00 00 00 00 00 f8 7f", #"{"a":null}"#),
        Reading("optional float a", "0d 00 00 80 ff", #"{"a":null}"#),
    ]

    @Test(arguments: readings) func reading(_ item: Reading) throws {
        let codec = try Self.codec([item.field: 1])
        guard let expected = item.read else {
            let error = wireError { () throws(WireError) in
                _ = try codec.decode(hex(item.bytes).span, maxBytes: 1000)
            }
            #expect(error?.isLike(.malformed("")) == true)
            return
        }
        #expect(text(try codec.decode(hex(item.bytes).span, maxBytes: 1000)) == expected)
    }

    // MARK: bounds

    private static let node = ["message Node": ["optional Node next": 1, "repeated Node all": 2]] as JSONObject

    @Test func nestingEndsAt64() throws {
        let codec = try Self.codec(["optional Node next": 1], besides: Self.node)
        for (depth, isRead) in [(64, true), (65, false)] {
            var value: JSON = [:]
            var bytes: Bytes = []
            for _ in 1..<depth {
                value = ["next": value]
                var length = bytes.count
                var head: Bytes = [10]
                while length > 127 {
                    head.append(UInt8(length & 127 | 128))
                    length >>= 7
                }
                bytes = head + [UInt8(length)] + bytes
            }
            let (last, deepest) = (bytes, value)
            let error = wireError { () throws(WireError) in
                let read = try codec.decode(last.span, maxBytes: 10_000)
                #expect(read == deepest.encoded())
            }
            #expect((error == nil) == isRead)
            let writing = wireError { () throws(WireError) in
                let written = try codec.encode(deepest)
                #expect(written == last)
            }
            #expect((writing == nil) == isRead)
        }
    }

    @Test func whatIsReadIsBounded() throws {
        let codec = try Self.codec(["repeated Node all": 1], besides: Self.node)
        let bytes = Bytes((0..<1000).flatMap { _ in [10, 0] as Bytes })
        #expect(try codec.decode(bytes.span, maxBytes: 4096).count == 3009)
        let error = wireError { () throws(WireError) in _ = try codec.decode(bytes.span, maxBytes: 3000) }
        #expect(error == .tooLarge(limit: 3000))
    }

    /// Three thousand fields, each twice.
    @Test func manyFieldsAreFoundAsFewAre() throws {
        var fields: JSONObject = [:]
        for tag in 1...3000 { fields["optional uInt32 f\(tag)"] = .int(Int64(tag)) }
        let codec = try Self.codec(.object(fields))
        var value: JSONObject = [:]
        for tag in 1...3000 { value["f\(tag)"] = .int(Int64(tag)) }
        let bytes = try codec.encode(.object(value))
        let read = try codec.decode((bytes + bytes).span, maxBytes: 1 << 20)
        #expect(try JSON.parse(read) == .object(value))
    }
}
