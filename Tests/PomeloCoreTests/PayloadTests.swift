// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import Testing

/// Arguments of system procedures, from peers that may be broken.
@Suite struct PayloadTests {
    private var whole: Bytes {
        var writer = PayloadWriter()
        writer.number(.max)
        writer.count(7)
        writer.text("käse")
        writer.data([1, 2, 3])
        writer.texts(["a", "", "bc"])
        writer.rest([9, 8])
        return writer.bytes
    }

    private func read(_ bytes: Bytes) throws -> String {
        var reader = PayloadReader(bytes)
        let fields: [Any] = [
            try reader.number(), try reader.count(), try reader.text(), try reader.data(), try reader.texts(),
            try reader.rest(),
        ]
        return "\(fields)"
    }

    @Test func whatIsWrittenIsRead() throws {
        #expect(try read(whole) == #"[18446744073709551615, 7, "käse", [1, 2, 3], ["a", "", "bc"], [9, 8]]"#)
    }

    @Test func everyTruncationIsAnErrorOrAShorterRest() throws {
        for length in 0..<(whole.count - 2) {
            #expect(throws: PomeloError.self) { try read(Array(whole.prefix(length))) }
        }
    }

    @Test func falseLengthsAndCountsAreErrors() {
        let huge: Bytes = [0xFF, 0xFF, 0xFF, 0xFF]
        for bytes in [huge, huge + [1, 2, 3], [0x7F, 0xFF, 0xFF, 0xFF, 0], [0, 0, 0, 2, 0, 0, 0, 1, 65]] {
            #expect(throws: PomeloError.self) {
                var reader = PayloadReader(bytes)
                _ = try reader.texts()
            }
        }
        #expect(throws: PomeloError.self) {
            var reader = PayloadReader(huge)
            _ = try reader.text()
        }
    }

    @Test func changedBytesNeverCrash() {
        for seed in 0..<500 {
            var generator = Generator(state: UInt64(seed) &* 0x9E37_79B9_7F4A_7C15)
            var bytes = whole
            for _ in 0..<3 {
                bytes[Int(generator.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: generator.next())
            }
            _ = try? read(bytes)
        }
    }

    private struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 11
        }
    }
}
