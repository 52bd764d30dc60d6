// SPDX-License-Identifier: MIT
import PomeloBytes

extension JSONReader {
    /// Reads a string; the current byte is its opening quote.
    ///
    /// Bytes that are no UTF-8 are replaced by the slow path.
    mutating func string(_ text: Span<UInt8>) throws(WireError) -> JSONSlice {
        let start = offset &+ 1
        var end = start
        var bits: UInt8 = 0
        while end < text.count {
            let byte = text[end]
            if byte == UInt8(ascii: "\"") {
                offset = end &+ 1
                guard bits < 0x80 || text.extracting(start..<end).isUTF8 else { break }
                return JSONSlice(offset: start, count: end &- start, isCopied: false)
            }
            if byte == UInt8(ascii: "\\") { break }
            guard byte >= 0x20 else { throw .malformed("JSON: control character in a string") }
            bits |= byte
            end &+= 1
        }
        return try copiedString(text, from: start, to: end)
    }

    /// The slow path: copies the string while replacing its escapes.
    private mutating func copiedString(
        _ text: Span<UInt8>, from start: Int, to firstEscape: Int
    ) throws(WireError) -> JSONSlice {
        let from = tape.copies.count
        if from == 0 { tape.copies.reserveCapacity(128) }
        var run = start
        offset = firstEscape
        while true {
            let byte = try peek(text)
            offset &+= 1
            switch byte {
            case UInt8(ascii: "\""):
                tape.copies.put(text.extracting(run..<(offset &- 1)))
                return finishCopy(from)
            case UInt8(ascii: "\\"):
                tape.copies.put(text.extracting(run..<(offset &- 1)))
                try escape(text)
                run = offset
            case 0..<0x20:
                throw .malformed("JSON: control character in a string")
            default:
                break
            }
        }
    }

    private mutating func finishCopy(_ from: Int) -> JSONSlice {
        if !tape.copies.span.extracting(from...).isUTF8 {
            let mended = Self.mended(tape.copies.span.extracting(from...))
            tape.copies.removeSubrange(from...)
            tape.copies.append(contentsOf: mended.utf8)
        }
        return JSONSlice(offset: from, count: tape.copies.count &- from, isCopied: true)
    }

    private mutating func escape(_ text: Span<UInt8>) throws(WireError) {
        let byte = try peek(text)
        offset &+= 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): tape.copies.append(byte)
        case UInt8(ascii: "b"): tape.copies.append(0x08)
        case UInt8(ascii: "f"): tape.copies.append(0x0C)
        case UInt8(ascii: "n"): tape.copies.append(0x0A)
        case UInt8(ascii: "r"): tape.copies.append(0x0D)
        case UInt8(ascii: "t"): tape.copies.append(0x09)
        case UInt8(ascii: "u"):
            var scalar = try hexUnit(text)
            if scalar & 0xFC00 == 0xD800, let low = try lowSurrogate(text) {
                scalar = 0x10000 &+ (scalar & 0x3FF) << 10 | low & 0x3FF
            }
            Self.append(Unicode.Scalar(scalar) ?? "\u{FFFD}", to: &tape.copies)
        default:
            throw .malformed("JSON: unknown escape")
        }
    }

    /// Reads `\uDC00` to `\uDFFF` when it follows, else leaves the position alone.
    private mutating func lowSurrogate(_ text: Span<UInt8>) throws(WireError) -> UInt32? {
        guard text.count &- offset >= 2, text[offset] == UInt8(ascii: "\\"),
            text[offset &+ 1] == UInt8(ascii: "u")
        else { return nil }
        let before = offset
        offset &+= 2
        let unit = try hexUnit(text)
        if unit & 0xFC00 == 0xDC00 { return unit }
        offset = before
        return nil
    }

    private mutating func hexUnit(_ text: Span<UInt8>) throws(WireError) -> UInt32 {
        guard text.count &- offset >= 4 else { throw .malformed("JSON: cut short") }
        var unit: UInt32 = 0
        for index in offset..<(offset &+ 4) {
            let byte = text[index]
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte &- UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte &- UInt8(ascii: "a") &+ 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte &- UInt8(ascii: "A") &+ 10
            default: throw .malformed("JSON: bad hexadecimal digit")
            }
            unit = unit << 4 | UInt32(digit)
        }
        offset &+= 4
        return unit
    }

    private static func append(_ scalar: Unicode.Scalar, to copy: inout Bytes) {
        copy.append(contentsOf: String(scalar).utf8)
    }

    /// The text of bytes that are no UTF-8.
    static func mended(_ bytes: Span<UInt8>) -> String {
        // What is still no UTF-8 becomes U+FFFD, once for each longest beginning of a character.
        String(decoding: mendingSurrogates(bytes), as: UTF8.self)
    }

    /// Rewrites surrogates of three bytes each: two that make a character as its four bytes, others as U+FFFD.
    private static func mendingSurrogates(_ bytes: Span<UInt8>) -> Bytes {
        var result: Bytes = []
        result.reserveCapacity(bytes.count)
        var index = 0
        while index < bytes.count {
            guard let unit = surrogate(bytes, at: index) else {
                result.append(bytes[index])
                index &+= 1
                continue
            }
            index &+= 3
            if unit < 0xDC00, let low = surrogate(bytes, at: index), low >= 0xDC00 {
                append(Unicode.Scalar(0x10000 &+ ((unit & 0x3FF) << 10 | low & 0x3FF)) ?? "\u{FFFD}", to: &result)
                index &+= 3
            } else {
                append("\u{FFFD}", to: &result)
            }
        }
        return result
    }

    /// The code unit that `ED A0–BF 80–BF` stands for.
    private static func surrogate(_ bytes: Span<UInt8>, at index: Int) -> UInt32? {
        guard bytes.count &- index >= 3, bytes[index] == 0xED, bytes[index &+ 1] & 0xE0 == 0xA0,
            bytes[index &+ 2] & 0xC0 == 0x80
        else { return nil }
        return 0xD000 | UInt32(bytes[index &+ 1] & 0x3F) << 6 | UInt32(bytes[index &+ 2] & 0x3F)
    }
}
