// SPDX-License-Identifier: MIT
public import PomeloBytes

extension JSON {
    /// Returns the value as compact JSON text.
    ///
    /// Numbers look as JavaScript writes them (`1`, `1e+21`), but whole ones within 64 bits have all their digits, so
    /// that none is read as another; NaN and infinities become null. Characters
    /// beyond U+FFFF are written as two escapes, which every client can read; others go out as UTF-8.
    ///
    /// - Source: ECMAScript, `JSON.stringify` and `Number::toString`.
    public func encoded() -> Bytes {
        var bytes: Bytes = []
        bytes.reserveCapacity(128)
        write(into: &bytes)
        return bytes
    }

    /// Appends the value as compact JSON text; see ``encoded()``.
    public func write(into bytes: inout Bytes) {
        switch self {
        case .null: bytes.append(contentsOf: "null".utf8)
        case .bool(true): bytes.append(contentsOf: "true".utf8)
        case .bool(false): bytes.append(contentsOf: "false".utf8)
        case .int(let number): JSONWriter.write(number, into: &bytes)
        case .uint(let number): JSONWriter.write(magnitude: number, into: &bytes)
        case .double(let number): JSONWriter.write(number, into: &bytes)
        case .string(let text): JSONWriter.write(text, into: &bytes)
        case .array(let elements):
            bytes.append(UInt8(ascii: "["))
            var separate = false
            for element in elements {
                if separate { bytes.append(UInt8(ascii: ",")) }
                separate = true
                element.write(into: &bytes)
            }
            bytes.append(UInt8(ascii: "]"))
        case .object(let object):
            bytes.append(UInt8(ascii: "{"))
            for index in object.keys.indices {
                JSONWriter.writeKey(object.keys[index].utf8Span.span, isFirst: index == 0, into: &bytes)
                object.values[index].write(into: &bytes)
            }
            bytes.append(UInt8(ascii: "}"))
        }
    }
}

