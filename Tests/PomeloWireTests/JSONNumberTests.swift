// SPDX-License-Identifier: MIT
import Foundation
import PomeloBytes
import PomeloJSON
import Testing

@Suite("JSON numbers")
struct JSONNumberTests {
    @Test(
        "a whole number within 64 bits is exact in every spelling, and written as it was read",
        arguments: [
            ("9223372036854775807", .int(.max), "9223372036854775807"),
            ("9223372036854775808", .uint(9_223_372_036_854_775_808), "9223372036854775808"),
            ("9223372036854775809", .uint(9_223_372_036_854_775_809), "9223372036854775809"),
            ("18446744073709551615", .uint(.max), "18446744073709551615"),
            ("1844674407370955161.5e1", .uint(.max), "18446744073709551615"),
            ("-9223372036854775808", .int(.min), "-9223372036854775808"),
            ("-922337203685477580800e-2", .int(.min), "-9223372036854775808"),
            ("123456789012345678e1", .int(1_234_567_890_123_456_780), "1234567890123456780"),
            ("9007199254740993.0", .int(9_007_199_254_740_993), "9007199254740993"),
            ("9007199254740993.000000000000000000000", .int(9_007_199_254_740_993), "9007199254740993"),
            ("0.9007199254740993e16", .int(9_007_199_254_740_993), "9007199254740993"),
            ("1e18", .int(1_000_000_000_000_000_000), "1000000000000000000"), ("3.0", .double(3), "3"),
            ("-25e-1", .double(-2.5), "-2.5"), ("1e-3", .double(0.001), "0.001"), ("0e99", .double(0), "0"),
        ] as [(String, JSON, String)])
    func wholeNumbers(read: String, value: JSON, written: String) throws {
        let json = try parsed(read)
        #expect(json == value)
        #expect(text(json.encoded()) == written)
        #expect(try JSON.parse(json.encoded()) == json)
    }

    @Test(arguments: [
        "9223372036854775809", "1844674407370955161e1", "123456789012345678e1", "1e19", "18446744073709551615.000",
    ])
    func typesGetTheNumberItself(read: String) throws {
        let exact = try #require(Decimal(string: read))
        let whole = try JSONCoder.decode(UInt64.self, from: utf8(read))
        #expect(Decimal(whole) == exact)
        #expect(try JSONCoder.decode(UInt64.self, from: parsed(read)) == whole)
        #expect(try JSONCoder.decode(UInt128.self, from: utf8(read)) == UInt128(whole))
        #expect(text(try JSONCoder.encode(whole)) == exact.description)
        #expect(try parsed(read).uint == whole)
        #expect(try JSONCoder.decode(Double.self, from: utf8(read)) == Double(read))
    }

    @Test(
        "no integer is decoded as another number",
        arguments: [
            "18446744073709551616", "-9223372036854775809", "1e20", "123456789012345678901234567890", "1e300", "-1e19",
            "9007199254740993.5", "1.00000000000000000000001", "0.99999999999999999999", "4503599627370497.00000000001",
            "1e-400", "123456789012345678e-1", "9223372036854775808.5", "1e-1", "9007199254740993e-3",
            "0.000000000000000000000000000001e29",
        ])
    func otherNumbersAreNoIntegers(read: String) throws {
        #expect(throws: DecodingError.self) { try JSONCoder.decode(Int.self, from: utf8(read)) }
        #expect(throws: DecodingError.self) { try JSONCoder.decode(UInt64.self, from: utf8(read)) }
        #expect(throws: DecodingError.self) { try JSONCoder.decode(Int128.self, from: utf8(read)) }
        // Doubles stay doubles.
        #expect(try JSONCoder.decode(Double.self, from: utf8(read)) == Double(read))
        #expect(try parsed(read).double == Double(read))
    }

