// SPDX-License-Identifier: MIT
import PomeloBytes

/// Writes JSON text in pure ASCII, as it is or inside the quotes of another JSON text.
///
/// What is beyond ASCII becomes `\uXXXX`, two of them beyond U+FFFF: it stands inside a string either way.
enum ASCIIText {
    /// The room that a text takes at most, and whether it holds more than ASCII; such text must be UTF-8.
    static func room(_ text: Span<UInt8>, isQuoted: Bool) -> (count: Int, hasMore: Bool) {
        var (marks, controls, more) = (0, 0, 0)
        var index = 0
        // Blocks of 32, which the compiler counts at once.
        while text.count &- index >= 32 {
            var (some, few, many): (UInt8, UInt8, UInt8) = (0, 0, 0)
            for place in index..<(index &+ 32) {
                let byte = text[place]
                some &+= byte == 0x22 || byte == 0x5C ? 1 : 0
                few &+= byte < 0x20 ? 1 : 0
                many &+= byte >> 7
            }
            marks &+= Int(some)
            controls &+= Int(few)
            more &+= Int(many)
            index &+= 32
        }
        while index < text.count {
            let byte = text[index]
            marks &+= byte == 0x22 || byte == 0x5C ? 1 : 0
            controls &+= byte < 0x20 ? 1 : 0
            more &+= Int(byte >> 7)
            index &+= 1
        }
        // Of two bytes become six, of three six, of four twelve.
        let ascii = isQuoted ? marks &+ 5 &* controls : 0
        return (text.count &+ ascii &+ 2 &* more, more > 0)
    }

    /// Writes a text, which is UTF-8; there is ``room(_:isQuoted:)`` for it.
    @inline(__always)
    static func put(_ text: Span<UInt8>, isQuoted: Bool, into output: inout OutputSpan<UInt8>) {
        var index = 0
        while index < text.count {
            let byte = text[index]
            if byte >= 0x80 {
                putCharacter(text, &index, into: &output)
                continue
            }
            if isQuoted, byte < 0x20 {
                putUnit(UInt32(byte), into: &output)
            } else {
                if isQuoted, byte == 0x22 || byte == 0x5C { output.append(0x5C) }
                output.append(byte)
            }
            index &+= 1
        }
    }

    private static func putCharacter(
        _ text: Span<UInt8>, _ index: inout Int, into output: inout OutputSpan<UInt8>
    ) {
        let first = text[index]
        let length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
        var scalar = UInt32(first) & (0x7F >> UInt32(length))
        for next in (index &+ 1)..<min(index &+ length, text.count) { scalar = scalar << 6 | UInt32(text[next] & 0x3F) }
        index &+= length
        if scalar < 0x10000 {
            putUnit(scalar, into: &output)
        } else {
            putUnit(0xD7C0 &+ scalar >> 10, into: &output)
            putUnit(0xDC00 | scalar & 0x3FF, into: &output)
        }
    }

    private static func putUnit(_ unit: UInt32, into output: inout OutputSpan<UInt8>) {
        output.append(UInt8(ascii: "\\"))
        output.append(UInt8(ascii: "u"))
        for shift in stride(from: UInt32(12), through: 0, by: -4) {
            let digit = UInt8(truncatingIfNeeded: unit >> shift) & 0xF
            output.append(digit < 10 ? UInt8(ascii: "0") &+ digit : UInt8(ascii: "a") &+ digit &- 10)
        }
    }
}
