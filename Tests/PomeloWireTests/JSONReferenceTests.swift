// SPDX-License-Identifier: MIT
import Foundation
import PomeloBytes
import PomeloJSON
import Testing

@Suite("JSON against references")
struct JSONReferenceTests {
    /// Of the cases that the standard leaves open, those that are read; the others are refused.
    private static let openCasesRead: Set = [
        "i_number_double_huge_neg_exp.json", "i_number_real_underflow.json", "i_number_too_big_neg_int.json",
        "i_number_too_big_pos_int.json", "i_number_very_big_negative_int.json",
        "i_object_key_lone_2nd_surrogate.json", "i_string_1st_surrogate_but_2nd_missing.json",
        "i_string_1st_valid_surrogate_2nd_invalid.json",
        "i_string_incomplete_surrogate_and_escape_valid.json",
        "i_string_incomplete_surrogate_pair.json", "i_string_incomplete_surrogates_escape_valid.json",
        "i_string_invalid_lonely_surrogate.json", "i_string_invalid_surrogate.json",
        "i_string_inverted_surrogates_U+1D11E.json", "i_string_lone_second_surrogate.json",
        "i_string_UTF-8_invalid_sequence.json", "i_string_UTF8_surrogate_U+D800.json", "i_string_invalid_utf-8.json",
        "i_string_iso_latin_1.json", "i_string_lone_utf8_continuation_byte.json", "i_string_not_in_unicode_range.json",
        "i_string_overlong_sequence_2_bytes.json", "i_string_overlong_sequence_6_bytes.json",
        "i_string_overlong_sequence_6_bytes_null.json", "i_string_truncated-utf-8.json",
        "i_structure_500_nested_arrays.json",
    ]

    @Test("the public JSON test suite, from the folder in JSON_TEST_SUITE")
    func publicSuite() throws {
        guard let folder = ProcessInfo.processInfo.environment["JSON_TEST_SUITE"] else {
            print("JSON test suite skipped: not given (set JSON_TEST_SUITE to its test_parsing folder)")
            return
        }
        var count = 0
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) where name.hasSuffix(".json") {
            let bytes = Bytes(try Data(contentsOf: URL(fileURLWithPath: folder).appendingPathComponent(name)))
            let error = wireError { () throws(WireError) in _ = try JSON.parse(bytes) }
            switch name.prefix(2) {
            case "y_": #expect(error == nil, "\(name)")
            case "n_": #expect(error != nil, "\(name)")
            default: #expect((error == nil) == Self.openCasesRead.contains(name), "\(name)")
            }
            count += 1
        }
        #expect(count > 300)
    }

    @Test("Foundation reads what we write and writes what we read", arguments: 0..<8)
    func foundation(seed: Int) throws {
        var random = Seeded(UInt64(seed))
        for _ in 0..<150 {
            let value = Self.document(&random, depth: 0)
            let ours = value.encoded()
            #expect(try JSONDecoder().decode(JSON.self, from: Data(ours)) == value)
            #expect(try JSON.parse(Bytes(try JSONEncoder().encode(value))) == value)
        }
    }

    @Test("doubles survive, and their text is JavaScript's shortest", arguments: 0..<4)
    func doubles(seed: Int) throws {
        var random = Seeded(UInt64(seed))
        for _ in 0..<3000 {
            let number = Double(bitPattern: random.next())
            guard number.isFinite else { continue }
            let written = JSON.double(number).encoded()
            #expect(try JSON.parse(written).double == number)
            #expect(Double(text(written)) == number)
            #expect(try JSON.parse(utf8("\(number)")).double == number)
        }
    }

    @Test("short decimals are rounded as the C library rounds them")
    func decimals() throws {
        var random = Seeded(9)
        for _ in 0..<5000 {
            let digits = random.next() >> UInt64(random.below(64))
            let written = "\(digits)e\(random.below(60) - 30)"
            #expect(try JSON.parse(utf8(written)).double == Double(written))
        }
    }

    private static func document(_ random: inout Seeded, depth: Int) -> JSON {
        switch random.below(depth < 4 ? 8 : 6) {
        case 0: return .null
        case 1: return .bool(random.below(2) == 0)
        case 2: return .int(Int64(truncatingIfNeeded: random.next() >> UInt64(random.below(64))))
        case 3: return .double(Double(random.below(1 << 30)) / 64)
        case 4, 5: return .string(word(&random))
        case 6: return .array((0..<random.below(6)).map { _ in document(&random, depth: depth + 1) })
        default:
            var object = JSONObject()
            for index in 0..<random.below(24) {
                object["\(index)" + word(&random)] = document(&random, depth: depth + 1)
            }
            return .object(object)
        }
    }

    private static func word(_ random: inout Seeded) -> String {
        let alphabet = Array("abc \"\\/\n\t\u{1}é中\u{2028}😀\u{7F}")
        return String((0..<random.below(12)).map { _ in alphabet[random.below(alphabet.count)] })
    }
}
