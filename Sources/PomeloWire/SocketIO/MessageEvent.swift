// SPDX-License-Identifier: MIT
import PomeloBytes

/// The event `message` with one text, as all known clients write it: `2["message","…"]`.
///
/// It is nearly all that clients say, so it is read at once. What is written in another way, or holds what is rare, is
/// read as the JSON that it is.
enum MessageEvent {
    private static let opening = Bytes(#"2["message",""#.utf8)
    private static let quote = UInt8(ascii: "\"")
    private static let backslash = UInt8(ascii: "\\")

    /// The text, as UTF-8; nil when it must be read as JSON.
    ///
    /// - Complexity: one look at each byte, one allocation.
    static func text(_ data: Span<UInt8>) -> Bytes? {
        let start = opening.count
        let end = data.count &- 2
        guard end >= start, data[end] == quote, data[end &+ 1] == UInt8(ascii: "]"),
            data.extracting(..<start).hasSameBytes(as: opening.span)
        else { return nil }
        let escaped = data.extracting(start..<end)
        var isASCII: Bool?
        let text = Bytes(reserving: escaped.count) { output in isASCII = unescape(escaped, into: &output) }
        guard let isASCII, isASCII || text.span.isUTF8 else { return nil }
        return text
    }

    /// Returns whether the text is ASCII; nil when something in it is rare.
    private static func unescape(_ escaped: Span<UInt8>, into output: inout OutputSpan<UInt8>) -> Bool? {
        var bits: UInt8 = 0
        var index = 0
        while index < escaped.count {
            let byte = escaped[index]
            index &+= 1
            if byte != backslash {
                guard byte >= 0x20, byte != quote else { return nil }
                bits |= byte
                output.append(byte)
                continue
            }
            guard index < escaped.count else { return nil }
            let escape = escaped[index]
            index &+= 1
            switch escape {
            case quote, backslash: output.append(escape)
            case UInt8(ascii: "n"): output.append(0x0A)
            case UInt8(ascii: "t"): output.append(0x09)
            case UInt8(ascii: "u"):
                guard let unit = unit(escaped, index) else { return nil }
                index &+= 4
                // Heads of messages hold such characters, below U+0100.
                if unit < 0x80 {
                    output.append(unit)
                } else {
                    bits |= unit
                    output.append(0xC0 | unit >> 6)
                    output.append(0x80 | unit & 0x3F)
                }
            default: return nil
            }
        }
        return bits < 0x80
    }

    /// The character below U+0100 whose four digits stand at `index`.
    private static func unit(_ text: Span<UInt8>, _ index: Int) -> UInt8? {
        guard text.count &- index >= 4, text[index] == UInt8(ascii: "0"), text[index &+ 1] == UInt8(ascii: "0"),
            let high = digit(text[index &+ 2]), let low = digit(text[index &+ 3])
        else { return nil }
        return high << 4 | low
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte &- UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte &- UInt8(ascii: "a") &+ 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte &- UInt8(ascii: "A") &+ 10
        default: nil
        }
    }
}