    @Test func aFaultNamesItsPlaceAndItsType() {
        do {
            _ = try JSONCoder.decode([String: Int].self, from: utf8(#"{"a":9223372036854775808}"#))
            Issue.record("read")
        } catch DecodingError.dataCorrupted(let context) {
            #expect(context.codingPath.map(\.stringValue) == ["a"])
            #expect(
                context.debugDescription
                    == "Expected a whole number from \(Int.min) to \(Int.max), found another number.")
        } catch {
            Issue.record("\(error)")
        }
    }

    @Test func wholeNumbersOfBothSignsAreOneValue() {
        #expect(JSON.int(5) == .uint(5) && JSON.uint(5) == .double(5) && JSON.int(-1) != .uint(.max))
        #expect(Set<JSON>([.int(5), .uint(5), .double(5)]).count == 1)
        #expect(JSON.uint(.max).int == nil && JSON.uint(5).int == 5 && JSON.int(-5).uint == nil)
        #expect(JSON.uint(.max) != .double(18_446_744_073_709_551_616) && JSON.uint(1 << 63) == .double(0x1p63))
        #expect(Set<JSON>([.uint(1 << 63), .double(0x1p63)]).count == 1)
        // Which of the whole numbers that this double stands for is meant, nobody knows.
        #expect(JSON.double(0x1p53).int == nil && JSON.double(0x1p53 - 1).int == (1 << 53) - 1)
        #expect(JSON.uint(0).isTruthy == false && JSON.uint(1).isTruthy && JSON.uint(3).double == 3)
    }

    @Test(arguments: [UInt64.max, 1 << 63, 1 << 53, 0]) func unsignedNumbersGoBothWays(number: UInt64) throws {
        #expect(text(try JSONCoder.encode([number])) == "[\(number)]")
        #expect(try JSONCoder.decode([UInt64].self, from: JSONCoder.encode([number])) == [number])
        #expect(try JSONDecoder().decode([UInt64].self, from: Data(JSONCoder.encode([number]))) == [number])
        #expect(try JSONCoder.decode([UInt64].self, from: Bytes(JSONEncoder().encode([number]))) == [number])
        #expect(try JSONDecoder().decode(JSON.self, from: Data("\(number)".utf8)) == .uint(number))
        #expect(Bytes(try JSONEncoder().encode(JSON.uint(number))) == utf8("\(number)"))
    }

    @Test func widerIntegersAreWrittenWhileTheyFit() throws {
        #expect(text(try JSONCoder.encode(UInt128(UInt64.max))) == "18446744073709551615")
        #expect(throws: EncodingError.self) { try JSONCoder.encode(UInt128(UInt64.max) + 1) }
        #expect(throws: EncodingError.self) { try JSONCoder.encode(Int128(Int64.min) - 1) }
    }

    @Test("any spelling is the number that Foundation's decimals say", arguments: 0..<4)
    func spellings(seed: Int) throws {
        var random = Seeded(UInt64(seed))
        for _ in 0..<2000 {
            let digits = max(1, random.next() >> UInt64(random.below(64)))
            let zeros = String(repeating: "0", count: random.below(4))
            let point = random.below(3) == 0 ? "." + zeros + "\(random.below(3) * 5)" : ""
            let exponent = random.below(2) == 0 ? "e\(random.below(24) - 12)" : ""
            let read = "\(digits)\(zeros)\(point)\(exponent)"
            let exact = try #require(Decimal(string: read))
            var found: UInt64?
            do { found = try JSONCoder.decode(UInt64.self, from: utf8(read)) } catch is DecodingError {}
            #expect(found == UInt64(exact.description), "\(read)")
            #expect(try parsed(read).double == Double(read), "\(read)")
        }
    }
}

@Suite("JSON strings that are no UTF-8")
struct JSONRepairTests {
    /// What the Encoding Standard's decoder makes of them, but for surrogates of three bytes: one U+FFFD each.
    @Test(arguments: [
        ("61 ed a0 bd 62", "a\u{FFFD}b"), ("61 ed b8 80 62", "a\u{FFFD}b"), ("ed a0 bd ed b8 80", "\u{1F600}"),
        ("ed b8 80 ed a0 bd", "\u{FFFD}\u{FFFD}"), ("ed a0 bd ed a0 bd ed b8 80", "\u{FFFD}\u{1F600}"),
        ("61 ff 62", "a\u{FFFD}b"), ("c0 af", "\u{FFFD}\u{FFFD}"), ("e4 b8", "\u{FFFD}"),
        ("f0 9f 98 61", "\u{FFFD}a"), ("f4 90 80 80", "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"),
        ("ed a0 bd 5c 6e ff", "\u{FFFD}\n\u{FFFD}"), ("ed a0", "\u{FFFD}\u{FFFD}"),
    ])
    func areReadWithReplacements(wire: String, expected: String) throws {
        let body = utf8(#"{"text":""#) + hex(wire) + utf8(#"","rest":[1,"é"]}"#)
        let json = try JSON.parse(body)
        #expect(json["text"].flatMap(\.string).map { Text($0) } == Text(expected))
        #expect(json["rest"] == [1, "é"])
        #expect(try JSONCoder.decode([Text: JSON].self, from: body)["text"] == .string(expected))
        #expect(try JSON.parse(json.encoded()) == json)
    }

    @Test func keysAlso() throws {
        let json = try JSON.parse(utf8(#"{"a"#) + hex("ff") + utf8(#"":1,"b":2}"#))
        #expect(json["a\u{FFFD}"] == 1 && json["b"] == 2)
    }

    @Test func outsideOfStringsNothingIsReplaced() {
        for wire in ["ff", "5b ed a0 bd 5d", "22 5c ff 22", "22 5c 75 64 38 33 ff 22", "7b ff 22 61 22 3a 31 7d"] {
            let error = wireError { () throws(WireError) in _ = try JSON.parse(hex(wire)) }
            #expect(error?.isLike(.malformed("")) == true, "\(wire)")
        }
    }
}