/// Writes the scalars of JSON.
package enum JSONWriter {
    package static func write(_ number: Int64, into bytes: inout Bytes) {
        write(magnitude: number.magnitude, isNegative: number < 0, into: &bytes)
    }

    package static func write(magnitude: UInt64, isNegative: Bool = false, into bytes: inout Bytes) {
        var magnitude = magnitude
        if magnitude < 10 {
            if isNegative { bytes.append(UInt8(ascii: "-")) }
            bytes.append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: magnitude))
            return
        }
        var digits = InlineArray<20, UInt8>(repeating: 0)
        var count = 0
        while magnitude > 0 {
            let (quotient, remainder) = magnitude.quotientAndRemainder(dividingBy: 10)
            digits[count] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: remainder)
            count &+= 1
            magnitude = quotient
        }
        bytes.append(addingCapacity: count &+ 1) { output in
            if isNegative { output.append(UInt8(ascii: "-")) }
            while count > 0 {
                count &-= 1
                output.append(digits[count])
            }
        }
    }

    /// JavaScript's rule over the shortest digits that read back the same: plain notation for exponents
    /// from -7 to 21, else one digit, a point, the rest, `e`, sign and exponent.
    package static func write(_ number: Double, into bytes: inout Bytes) {
        guard number.isFinite else {
            bytes.append(contentsOf: "null".utf8)
            return
        }
        if let whole = UInt64(exactly: number.magnitude) {
            write(magnitude: whole, isNegative: number < 0, into: &bytes)
            return
        }
        if writeThousandths(number, into: &bytes) { return }
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        let (digits, point) = shortest(number.magnitude)
        let count = digits.count
        switch point {
        case count...21:
            bytes.append(contentsOf: digits)
            bytes.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: point &- count))
        case 1...21:
            bytes.append(contentsOf: digits[..<point])
            bytes.append(UInt8(ascii: "."))
            bytes.append(contentsOf: digits[point...])
        case -5...0:
            bytes.append(contentsOf: "0.".utf8)
            bytes.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: 0 &- point))
            bytes.append(contentsOf: digits)
        default:
            bytes.append(contentsOf: digits[..<1])
            if count > 1 {
                bytes.append(UInt8(ascii: "."))
                bytes.append(contentsOf: digits[1...])
            }
            bytes.append(UInt8(ascii: "e"))
            if point > 0 { bytes.append(UInt8(ascii: "+")) }
            write(Int64(point &- 1), into: &bytes)
        }
    }

    /// The short way for what measures mostly are: at most three digits after the point and fifteen in all, of
    /// which no two read alike.
    private static func writeThousandths(_ number: Double, into bytes: inout Bytes) -> Bool {
        let scaled = (number.magnitude * 1000).rounded()
        guard scaled < 1e15, scaled / 1000 == number.magnitude else { return false }
        let (whole, part) = UInt64(scaled).quotientAndRemainder(dividingBy: 1000)
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        write(Int64(whole), into: &bytes)
        bytes.append(UInt8(ascii: "."))
        var (rest, scale) = (part, UInt64(100))
        while rest > 0 {
            bytes.append(UInt8(ascii: "0") &+ UInt8(rest / scale))
            (rest, scale) = (rest % scale, scale / 10)
        }
        return true
    }

    /// The shortest digits that read back as `number` and how many of them stand before the point.
    private static func shortest(_ number: Double) -> (digits: Bytes, point: Int) {
        var digits: Bytes = []
        var exponent = 0
        var exponentSign = 1
        var point: Int?
        var inExponent = false
        for byte in number.description.utf8 {
            switch byte {
            case UInt8(ascii: "."): point = digits.count
            case UInt8(ascii: "e"): inExponent = true
            case UInt8(ascii: "-"): exponentSign = -1
            case UInt8(ascii: "+"): break
            default:
                if inExponent {
                    exponent = exponent &* 10 &+ Int(byte &- UInt8(ascii: "0"))
                } else {
                    digits.append(byte)
                }
            }
        }
        var before = (point ?? digits.count) &+ exponent &* exponentSign
        while digits.count > 1, digits.last == UInt8(ascii: "0") {
            digits.removeLast()
        }
        let leading = digits.prefix { $0 == UInt8(ascii: "0") }.count
        digits.removeFirst(leading)
        before &-= leading
        return (digits, before)
    }

    /// Appends a quoted string; `escapeAstral` writes characters beyond U+FFFF as two escapes.
    package static func write(_ text: String, into bytes: inout Bytes, escapeAstral: Bool = true) {
        write(utf8: text.utf8Span.span, into: &bytes, escapeAstral: escapeAstral)
    }

    /// Appends a quoted string of a client's bytes; what is no UTF-8 of them is mended as `JSON.parse` does.
    package static func write(mending text: Span<UInt8>, into bytes: inout Bytes) {
        if text.isUTF8 { return write(utf8: text, into: &bytes, escapeAstral: true) }
        write(JSONReader.mended(text), into: &bytes)
    }

    private static func write(utf8 span: Span<UInt8>, into bytes: inout Bytes, escapeAstral: Bool) {
        guard isPlain(span) else { return writeEscaped(span, into: &bytes, escapeAstral: escapeAstral) }
        bytes.append(addingCapacity: span.count &+ 2) { output in
            output.append(UInt8(ascii: "\""))
            output.put(span)
            output.append(UInt8(ascii: "\""))
        }
    }

    /// Appends a quoted key and its colon, after a comma unless it is the first.
    static func writeKey(_ key: Span<UInt8>, isFirst: Bool, into bytes: inout Bytes) {
        let start = bytes.count
        var isPlain = true
        bytes.append(addingCapacity: key.count &+ 4) { output in
            if !isFirst { output.append(UInt8(ascii: ",")) }
            output.append(UInt8(ascii: "\""))
            for index in key.indices {
                isPlain = isPlain && !isSpecial(key[index])
                output.append(key[index])
            }
            output.append(UInt8(ascii: "\""))
            output.append(UInt8(ascii: ":"))
        }
        if isPlain { return }
        bytes.removeSubrange((isFirst ? start : start &+ 1)...)
        writeEscaped(key, into: &bytes, escapeAstral: true)
        bytes.append(UInt8(ascii: ":"))
    }

    /// Whether a byte may not stand for itself: a control, a quote, a backslash, the first of four.
    @inline(__always)
    private static func isSpecial(_ byte: UInt8) -> Bool {
        byte &- 0x20 >= 0xD0 || byte == 0x22 || byte == 0x5C
    }

    @inline(__always)
    private static func isPlain(_ text: Span<UInt8>) -> Bool {
        for index in text.indices where isSpecial(text[index]) { return false }
        return true
    }

    private static func writeEscaped(_ text: Span<UInt8>, into bytes: inout Bytes, escapeAstral: Bool) {
        bytes.append(UInt8(ascii: "\""))
        var start = 0
        for index in text.indices where isSpecial(text[index]) && (escapeAstral || text[index] < 0xF0) {
            bytes.put(text.extracting(start..<index))
            start = index &+ 1
            switch text[index] {
            case 0x22: bytes.append(contentsOf: "\\\"".utf8)
            case 0x5C: bytes.append(contentsOf: "\\\\".utf8)
            case 0x08: bytes.append(contentsOf: "\\b".utf8)
            case 0x09: bytes.append(contentsOf: "\\t".utf8)
            case 0x0A: bytes.append(contentsOf: "\\n".utf8)
            case 0x0C: bytes.append(contentsOf: "\\f".utf8)
            case 0x0D: bytes.append(contentsOf: "\\r".utf8)
            case 0xF0...:
                start = index &+ 4
                var scalar = UInt32(text[index] & 0x07)
                for next in (index &+ 1)..<start { scalar = scalar << 6 | UInt32(text[next] & 0x3F) }
                writeUnit(0xD7C0 &+ scalar >> 10, into: &bytes)
                writeUnit(0xDC00 | scalar & 0x3FF, into: &bytes)
            default: writeUnit(UInt32(text[index]), into: &bytes)
            }
        }
        bytes.put(text.extracting(start...))
        bytes.append(UInt8(ascii: "\""))
    }

    private static func writeUnit(_ unit: UInt32, into bytes: inout Bytes) {
        bytes.append(contentsOf: "\\u".utf8)
        for shift in stride(from: UInt32(12), through: 0, by: -4) {
            let digit = UInt8(truncatingIfNeeded: unit >> shift) & 0xF
            bytes.append(digit < 10 ? UInt8(ascii: "0") &+ digit : UInt8(ascii: "a") &+ digit &- 10)
        }
    }
}
