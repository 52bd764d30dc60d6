// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloJSON
import Testing

func parsed(_ text: String) throws(WireError) -> JSON { try JSON.parse(utf8(text)) }

struct JSONCase: CustomTestStringConvertible, Sendable {
    let input: String
    let value: JSON
    var testDescription: String { input }

    init(_ input: String, _ value: JSON) {
        self.input = input
        self.value = value
    }

    static let all = [
        JSONCase("null", nil), JSONCase(" true ", true), JSONCase("\t\r\nfalse\n", false),
        JSONCase("0", 0), JSONCase("-1", -1), JSONCase("9223372036854775807", .int(.max)),
        JSONCase("-9223372036854775808", .int(.min)),
        JSONCase("9223372036854775808", 9_223_372_036_854_775_808.0),
        JSONCase("18446744073709551616", 18_446_744_073_709_551_616.0),
        JSONCase("-9223372036854775809", -9_223_372_036_854_775_809.0),
        JSONCase("100000000000000000000000", 1e23), JSONCase("1.5", 1.5), JSONCase("-0.25e2", -25),
        JSONCase("1E+2", 100), JSONCase("1e-2", 0.01), JSONCase("5e-324", .double(.leastNonzeroMagnitude)),
        JSONCase("2.2250738585072011e-308", .double(.leastNormalMagnitude.nextDown)),
        JSONCase("0.1", 0.1), JSONCase("123456789012345678", 123_456_789_012_345_678),
        JSONCase("1.7976931348623157e308", 1.7976931348623157e308), JSONCase("1e-400", 0),
        JSONCase("9007199254740993.5", 9_007_199_254_740_994.0),
        JSONCase(#""""#, ""), JSONCase(#""a\"\\\/\b\f\n\r\té""#, "a\"\\/\u{8}\u{C}\n\r\té"),
        JSONCase(#""\u0041\u00e9\u4E2d""#, "Aé中"), JSONCase(#""\ud83d\ude00""#, "😀"), JSONCase(#""😀""#, "😀"),
        JSONCase(#""\ud83d""#, "\u{FFFD}"), JSONCase(#""\ude00x""#, "\u{FFFD}x"),
        JSONCase(#""\ud83d\u0041""#, "\u{FFFD}A"), JSONCase(#""\ud83d\ud83d\ude00""#, "\u{FFFD}😀"),
        JSONCase(#""\u0000""#, "\0"), JSONCase("[]", []), JSONCase("[ 1 , [ ] ]", [1, []]),
        JSONCase("{}", [:]), JSONCase(#"{ "a" : 1 , "b" : { } }"#, ["a": 1, "b": [:]]),
        JSONCase(#"{"a":1,"b":2,"a":3}"#, ["a": 3, "b": 2]), JSONCase(#"{"":0}"#, ["": 0]),
    ]
}

@Suite("JSON text")
struct JSONReadTests {
    @Test("reads", arguments: JSONCase.all)
    func accepts(_ sample: JSONCase) throws {
        #expect(try parsed(sample.input) == sample.value)
        #expect(try JSON.parse(sample.value.encoded()) == sample.value)
    }

    @Test(
        "refuses",
        arguments: [
            "", " ", "nul", "nulL", "tru", "True", "falsE", "fals", "01", "-", "-01", "+1", "1.", ".1",
            "1.e1",
            "1e", "1e+", "0x1", "1 2", "Infinity", "NaN", "1e400", "-1e400", #"""#, #""a"#, #""\"#, #""\x""#,
            #""\u12""#, #""\u12g4""#, #""\ud83d\u12""#, "\"\n\"", "\"\u{1}\"", "[", "[1", "[1,", "[1,]",
            "[,1]",
            "[1 2]", "]", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{a:1}", "{1:1}",
            "{\"a\" 1}", "{,}", "}", "'a'", "// x\n1", "\u{FEFF}1", "[1]]",
        ])
    func refuses(_ text: String) {
        let error = wireError { () throws(WireError) in _ = try parsed(text) }
        #expect(error?.isLike(.malformed("")) == true)
    }

    @Test("reads surrogate pairs that old clients encode one by one")
    func joinsSurrogates() throws {
        #expect(try JSON.parse(hex("22 61 ed a0 bd ed b8 80 c3 a9 22")) == "a😀é")
    }

    @Test func keepsTheOrderOfKeys() throws {
        let object = try #require(try parsed(#"{"z":1,"a":2,"m":3,"z":4}"#).object)
        #expect(object.keys == ["z", "a", "m"])
        #expect(object.values == [4, 2, 3])
    }

    @Test func repeatedKeysInLargeObjects() throws {
        let text = "{" + (0..<200).map { "\"k\($0 % 70)\":\($0)" }.joined(separator: ",") + "}"
        let object = try #require(try parsed(text).object)
        #expect(object.count == 70)
        #expect(object["k0"] == 140)
        #expect(object["k69"] == 139)
    }

    @Test func depthIsLimited() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(try parsed(nested(512)).array != nil)
        #expect(
            wireError { () throws(WireError) in _ = try parsed(nested(513)) }?.isLike(.malformed("")) == true)
        let objects = String(repeating: "{\"a\":", count: 513)
        #expect(
            wireError { () throws(WireError) in _ = try parsed(objects) }
                == .malformed("JSON: nested too deep"))
    }
}

@Suite("JSON values")
struct JSONValueTests {
    @Test(
        "numbers look as JavaScript writes them",
        arguments: [
            (0, "0"), (-0.0, "0"), (1, "1"), (-1.5, "-1.5"), (100, "100"), (1e20, "100000000000000000000"),
            (1e21, "1e+21"), (1.5e21, "1.5e+21"), (1.2345678901234568e20, "123456789012345680000"),
            (0.1, "0.1"), (0.000001, "0.000001"), (1e-7, "1e-7"), (1.25e-7, "1.25e-7"),
            (0.0000015, "0.0000015"),
            (.leastNonzeroMagnitude, "5e-324"), (1.7976931348623157e308, "1.7976931348623157e+308"),
            (0.30000000000000004, "0.30000000000000004"), (9007199254740992, "9007199254740992"),
            (12345.678, "12345.678"), (.nan, "null"), (.infinity, "null"), (-.infinity, "null"),
            (0.001, "0.001"), (-12.25, "-12.25"), (99_999_999_999.999, "99999999999.999"), (1.0625, "1.0625"),
            (0x1p60, "1152921504606846976"), (-0x1p63, "-9223372036854775808"), (0x1p63, "9223372036854775808"),
            (0x1p64, "18446744073709552000"), (1e16, "10000000000000000"), (-1e-10, "-1e-10"), (4.35, "4.35"),
            (123e-20, "1.23e-18"),
        ] as [(Double, String)])
    func numbers(value: Double, written: String) {
        #expect(text(JSON.double(value).encoded()) == written)
    }

    @Test(
        arguments: [
            (0, "0"), (9, "9"), (-9, "-9"), (10, "10"), (-120, "-120"), (.max, "9223372036854775807"),
            (.min, "-9223372036854775808"),
        ] as [(Int64, String)])
    func integers(value: Int64, written: String) {
        #expect(text(JSON.int(value).encoded()) == written)
    }

    @Test(
        "strings are escaped as JSON.stringify does, astral characters as pairs",
        arguments: [
            ("", #""""#), ("a/b", #""a/b""#), ("\"\\", #""\"\\""#), ("\u{8}\t\n\u{C}\r", #""\b\t\n\f\r""#),
            ("\0\u{1F}", #""\u0000\u001f""#), ("\u{7F}", "\"\u{7F}\""), ("é中\u{2028}", "\"é中\u{2028}\""),
            ("a😀", #""a\ud83d\ude00""#),
        ])
    func strings(value: String, written: String) {
        #expect(text(JSON.string(value).encoded()) == written)
    }

    @Test func objectsReadAndWrite() {
        var object: JSONObject = ["a": 1, "b": 2, "a": 3]
        #expect(object.keys == ["a", "b"])
        #expect(object["a"] == 3)
        object["c"] = "x"
        object["a"] = nil
        #expect(text(JSON.object(object).encoded()) == #"{"b":2,"c":"x"}"#)
        object["none"] = nil
        #expect(object.count == 2)
        #expect(!object.isEmpty)
    }

    @Test func equalityIsThatOfTheData() {
        #expect(JSON.int(1) == .double(1))
        #expect(JSON.int(1).hashValue == JSON.double(1).hashValue)
        #expect(JSON.int(1) != .double(1.5))
        #expect(JSON.int(1) != true)
        let one: JSON = ["a": 1, "b": [2]]
        let other: JSON = ["b": [2], "a": 1.0]
        #expect(one == other)
        #expect(Set([one, other]).count == 1)
        #expect(one != ["a": 1, "c": [2]])
        #expect(one != ["a": 1])
    }

    @Test func accessors() {
        let value: JSON = ["s": "x", "n": 2.0, "f": 2.5, "b": true, "l": [1], "o": [:], "z": nil]
        #expect(value["s"]?.string == "x")
        #expect(value["n"]?.int == 2)
        #expect(value["f"]?.int == nil)
        #expect(value["f"]?.double == 2.5)
        #expect(value["b"]?.bool == true)
        #expect(value["l"]?.array == [1])
        #expect(value["o"]?.object?.isEmpty == true)
        #expect(value["z"]?.isNull == true)
        #expect(value["none"] == nil)
        #expect(JSON.string("x")["s"] == nil)
    }

    @Test(
        arguments: [
            (nil, false), (0, false), (0.0, false), ("", false), (false, false), (.double(.nan), false),
            (1, true), ("0", true), ([], true), ([:], true),
        ] as [(JSON, Bool)])
    func truth(value: JSON, expected: Bool) {
        #expect(value.isTruthy == expected)
    }
}
